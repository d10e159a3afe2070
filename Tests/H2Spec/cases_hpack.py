"""hpack/2.3.3 to 6.3: header blocks that cannot be decoded end the connection with COMPRESSION_ERROR."""

from rows import row
from h2raw import COMPRESSION, HEADER_TABLE_SIZE, bits_of, bytes_of, connection_error, literal, string, table_size
from hpack.hpack import encode_integer

undecodable = connection_error(COMPRESSION)


def with_octets(octets):
    return lambda c: c.headers(block=c.block(c.fields()) + octets)


def huffman_value(octets):
    """A literal that is not indexed, named x-test, whose Huffman-coded value is these octets."""
    length = encode_integer(len(octets), 7)
    length[0] |= 0x80
    return with_octets(b"\x00" + string("x-test", huffman=True) + bytes(length) + octets)


def too_large_a_table(c):
    allowed = c.peer_settings.get(HEADER_TABLE_SIZE, 4096)
    c.headers(block=table_size(allowed + 1) + c.block(c.fields()))


# The static table ends at 61 and our request adds few entries.
row("hpack/2.3.3/1", "an indexed field beyond both tables", with_octets(b"\xc6"), undecodable)
row("hpack/2.3.3/2", "a literal whose name index is beyond both tables", with_octets(literal(0x40, 70, "")), undecodable)
row("hpack/4.2/1", "a table size update after the fields", with_octets(table_size(1)), undecodable)
row("hpack/5.2/1", "Huffman padding of more than 7 bits",
    huffman_value(bytes_of(bits_of("test"), "1") + b"\xff"), undecodable)
row("hpack/5.2/2", "Huffman padding of zeros", huffman_value(bytes_of(bits_of("test"), "0")), undecodable)
row("hpack/5.2/3", "the end-of-string symbol inside Huffman data",
    huffman_value(bytes_of("1" * 30 + bits_of("test"), "1")), undecodable)
row("hpack/6.1/1", "an indexed field with index 0", with_octets(b"\x80"), undecodable)
row("hpack/6.3/1", "a table size update above what the server allows", too_large_a_table, undecodable)
