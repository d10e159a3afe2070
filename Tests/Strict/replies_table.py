"""What upstreams send (T-10): as strict as for clients, since a bad answer is how one user reads another's."""

from requests_table import CONTROLS
from rows import bad_reply, good_reply, raw, show


def reply(status="200 OK", fields=("Content-Length: 2",), body=b"ok", version="HTTP/1.1") -> bytes:
    lines = [raw(version) + b" " + raw(status)] + [raw(f) for f in fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + raw(body)


def chunks(body, fields=("Transfer-Encoding: chunked",), **more) -> bytes:
    return reply(fields=fields, body=body, **more)


# Status lines -------------------------------------------------------------------------------------------

for name, line in [
    ("HTTP/2.0", "HTTP/2.0 200 OK"), ("HTTP/0.9", "HTTP/0.9 200 OK"), ("HTTP/1", "HTTP/1 200 OK"),
    ("HTTP/1.10", "HTTP/1.10 200 OK"), ("http in lower case", "http/1.1 200 OK"), ("ICY", "ICY 200 OK"),
    ("no space after the version", "HTTP/1.1200 OK"), ("a tab after the version", "HTTP/1.1\t200 OK"),
    ("two spaces after the version", "HTTP/1.1  200 OK"), ("a space before the version", " HTTP/1.1 200 OK"),
    ("two digits", "HTTP/1.1 20 OK"), ("four digits", "HTTP/1.1 2000 OK"), ("letters", "HTTP/1.1 abc OK"),
    ("a sign", "HTTP/1.1 +20 OK"), ("status 099", "HTTP/1.1 099 OK"), ("status 000", "HTTP/1.1 000 OK"),
    ("a status with a letter", "HTTP/1.1 20x OK"), ("no status", "HTTP/1.1"), ("an empty status", "HTTP/1.1  OK"),
    ("a NUL in the reason", "HTTP/1.1 200 O\x00K"), ("a CR in the reason", "HTTP/1.1 200 O\rK"),
    ("a control in the reason", "HTTP/1.1 200 O\x01K"), ("a request line", "GET / HTTP/1.1"),
    ("bytes that are no HTTP", "\x00\x01\x02\x03"), ("a line of 1 MB", "HTTP/1.1 200 " + "a" * 1_000_000),
]:
    bad_reply("T-10", f"status line: {name}", raw(line) + b"\r\nContent-Length: 2\r\n\r\nok")
bad_reply("T-10", "status line: an empty line before it", b"\r\n" + reply())
bad_reply("T-10", "the upstream says nothing and closes", b"", reply_ends=True)
bad_reply("T-10", "the upstream closes inside the status line", b"HTTP/1.1 20", reply_ends=True)
bad_reply("T-10", "the upstream closes inside the head", b"HTTP/1.1 200 OK\r\nContent-", reply_ends=True)

# Line ends and field lines ------------------------------------------------------------------------------

for name, data in [
    ("every line ends in a bare LF", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    ("the status line ends in a bare LF", b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok"),
    ("a field line ends in a bare LF", b"HTTP/1.1 200 OK\r\nX-A: b\nContent-Length: 2\r\n\r\nok"),
    ("the head ends in a bare LF", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok"),
    ("a field line ends in a bare CR", b"HTTP/1.1 200 OK\r\nX-A: b\rContent-Length: 2\r\n\r\nok"),
    ("a line ends in CR CR LF", b"HTTP/1.1 200 OK\r\nX-A: b\r\r\nContent-Length: 2\r\n\r\nok"),
]:
    bad_reply("T-10", name, data)
for name, field in [
    ("a space before the colon", "X-A : b"), ("a tab before the colon", "X-A\t: b"), ("an empty name", ": b"),
    ("no colon", "X-A"), ("a fold", "X-A: b\r\n c"), ("a fold with a tab", "X-A: b\r\n\tc"),
    ("a space in the name", "X A: b"), ("a NUL in the name", "X\x00A: b"), ("a byte above 127 in the name", "X\xffA: b"),
    ("a slash in the name", "X/A: b"), ("brackets in the name", "X[A]: b"), ("a NUL in the value", "X-A: b\x00c"),
    ("a CR in the value", "X-A: b\rc"), ("a fold before the length", "X-A: b\r\n Content-Length: 9"),
]:
    bad_reply("T-10", f"field: {name}", reply(fields=[field, "Content-Length: 2"]))
for byte in CONTROLS:
    bad_reply("T-10", f"{show(bytes([byte]))} in a field value",
              reply(fields=[b"X-A: b" + bytes([byte]) + b"c", "Content-Length: 2"]))
bad_reply("T-10", "the first field line begins with a space", reply(fields=[" X-A: b", "Content-Length: 2"]))
bad_reply("T-10", "a head of 1 MB", reply(fields=["X-A: " + "b" * 1_000_000, "Content-Length: 2"]))
bad_reply("T-10", "100,000 fields", reply(fields=["X-A: b"] * 100_000 + ["Content-Length: 2"]))

# Framing ------------------------------------------------------------------------------------------------

for value in ["+2", "-2", "0x2", "2a", "", "2 2", "2,2", "2, 2", "2,3", "2_0", "1e1", "2.0", "18446744073709551618",
              "99999999999999999999", "two", "2\x0b", '"2"', "2;"]:
    bad_reply("T-10", f"Content-Length {show(value) or 'empty'}", reply(fields=[f"Content-Length: {value}"]))
for name, fields in [
    ("two equal lengths", ["Content-Length: 2", "Content-Length: 2"]),
    ("two different lengths", ["Content-Length: 2", "Content-Length: 3"]),
    ("length then coding", ["Content-Length: 2", "Transfer-Encoding: chunked"]),
    ("coding then length", ["Transfer-Encoding: chunked", "Content-Length: 2"]),
    ("chunked twice", ["Transfer-Encoding: chunked, chunked"]),
    ("chunked over two lines", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]),
    ("gzip then chunked", ["Transfer-Encoding: gzip, chunked"]),
    ("chunked then gzip", ["Transfer-Encoding: chunked, gzip"]),
    ("an unknown coding", ["Transfer-Encoding: x"]),
    ("identity", ["Transfer-Encoding: identity"]),
    ("an empty coding", ["Transfer-Encoding:"]),
    ("xchunked", ["Transfer-Encoding: xchunked"]),
    ("chunked with a parameter", ["Transfer-Encoding: chunked;a=b"]),
    ("chunked with a control", ["Transfer-Encoding: \x0bchunked"]),
    ("a comma before chunked", ["Transfer-Encoding: ,chunked"]),
    ("a space before the coding's colon", ["Transfer-Encoding : chunked"]),
    ("an unknown coding beside a length", ["Transfer-Encoding: x", "Content-Length: 2"]),
]:
    bad_reply("T-10", f"framing: {name}", reply(fields=fields, body=b"2\r\nok\r\n0\r\n\r\n"))
bad_reply("T-10", "framing: chunked in HTTP/1.0", chunks(b"2\r\nok\r\n0\r\n\r\n", version="HTTP/1.0"))

for size in ["+2", "-2", "0x2", "_2", " 2", "2 ", "\t2", "", "g", "2g", "2\x00", "10000000000000002", "FFFFFFFFFFFFFFFFF", "2_"]:
    bad_reply("T-10", f"chunk size {show(size) or 'empty'}", chunks(raw(size) + b"\r\nok\r\n0\r\n\r\n"))
for name, body in [
    ("a bare LF after the size", b"2\nok\r\n0\r\n\r\n"), ("a bare LF after the data", b"2\r\nok\n0\r\n\r\n"),
    ("a bare CR after the data", b"2\r\nok\r0\r\n\r\n"), ("more data than the size", b"2\r\nokX\r\n0\r\n\r\n"),
    ("no line end after the data", b"2\r\nok0\r\n\r\n"), ("a CR in an extension", b"2;a\rb\r\nok\r\n0\r\n\r\n"),
    ("an LF in an extension", b"2;a\nb\r\nok\r\n0\r\n\r\n"), ("a NUL in an extension", b"2;a\x00\r\nok\r\n0\r\n\r\n"),
    ("bytes where the end should be", b"2\r\nok\r\n0\r\nX\r\n\r\n"), ("a bare LF at the end", b"2\r\nok\r\n0\r\n\n"),
    ("a trailer without a colon", b"2\r\nok\r\n0\r\nfoo\r\n\r\n"), ("a folded trailer", b"2\r\nok\r\n0\r\na: b\r\n c\r\n\r\n"),
    ("a trailer with a space before the colon", b"2\r\nok\r\n0\r\na : b\r\n\r\n"),
    ("an extension of 64 KB", b"2;" + b"a" * 65536 + b"\r\nok\r\n0\r\n\r\n"),
]:
    bad_reply("T-10", f"chunks: {name}", chunks(body))
bad_reply("T-10", "truncated: a length that is not met", reply(fields=["Content-Length: 5"]), reply_ends=True)
bad_reply("T-10", "truncated: no last chunk", chunks(b"2\r\nok\r\n"), reply_ends=True)
bad_reply("T-10", "truncated: inside a chunk", chunks(b"5\r\nok"), reply_ends=True)
bad_reply("T-10", "truncated: inside a chunk size", chunks(b"2\r\nok\r\n1"), reply_ends=True)
bad_reply("T-10", "truncated: before the last line end", chunks(b"2\r\nok\r\n0\r\n"), reply_ends=True)

# Interim answers ----------------------------------------------------------------------------------------

bad_reply("T-10", "101 that nobody asked for",
          reply("101 Switching Protocols", ["Connection: upgrade", "Upgrade: websocket"], b""))
bad_reply("T-10", "10,000 interim answers", b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000 + reply())
bad_reply("T-10", "an interim answer with a bad field", b"HTTP/1.1 103 Early Hints\r\nLink : x\r\n\r\n" + reply())
bad_reply("T-10", "an interim answer and then the end", b"HTTP/1.1 103 Early Hints\r\n\r\n", reply_ends=True)
good_reply("T-10", "100 before the answer", b"HTTP/1.1 100 Continue\r\n\r\n" + reply())
good_reply("T-10", "early hints before the answer", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply())
good_reply("T-10", "a late answer after 100", [b"HTTP/1.1 100 Continue\r\n\r\n", reply()])

# More bytes than the answer has -------------------------------------------------------------------------

SECOND = reply("200 OK", ["Content-Length: 6"], b"stolen")
for name, data, status, body, method in [
    ("a length that is exceeded", reply(body=b"okEXTRA"), 200, b"ok", "GET"),
    ("a second answer behind a length", reply() + SECOND, 200, b"ok", "GET"),
    ("a second answer behind chunks", chunks(b"2\r\nok\r\n0\r\n\r\n") + SECOND, 200, b"ok", "GET"),
    ("a second answer behind 204", reply("204 No Content", [], b"") + SECOND, 204, b"", "GET"),
    ("204 with a body", reply("204 No Content", ["Content-Length: 2"], b"ok"), 204, b"", "GET"),
    ("204 with chunks", reply("204 No Content", ["Transfer-Encoding: chunked"], b"2\r\nok\r\n0\r\n\r\n"), 204, b"", "GET"),
    ("304 with a body", reply("304 Not Modified", ["Content-Length: 2"], b"ok"), 304, b"", "GET"),
    ("304 with chunks", reply("304 Not Modified", ["Transfer-Encoding: chunked"], b"2\r\nok\r\n0\r\n\r\n"), 304, b"", "GET"),
    ("HEAD answered with a body", reply(), 200, b"", "HEAD"),
    ("HEAD answered with chunks", chunks(b"2\r\nok\r\n0\r\n\r\n"), 200, b"", "HEAD"),
    ("a second answer to HEAD", reply(body=b"") + SECOND, 200, b"", "HEAD"),
    ("a second answer with length zero", reply(fields=["Content-Length: 0"], body=b"") + SECOND, 200, b"", "GET"),
]:
    # Passed on without the surplus, or refused: either way that connection is finished.
    good_reply("T-10", f"surplus: {name}", data, status, body, method, has={"or-502": "", "no-reuse": ""})

# Answers that are right ---------------------------------------------------------------------------------

good_reply("T-10", "a length", reply())
good_reply("T-10", "chunks", chunks(b"1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n"))
good_reply("T-10", "chunks with a trailer", chunks(b"2\r\nok\r\n0\r\nX-T: 1\r\n\r\n"))
good_reply("T-10", "chunks byte by byte", [bytes([b]) for b in chunks(b"2\r\nok\r\n0\r\n\r\n")])
good_reply("T-10", "a body that ends with the connection", reply(fields=[]), reply_ends=True)
good_reply("T-10", "a body that ends with an HTTP/1.0 connection", reply(fields=[], version="HTTP/1.0"), reply_ends=True)
good_reply("T-10", "HTTP/1.0 with a length", reply(version="HTTP/1.0"))
good_reply("T-10", "Connection: close and a length", reply(fields=["Connection: close", "Content-Length: 2"]), reply_ends=True)
good_reply("T-10", "no reason", b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok")
good_reply("T-10", "a reason of bytes above 127", b"HTTP/1.1 200 \xc3\xa9\r\nContent-Length: 2\r\n\r\nok")
good_reply("T-10", "an empty body", reply(fields=["Content-Length: 0"], body=b""), body=b"")
good_reply("T-10", "204", reply("204 No Content", [], b""), 204, b"")
good_reply("T-10", "304 with the length of what it stands for", reply("304 Not Modified", ["Content-Length: 2"], b""), 304, b"")
good_reply("T-10", "HEAD with the length of what it stands for", reply(body=b""), 200, b"", "HEAD")
good_reply("T-10", "a status that nobody knows", reply("299 Fine"), 299)
good_reply("T-10", "fields arrive", reply(fields=["X-A: b", "Set-Cookie: a=1", "Set-Cookie: b=2", "Content-Length: 2"]),
           has={"X-A": "b", "Set-Cookie": "a=1"})
good_reply("T-11", "a field named by the upstream's Connection ends here",
           reply(fields=["Connection: X-Foo", "X-Foo: 1", "Content-Length: 2"]), lacks=("X-Foo",))
good_reply("T-11", "the upstream's Keep-Alive ends here",
           reply(fields=["Keep-Alive: timeout=5", "Content-Length: 2"]), lacks=("Keep-Alive",))
good_reply("T-11", "the upstream's Connection cannot remove the length",
           reply(fields=["Connection: Content-Length", "Content-Length: 2"]))
