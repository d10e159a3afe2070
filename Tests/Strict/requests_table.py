"""Requests: each row names the item of the checklist that it answers (T-01 … T-14, T-20, T-29)."""

from rows import Seen, forward, raw, reject, request, show

POST = "POST"
CONTROLS = [b for b in range(1, 32) if b not in (9, 10, 13)] + [127]


def post(fields, body=b"hello", **more) -> bytes:
    return request("POST", fields=fields, body=body, **more)


def chunked(body, fields=("Transfer-Encoding: chunked",), **more) -> bytes:
    return request("POST", fields=fields, body=body, **more)


# T-01 Content-Length ------------------------------------------------------------------------------------

for value in [
    "+5", "-5", "-0", "0x5", "5a", "a5", "1_0", "1e1", "5.0", "5.", ".5", "", "   ", "5 5", "5\t5", "5,5", "5, 5",
    "5,6", ",5", "5,", "5;", "5;q=1", '"5"', "'5'", "(5)", "5\x0b", "\x0c5", "\xa05", "5\xa0", "\xb2", "NaN", "null",
    "five", "99999999999999999999", "18446744073709551616", "18446744073709551621", "9223372036854775808",
    "-18446744073709551611", "340282366920938463463374607431768211461", "9" * 400,
]:
    reject("T-01", f"Content-Length {show(value) or 'empty'}", post([f"Content-Length: {value}"]), {400, 413})

for name, fields in [
    ("two equal lengths", ["Content-Length: 5", "Content-Length: 5"]),
    ("two equal lengths apart", ["Content-Length: 5", "X-Between: y", "Content-Length: 5"]),
    ("two different lengths", ["Content-Length: 5", "Content-Length: 6"]),
    ("a shorter length second", ["Content-Length: 5", "Content-Length: 0"]),
    ("a longer length second", ["Content-Length: 0", "Content-Length: 5"]),
    ("two lengths in different case", ["content-length: 5", "CONTENT-LENGTH: 5"]),
    ("a good length then a signed one", ["Content-Length: 5", "Content-Length: +5"]),
    ("a good length then an empty one", ["Content-Length: 5", "Content-Length:"]),
    ("three lengths", ["Content-Length: 5"] * 3),
    ("length then transfer coding", ["Content-Length: 5", "Transfer-Encoding: chunked"]),
    ("transfer coding then length", ["Transfer-Encoding: chunked", "Content-Length: 5"]),
    ("length zero and transfer coding", ["Content-Length: 0", "Transfer-Encoding: chunked"]),
    ("length and transfer coding apart", ["Content-Length: 5", "A: b", "C: d", "Transfer-Encoding: chunked"]),
    ("length and transfer coding in odd case", ["CONTENT-length: 5", "tRANSFER-eNCODING: CHUNKED"]),
    ("a bad length and transfer coding", ["Content-Length: x", "Transfer-Encoding: chunked"]),
    ("length and identity coding", ["Content-Length: 5", "Transfer-Encoding: identity"]),
]:
    reject("T-01", name, post(fields, b"5\r\nhello\r\n0\r\n\r\n"), {400, 501})

for name, fields, body in [
    ("a length of five", ["Content-Length: 5"], b"hello"),
    ("a length with spaces around", ["Content-Length: \t 5 \t"], b"hello"),
    ("a length without a space", ["Content-Length:5"], b"hello"),
    ("a length in lower case", ["content-length: 5"], b"hello"),
    ("a length of zero", ["Content-Length: 0"], b""),
    ("a post without any framing has no body", [], b""),
]:
    forward("T-01", name, post(fields, body), Seen(POST, "/", body))

# T-02 Transfer-Encoding ---------------------------------------------------------------------------------

for value in [
    "identity", "gzip", "deflate", "compress", "chunked, gzip", "gzip, chunked", "chunked, chunked", "chunked,chunked",
    ",chunked", "chunked,", ", chunked", "chunked,,", "chunked;q=1", "chunked;foo=bar", "chunked ; a", "xchunked",
    "chunkedx", "chunke", "chunk", '"chunked"', "'chunked'", "chunked\x0b", "\x0bchunked", "\x0cchunked", "chunked\x7f",
    "chunked foo", "chunked\tfoo", "identity, chunked", "chunked, identity", "", "   ", "x", "*", "chunked-", "chunked:",
    "\xa0chunked", "chunked\xa0", "chun\xe9ked", "trailers", "cow, chunked", "[chunked]", "chunked\x00", "chunked/1",
]:
    reject("T-02", f"Transfer-Encoding {show(value) or 'empty'}",
           chunked(b"5\r\nhello\r\n0\r\n\r\n", [f"Transfer-Encoding: {value}"]), {400, 501})

for name, fields in [
    ("chunked twice over two lines", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]),
    ("chunked then identity", ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"]),
    ("identity then chunked", ["Transfer-Encoding: identity", "Transfer-Encoding: chunked"]),
    ("gzip then chunked over two lines", ["Transfer-Encoding: gzip", "Transfer-Encoding: chunked"]),
    ("an empty line then chunked", ["Transfer-Encoding:", "Transfer-Encoding: chunked"]),
    ("a space before the colon", ["Transfer-Encoding : chunked"]),
    ("a tab before the colon", ["Transfer-Encoding\t: chunked"]),
    ("the value on a folded line", ["Transfer-Encoding:", " chunked"]),
    ("folded after chunked", ["Transfer-Encoding: chunked", " , identity"]),
    ("hidden behind a fold", ["X-A: b", " Transfer-Encoding: chunked"]),
    ("a NUL in the name", ["Transfer-Encoding\x00: chunked"]),
    ("a control before the name", ["\x01Transfer-Encoding: chunked"]),
    ("a bare CR before the name", ["X: y\rTransfer-Encoding: chunked"]),
    ("a bare LF before the name", ["X: y\nTransfer-Encoding: chunked"]),
]:
    reject("T-02", name, chunked(b"5\r\nhello\r\n0\r\n\r\n", fields), {400, 501})

reject("T-02", "chunked in an HTTP/1.0 request",
       chunked(b"5\r\nhello\r\n0\r\n\r\n", version="HTTP/1.0"), {400, 501})
reject("T-02", "chunked and keep-alive in an HTTP/1.0 request",
       chunked(b"5\r\nhello\r\n0\r\n\r\n", ["Transfer-Encoding: chunked", "Connection: keep-alive"],
               version="HTTP/1.0"), {400, 501})

for value in ["chunked", "Chunked", "CHUNKED", " chunked", "\tchunked \t"]:
    forward("T-02", f"Transfer-Encoding {show(value)} is the one coding",
            chunked(b"5\r\nhello\r\n0\r\n\r\n", [f"Transfer-Encoding:{value}"]), Seen(POST, "/", b"hello"))

# T-03 chunks --------------------------------------------------------------------------------------------

for size in [
    "+5", "-5", "0x5", "0X5", "5_", "_5", " 5", "\t5", "5 ", "5\t", "", "g", "5g", "5h", "x5", "5,", "5.", "5\x00", "5\x0b",
    "\x0c5", "5\xa0", "0x", "10000000000000005", "FFFFFFFFFFFFFFFF", "FFFFFFFFFFFFFFFFF", "8000000000000000",
    "100000000000000000000000000000005", "0" * 300 + "5", "5\r", "5 ;a", "5=a", "5\"", "five",
]:
    reject("T-03", f"chunk size {show(size) or 'empty'}",
           chunked(raw(size) + b"\r\nhello\r\n0\r\n\r\n"), {400, 413}, partial=True)

for name, body in [
    ("a bare LF after the size", b"5\nhello\r\n0\r\n\r\n"),
    ("a bare LF after an extension", b"5;a=b\nhello\r\n0\r\n\r\n"),
    ("a bare CR after the size", b"5\rhello\r\n0\r\n\r\n"),
    ("a CR inside an extension", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ("an LF inside an extension", b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    ("an LF inside a quoted extension", b'5;a="\nb"\r\nhello\r\n0\r\n\r\n'),
    ("a NUL inside an extension", b"5;a\x00b\r\nhello\r\n0\r\n\r\n"),
    ("a control inside an extension", b"5;a\x01b\r\nhello\r\n0\r\n\r\n"),
    ("an extension of 64 KB", b"5;" + b"a" * 65536 + b"\r\nhello\r\n0\r\n\r\n"),
    ("more data than the size", b"5\r\nhelloX\r\n0\r\n\r\n"),
    ("less data than the size", b"5\r\nhell\r\n0\r\n\r\n"),
    ("no line end after the data", b"5\r\nhello0\r\n\r\n"),
    ("a bare LF after the data", b"5\r\nhello\n0\r\n\r\n"),
    ("a bare CR after the data", b"5\r\nhello\r0\r\n\r\n"),
    ("LF CR after the data", b"5\r\nhello\n\r0\r\n\r\n"),
    ("two line ends after the data", b"5\r\nhello\r\n\r\n0\r\n\r\n"),
    ("a bare LF after the last size", b"5\r\nhello\r\n0\n\r\n"),
    ("a bare LF at the very end", b"5\r\nhello\r\n0\r\n\n"),
    ("a bare CR at the very end", b"5\r\nhello\r\n0\r\n\rX"),
    ("bytes where the end should be", b"5\r\nhello\r\n0\r\nX\r\n\r\n"),
    ("a signed last size", b"5\r\nhello\r\n-0\r\n\r\n"),
    ("a bad size after a good chunk", b"5\r\nhello\r\nZZ\r\nhello\r\n0\r\n\r\n"),
    ("a trailer without a colon", b"5\r\nhello\r\n0\r\nfoo\r\n\r\n"),
    ("a trailer with a space before the colon", b"5\r\nhello\r\n0\r\nfoo : x\r\n\r\n"),
    ("a folded trailer", b"5\r\nhello\r\n0\r\nfoo: x\r\n y\r\n\r\n"),
    ("a trailer that begins folded", b"5\r\nhello\r\n0\r\n foo: x\r\n\r\n"),
    ("a trailer with an empty name", b"5\r\nhello\r\n0\r\n: x\r\n\r\n"),
    ("a trailer with a NUL", b"5\r\nhello\r\n0\r\nfoo: a\x00b\r\n\r\n"),
    ("a trailer with a bare CR", b"5\r\nhello\r\n0\r\nfoo: a\rb\r\n\r\n"),
    ("a trailer that ends in a bare LF", b"5\r\nhello\r\n0\r\nfoo: a\n\r\n"),
    ("a trailer name with a space", b"5\r\nhello\r\n0\r\nf oo: a\r\n\r\n"),
    ("a trailer of 1 MB", b"5\r\nhello\r\n0\r\nfoo: " + b"a" * 1_000_000 + b"\r\n\r\n"),
    ("10,000 trailers", b"5\r\nhello\r\n0\r\n" + b"foo: a\r\n" * 10_000 + b"\r\n"),
]:
    large = len(body) > 50_000
    reject("T-03", name, chunked(body), {400, 413, 431} if large else {400}, partial=True, reset=large)

for name, body, want in [
    ("two chunks", b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", b"hello"),
    ("upper and lower case sizes", b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
    ("leading zeros in a size", b"0005\r\nhello\r\n0\r\n\r\n", b"hello"),
    ("a last size of several zeros", b"5\r\nhello\r\n000\r\n\r\n", b"hello"),
    ("an extension is read over", b"5;name=value\r\nhello\r\n0\r\n\r\n", b"hello"),
    ("a quoted extension is read over", b'5;name="a b"\r\nhello\r\n0;x\r\n\r\n', b"hello"),
    ("no chunk but the last", b"0\r\n\r\n", b""),
    ("a chunk that looks like the end", b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
]:
    forward("T-03", name, chunked(body), Seen(POST, "/", want))
forward("T-03", "a chunked body sent byte by byte",
        [chunked(b"")] + [bytes([b]) for b in b"5\r\nhello\r\n0\r\n\r\n"], Seen(POST, "/", b"hello"))

# T-04 field lines ---------------------------------------------------------------------------------------

for byte in [b for b in b'"(),/;<=>?@[\\]{}'] + [0x20, 0x7F, 0x80, 0xFF, 0x00, 0x01, 0x0B, 0x1F]:
    reject("T-04", f"{show(bytes([byte]))} in a field name", request(fields=[b"X-A" + bytes([byte]) + b"B: c"]))
for byte in [0x00] + CONTROLS:
    reject("T-04", f"{show(bytes([byte]))} in a field value", request(fields=[b"X-A: b" + bytes([byte]) + b"c"]))
for name, fields in [
    ("a bare CR in a value", ["X-A: b\rc"]),
    ("a CR at a value's end", ["X-A: b\r"]),
    ("a bare LF in a value", ["X-A: b\nc: d"]),
    ("a space before the colon", ["X-A : b"]),
    ("a tab before the colon", ["X-A\t: b"]),
    ("a space before Content-Length's colon", ["Content-Length : 0"]),
    ("a space before Host's colon", ["Host : b.example"]),
    ("an empty name", [": b"]),
    ("a name of one space", [" : b"]),
    ("no colon", ["X-A"]),
    ("no colon and a value", ["X-A b"]),
    ("a line of one colon", [":"]),
    ("a line folded with a space", ["X-A: b", " c"]),
    ("a line folded with a tab", ["X-A: b", "\tc"]),
    ("a fold of nothing but a space", ["X-A: b", " "]),
    ("a fold that holds a field", ["X-A: b", " Content-Length: 5"]),
    ("a NUL at a value's end", ["X-A: b\x00"]),
    ("a line of one NUL", ["\x00"]),
]:
    reject("T-04", name, request(fields=fields))
reject("T-04", "the first field line begins with a space", b"GET / HTTP/1.1\r\n Host: a.example\r\n\r\n")
reject("T-04", "the first field line begins with a tab", b"GET / HTTP/1.1\r\n\tHost: a.example\r\nHost: b\r\n\r\n")
reject("T-04", "a fold after Host", b"GET / HTTP/1.1\r\nHost: a.example\r\n .evil\r\n\r\n")

forward("T-04", "every token byte in a name", request(fields=["X!#$%&'*+-.^`|~09az: b"]),
        Seen(has={"X!#$%&'*+-.^`|~09az": "b"}))
forward("T-04", "bytes above 127 in a value", request(fields=[b"X-A: \x80\xc3\xa9\xff"]),
        Seen(has={"X-A": "\x80\xc3\xa9\xff"}))
forward("T-04", "a tab inside a value", request(fields=["X-A: b\tc"]), Seen(has={"X-A": "b\tc"}))
forward("T-04", "an empty value", request(fields=["X-A:"]), Seen(has={"X-A": ""}))
forward("T-04", "colons and commas in a value", request(fields=["X-A: b:c,d: e"]), Seen(has={"X-A": "b:c,d: e"}))
forward("T-04", "space around a value is not part of it", request(fields=["X-A: \t b \t"]), Seen(has={"X-A": "b"}))

# T-05 line ends -----------------------------------------------------------------------------------------

for name, data in [
    ("every line ends in a bare LF", b"GET / HTTP/1.1\nHost: a.example\n\n"),
    ("the request line ends in a bare LF", b"GET / HTTP/1.1\nHost: a.example\r\n\r\n"),
    ("a field line ends in a bare LF", b"GET / HTTP/1.1\r\nHost: a.example\nX-A: b\r\n\r\n"),
    ("the last field line ends in a bare LF", b"GET / HTTP/1.1\r\nHost: a.example\r\nX-A: b\n\r\n"),
    ("the head ends in a bare LF", b"GET / HTTP/1.1\r\nHost: a.example\r\n\n"),
    ("the head ends in two bare LF", b"GET / HTTP/1.1\r\nHost: a.example\n\n"),
    ("the request line ends in a bare CR", b"GET / HTTP/1.1\rHost: a.example\r\n\r\n"),
    ("a field line ends in a bare CR", b"GET / HTTP/1.1\r\nHost: a.example\rX-A: b\r\n\r\n"),
    ("every line ends in a bare CR", b"GET / HTTP/1.1\rHost: a.example\r\r\n\r\n"),
    ("lines end in LF CR", b"GET / HTTP/1.1\n\rHost: a.example\n\r\n\r"),
    ("a line ends in CR CR LF", b"GET / HTTP/1.1\r\nHost: a.example\r\r\nX-A: b\r\n\r\n"),
    ("the head ends in CR LF CR CR LF", b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\r\n\r\n"),
    ("a CR before the request line", b"\rGET / HTTP/1.1\r\nHost: a.example\r\n\r\n"),
    ("an LF before the request line", b"\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n"),
    ("a bare LF hides a second request", b"GET / HTTP/1.1\r\nHost: a.example\r\nX: y\n\nGET /hidden HTTP/1.1\r\n\r\n"),
]:
    reject("T-05", name, data)

# T-06 Host ----------------------------------------------------------------------------------------------

reject("T-06", "no Host", request(host=None))
reject("T-06", "two equal Hosts", request(fields=["Host: a.example"]))
reject("T-06", "two different Hosts", request(fields=["Host: b.example"]))
reject("T-06", "two Hosts in different case", request(fields=["HOST: a.example"]))
reject("T-06", "two Hosts apart", request(fields=["X-A: b", "Host: c.example"]))
for host in [
    "a b", "a\tb", "a/b", "/a", "a?b", "a#b", "user@a", "@a", "a@", "a, b", "a\\b", "a<b", "a>b", 'a"b', "a^b", "a|b",
    "a`b", "{a}", "a\x80b", "a\xffb", "a\x00b", "a\x01b", "a\x7fb", "a%zz", "a%", "a%2", "a:b", "a:-1", "a:+80", "a:80a", "a:0x50",
    "a: 80", "a :80", "a:80:80", "a:99999", "a:65536", "a:18446744073709551696", "a:8 0", ":80", "[::1", "::1", "[::1]x", "[::1]80",
    "[::g]", "[]", "[", "]", "[::1]:99999", "[::1]:x", "[1:2:3]", "[:::1]", "[::1::]", "[1.2.3.4]", "http://a", "a/../b",
    "a..", "a..:80", "a..b", "..", ".", ".:80", "..a", "[::1].",
]:
    reject("T-06", f"Host {show(host)}", request(host=host))
for host in ["a", "a.example", "A.Example", "a.example.", "a:80", "a-b_c.d", "127.0.0.1", "127.0.0.1:8000", "[::1]", "[::1]:8443", "xn--bcher-kva.example"]:
    forward("T-06", f"Host {show(host)} is good", request(host=host), Seen())
for name, target, host in [
    ("an absolute target of another host", "http://b.example/", "a.example"),
    ("an absolute target of another port", "http://a.example:81/", "a.example:82"),
    ("an absolute target with a user", "http://user@a.example/", "a.example"),
    ("an absolute target without a host", "http:///", "a.example"),
    ("an absolute target of nothing", "http://", "a.example"),
    ("an absolute target with a bad port", "http://a.example:99999/", "a.example:99999"),
    ("an absolute target with one slash", "http:/a.example/", "a.example"),
    ("an absolute target of another scheme", "ftp://a.example/", "a.example"),
    ("an absolute target with a bad host", "http://a\\b/", "a.example"),
]:
    reject("T-06", name, request(target=target, host=host))
forward("T-06", "an absolute target that agrees with Host",
        request(target="http://a.example/x?y", host="a.example"), Seen(target="/x?y"))
forward("T-06", "an absolute target that agrees but for case",
        request(target="http://A.EXAMPLE/x", host="a.example"), Seen(target="/x"))
reject("T-06", "an absolute target and no Host", request(target="http://a.example/", host=None))
reject("T-06", "an absolute target and two Hosts", request(target="http://a.example/", fields=["Host: a.example"]))

# T-07 request lines -------------------------------------------------------------------------------------

for version in [
    "HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/9.9", "HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/1.10", "HTTP/1.1.1", "HTTP/11.1",
    "HTTP/01.1", "HTTP/1.01", "http/1.1", "Http/1.1", "HTTP/1.1x", "HTTP/1,1", "HTTP /1.1", "HTTP/ 1.1", "HTTP/1.1 ",
    "HTTP/1.1\t", "HTTP/1.1 x", "HTTPS/1.1", "ICY/1.1", "HTTP/a.b", "HTTP/+1.1", "HTTP/-1.1", "HTTP/1.1\x00", "HTTP1.1",
    "HTTP\\1.1", "/1.1", "XHTTP/1.1", "HTTP/1.\xb2",
]:
    reject("T-07", f"version {show(version)}", request(version=version), {400, 505})
for method in ["G@T", "GE,T", "(GET)", "GET\x00", "GE\x01T", "G\xc9T", "GET:", '"GET"', "GE/T", "G[T", "GE{T", "GET\x7f", "G" * 20_000]:
    reject("T-07", f"method {show(method)}", request(method), {400, 405, 414, 431, 501})
for name, line in [
    ("no version", "GET /"),
    ("no version and a space", "GET / "),
    ("no target", "GET HTTP/1.1"),
    ("no target but a space", "GET  HTTP/1.1"),
    ("no method", "/ HTTP/1.1"),
    ("a space before the method", " GET / HTTP/1.1"),
    ("a tab before the method", "\tGET / HTTP/1.1"),
    ("two spaces after the method", "GET  / HTTP/1.1"),
    ("two spaces before the version", "GET /  HTTP/1.1"),
    ("a tab after the method", "GET\t/ HTTP/1.1"),
    ("a tab before the version", "GET /\tHTTP/1.1"),
    ("a vertical tab between the parts", "GET\x0b/ HTTP/1.1"),
    ("a form feed between the parts", "GET / \x0cHTTP/1.1"),
    ("a space in the target", "GET /a b HTTP/1.1"),
    ("a tab in the target", "GET /a\tb HTTP/1.1"),
    ("a NUL in the target", "GET /a\x00b HTTP/1.1"),
    ("a control in the target", "GET /a\x01b HTTP/1.1"),
    ("DEL in the target", "GET /a\x7fb HTTP/1.1"),
    ("a CR in the target", "GET /a\rb HTTP/1.1"),
    ("a fragment in the target", "GET /a#b HTTP/1.1"),
    ("a target without a slash", "GET a HTTP/1.1"),
    ("a target of dots without a slash", "GET ../a HTTP/1.1"),
    ("a query without a path", "GET ?a HTTP/1.1"),
    ("an asterisk for GET", "GET * HTTP/1.1"),
    ("an authority for GET", "GET a.example:80 HTTP/1.1"),
    ("a line of nothing but spaces", "   "),
    ("a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
]:
    reject("T-07", name, raw(line) + b"\r\nHost: a.example\r\n\r\n", {400, 405, 505})
reject("T-07", "all but the last of HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n", {400, 405, 426, 505})
reject("T-07", "a field line where the request line should be", b"Host: a.example\r\n\r\n")
reject("T-07", "three empty lines before the request", b"\r\n\r\n\r\n" + request())
forward("T-07", "one empty line before the request is read over", b"\r\n" + request(), Seen())
forward("T-07", "a method nobody knows is a token like others", request("PURGE"), Seen("PURGE"))
forward("T-07", "an HTTP/1.0 request", request(version="HTTP/1.0"), Seen())
forward("T-07", "a request sent byte by byte", [bytes([b]) for b in request(target="/slow")], Seen(target="/slow"))
forward("T-07", "a request cut in the middle of its last line end", [request()[:-1], b"\n"], Seen())

# T-08 bodies where one does not expect them -------------------------------------------------------------

for method in ["GET", "DELETE", "OPTIONS", "PATCH", "PUT"]:
    forward("T-08", f"{method} with a length and a request after it",
            request(method, fields=["Content-Length: 5"], body=b"hello") + request(target="/next"),
            Seen(method, "/", b"hello"), Seen(target="/next"))
    forward("T-08", f"{method} with chunks and a request after it",
            request(method, fields=["Transfer-Encoding: chunked"], body=b"5\r\nhello\r\n0\r\n\r\n")
            + request(target="/next"), Seen(method, "/", b"hello"), Seen(target="/next"))
forward("T-08", "GET whose body looks like a request",
        request(fields=[f"Content-Length: {len(request(target='/hidden'))}"], body=request(target="/hidden")),
        Seen("GET", "/", request(target="/hidden")))
forward("T-08", "chunks that look like a request",
        chunked(b"17\r\nGET /hidden HTTP/1.1\r\n\r\r\n0\r\n\r\n"), Seen(POST, "/", b"GET /hidden HTTP/1.1\r\n\r"))

# T-09 nothing after an error ----------------------------------------------------------------------------

AFTER = request(target="/hidden")
for name, data in [
    ("a bad length", post(["Content-Length: +5"])),
    ("two lengths", post(["Content-Length: 5", "Content-Length: 5"])),
    ("length and coding", post(["Content-Length: 5", "Transfer-Encoding: chunked"], b"0\r\n\r\n")),
    ("an unknown coding", post(["Transfer-Encoding: x"], b"0\r\n\r\n")),
    ("a space before a colon", request(fields=["X-A : b"])),
    ("a fold", request(fields=["X-A: b", " c"])),
    ("a NUL", request(fields=["X-A: b\x00"])),
    ("no Host", request(host=None)),
    ("two Hosts", request(fields=["Host: b"])),
    ("a bad version", request(version="HTTP/2.0")),
    ("a bare LF", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    ("a bad method", request("G@T")),
]:
    reject("T-09", f"a request after {name}", data + AFTER, {400, 501, 505})
reject("T-09", "a request after a bad chunk", chunked(b"x\r\nhello\r\n0\r\n\r\n") + AFTER, partial=True)
reject("T-09", "a request after chunk data without its line end",
       chunked(b"5\r\nhelloXX0\r\n\r\n") + AFTER, partial=True)

# T-13 as many requests at the origin as answers at the client -------------------------------------------

forward("T-13", "two requests in one segment", request(target="/1") + request(target="/2"),
        Seen(target="/1"), Seen(target="/2"))
forward("T-13", "ten requests in one segment", b"".join(request(target=f"/{n}") for n in range(10)),
        *[Seen(target=f"/{n}") for n in range(10)])
forward("T-13", "a body, chunks and no body in a row",
        post(["Content-Length: 5"]) + chunked(b"5\r\nworld\r\n0\r\n\r\n") + request(target="/3"),
        Seen(POST, "/", b"hello"), Seen(POST, "/", b"world"), Seen(target="/3"))
forward("T-13", "a request cut at the head's end and one after it",
        [request(target="/1")[:-2], b"\r\n" + request(target="/2")], Seen(target="/1"), Seen(target="/2"))
forward("T-13", "a body cut in two and a request after it",
        [post(["Content-Length: 5"], b"he"), b"llo" + request(target="/2")], Seen(POST, "/", b"hello"), Seen(target="/2"))
forward("T-13", "Connection: close ends the line of requests",
        request(target="/1", fields=["Connection: close"]) + request(target="/hidden"), Seen(target="/1"))
forward("T-13", "HTTP/1.0 without keep-alive ends the line of requests",
        request(target="/1", version="HTTP/1.0") + request(target="/hidden"), Seen(target="/1"))
forward("T-13", "names that only look like framing do not frame",
        post(["Content-Length: 5", "X-Transfer-Encoding: chunked", "Content-Length-X: 9"]), Seen(POST, "/", b"hello"))

# T-14 trailers ------------------------------------------------------------------------------------------

for name in ["Content-Length: 9", "Transfer-Encoding: chunked", "Host: b.example", "Authorization: Basic eDp5",
             "X-Real-IP: 9.9.9.9", "X-Consumer-ID: 1", "Cookie: a=b", "Connection: close"]:
    forward("T-14", f"the trailer {name} is not passed on",
            chunked(b"5\r\nhello\r\n0\r\n" + raw(name) + b"\r\n\r\n"),
            Seen(POST, "/", b"hello"), has={"no-trailer": name.split(":")[0]})

# T-11 Connection and what it names ----------------------------------------------------------------------

for value, field in [("X-Foo", "X-Foo: 1"), ("close, X-Foo", "X-Foo: 1"), ("x-foo , X-Bar", "X-Foo: 1"),
                     ("X-Foo,,", "x-foo: 1"), ("keep-alive\r\nConnection: X-Foo", "X-Foo: 1")]:
    forward("T-11", f"a field named by Connection: {show(value)} ends here",
            request(fields=[f"Connection: {value}", field]), Seen(lacks=("X-Foo",)))
for field in ["Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "TE: gzip", "Upgrade: h2c", "Proxy: http://evil"]:
    forward("T-11", f"{field.split(':')[0]} is for this hop only", request(fields=[field]),
            Seen(lacks=(field.split(":")[0],)))
forward("T-11", "Connection cannot remove Host", request(fields=["Connection: close, Host"]),
        Seen(has={"Host": None}))
forward("T-11", "Connection cannot remove the body's framing",
        post(["Content-Length: 5", "Connection: close, Content-Length"]), Seen(POST, "/", b"hello"))
forward("T-11", "Connection cannot remove the chunked framing",
        chunked(b"5\r\nhello\r\n0\r\n\r\n", ["Transfer-Encoding: chunked", "Connection: close, Transfer-Encoding"]),
        Seen(POST, "/", b"hello"))
for own in ["X-Forwarded-For", "X-Real-IP", "X-Forwarded-Proto", "X-Forwarded-Host"]:
    forward("T-11", f"Connection cannot remove our {own}", request(fields=[f"Connection: close, {own}"]),
            Seen(has={own: None}), group="identity")

# T-20 identity fields from an untrusted client ----------------------------------------------------------

for field in [
    "X-Real-IP", "x-real-ip", "X-REAL-IP", "X_Real_IP", "X-Real_IP", "X-Forwarded-Proto", "x-forwarded-proto",
    "X_Forwarded_Proto", "X-Forwarded-Host", "X_FORWARDED_HOST", "X-Forwarded-Port", "X-Forwarded-Path",
    "X-Forwarded-Prefix", "X_Forwarded_Prefix", "X-Consumer-ID", "x-consumer-id", "X_Consumer_ID",
    "X-Consumer-Username", "X-Consumer_Username", "X-Consumer-Custom-ID", "X-Consumer-Groups", "X_Consumer_Groups",
    "X-Authenticated-Groups", "X-Credential-Identifier", "X_Credential_Identifier", "X-Anonymous-Consumer",
    "X_Anonymous_Consumer", "X-Forwarded-Client-Cert", "X_Forwarded_Client_Cert",
]:
    forward("T-20", f"{field} from outside does not arrive", request(fields=[f"{field}: spoofed-value"]),
            Seen(), has={"no-spoof": "spoofed-value"}, group="identity")
for field in ["X-Forwarded-For", "x-forwarded-for"]:
    forward("T-20", f"{field} ends in the address that we saw", request(fields=[f"{field}: 9.9.9.9"]),
            Seen(), has={"last-hop": "127.0.0.1"}, group="identity")
forward("T-20", "X_Forwarded_For is no alias", request(fields=["X_Forwarded_For: spoofed-value"]),
        Seen(), has={"no-spoof": "spoofed-value"}, group="identity")

# T-29 too much of anything ------------------------------------------------------------------------------

for name, data in [
    ("a target of 10 MB", request(target="/" + "a" * 10_000_000)),
    ("a target of 1 MB", request(target="/" + "a" * 1_000_000)),
    ("a query of 1 MB", request(target="/?" + "a" * 1_000_000)),
    ("a field value of 1 MB", request(fields=["X-A: " + "b" * 1_000_000])),
    ("a field name of 1 MB", request(fields=["a" * 1_000_000 + ": b"])),
    ("100,000 fields", request(fields=[f"X-{n}: b" for n in range(100_000)])),
    ("100,000 equal fields", request(fields=["X-A: b"] * 100_000)),
    ("1,000 fields of 1 KB", request(fields=[f"X-{n}: " + "b" * 1000 for n in range(1000)])),
    ("5,000 tiny fields", request(fields=["A:b"] * 5_000)),
    ("a Cookie of 1 MB", request(fields=["Cookie: " + "b" * 1_000_000])),
    ("a Host of 1 MB", request(host="a" * 1_000_000)),
    ("a method of 1 MB", request("A" * 1_000_000)),
    ("a line that never ends", b"GET /" + b"a" * 2_000_000),
    ("spaces that never end", b"GET / HTTP/1.1\r\nHost: a\r\nX-A:" + b" " * 2_000_000),
    ("empty lines that never end", b"\r\n" * 500_000),
]:
    reject("T-29", name, data, {400, 405, 413, 414, 431, 494, 501}, reset=True)
forward("T-29", "sixty fields are not too many", request(fields=[f"X-{n}: b" for n in range(60)]), Seen(has={"X-59": "b"}))
forward("T-29", "a cookie of 4 KB is not too large", request(fields=["Cookie: a=" + "b" * 4000]), Seen())
forward("T-29", "a target of 4 KB is not too long", request(target="/" + "a" * 4000), Seen(target="/" + "a" * 4000))
