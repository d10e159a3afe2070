// What is said about mistakes in expressions: the place, what is wrong, what to write.

import Bytes
import Snapshot
import Testing

struct ExpressionErrorTests {
    struct Mistake: CustomTestStringConvertible, Sendable {
        var text: String
        /// The bytes that are wrong, as they stand in the text; empty: its end.
        var at: String
        var message: String
        var remedy: String
        var domain = RouteExpression.Domain.http
        var testDescription: String { text }

        init(
            _ text: String, at: String, _ message: String, _ remedy: String, domain: RouteExpression.Domain = .http
        ) {
            (self.text, self.at, self.message, self.remedy, self.domain) = (text, at, message, remedy, domain)
        }
    }

    static let fields: [Mistake] = [
        Mistake(
            #"http.hots == "a""#, at: "http.hots", "there is no field http.hots", "did you mean http.host?"),
        Mistake(
            #"http.uri == "a""#, at: "http.uri", "there is no field http.uri", "did you mean http.path?"),
        Mistake(
            #"http.header.x == "a""#, at: "http.header.x", "there is no field http.header.x", "write http.headers.x"),
        Mistake(
            #"http.headers == "a""#, at: "http.headers", "there is no field http.headers",
            "did you mean http.headers.NAME?"),
        Mistake(
            #"http.headers. == "a""#, at: "http.headers.", "the header's name is missing", "write http.headers.x_tenant"
        ),
        Mistake(
            #"http.headers.x-a == "a""#, at: "-", "a field's name holds no -", "write _ for each - of a header's name"),
        Mistake(
            #"zzzzzzzz == 1"#, at: "zzzzzzzz", "there is no field zzzzzzzz",
            "the fields are net.protocol, tls.sni, http.method, http.host, http.path, http.path.segments.len, net.src.ip, "
                + "net.src.port, net.dst.ip, net.dst.port, http.path.segments.N, http.headers.NAME and http.queries.NAME"
        ),
        Mistake(
            #"http.path == "/" && http.method == "GET""#, at: "http.path",
            "http.path does not exist for a route of tcp, tls or udp",
            "such a route has net.protocol, net.src.ip, net.src.port, net.dst.ip, net.dst.port and tls.sni",
            domain: .stream),
    ]

    static let segments = [
        "len0", "len_a", "", "abc", "a_c", "1_2_3", "1_", "_1", "2_1", "1_1", "01_2", "001_2", "1_03", "1234567",
    ]

    static let operators: [Mistake] = [
        Mistake(#"http.path = "/a""#, at: "=", "= is no operator", "write =="),
        Mistake(#"http.path === "/a""#, at: "===", "=== is no operator", "write =="),
        Mistake(#"http.path =~ "/a""#, at: "=~", "=~ is no operator", "write ~"),
        Mistake(
            #"http.path !~ "/a""#, at: "!~", "!~ is no operator", "write !(… ~ …) around the whole predicate"),
        Mistake(#"http.path <> "/a""#, at: "<>", "<> is no operator", "write !="),
        Mistake(
            #"http.path ^ "/a""#, at: "^", "^ is no operator", "write ^= (begins with) or =^ (ends with)"),
        Mistake(#"http.path startswith "/a""#, at: "startswith", "startswith is no operator", "write ^="),
        Mistake(#"http.method is "GET""#, at: "is", "is is no operator", "write =="),
        Mistake(
            #"http.method not "GET""#, at: "not", "not is no operator",
            "write not in for a network, != for a value, !(…) for the rest"),
        Mistake(
            "http.path", at: "", "the operator after http.path is missing",
            #"write http.path == "…", or ^= (begins with), =^ (ends with), contains, ~ (regular expression)"#),
        Mistake(
            #"(http.path) == "/a""#, at: ")", "http.path is not compared with anything",
            #"write http.path == "…", or ^= (begins with), =^ (ends with), contains, ~ (regular expression)"#),
        Mistake(
            #"http.path "/a""#, at: #"""#, "an operator should stand after http.path",
            #"write http.path == "…", or ^= (begins with), =^ (ends with), contains, ~ (regular expression)"#),
        Mistake(
            #"http.path > "/a""#, at: ">", "> does not compare a string, which http.path is",
            #"write http.path == "…", or ^= (begins with), =^ (ends with), contains, ~ (regular expression)"#),
        Mistake(
            #"http.path in "/a""#, at: "in", "in does not compare a string, which http.path is",
            "write http.path contains … , or == for each value, joined with ||"),
        Mistake(
            "net.dst.port ~ 80", at: "~", "~ does not compare a number, which net.dst.port is",
            "write net.dst.port == 80, or !=, >, >=, <, <="),
        Mistake(
            "net.src.ip > 10.0.0.1", at: ">", "> does not compare an IP address, which net.src.ip is",
            "write net.src.ip == 192.0.2.1, or in 192.0.2.0/24"),
    ]

    static let literals: [Mistake] = [
        Mistake("http.path == 80", at: "80", "http.path is a string, and this is a number", #"write "80""#),
        Mistake("http.method == GET", at: "GET", "GET is no value", #"write "GET""#),
        Mistake("http.path == '/a'", at: "'", "strings stand in double quotes", "write \"…\""),
        Mistake(
            "http.path == ", at: "", "the value after the operator is missing",
            #"write http.path == "…", or ^= (begins with), =^ (ends with), contains, ~ (regular expression)"#),
        Mistake(
            #"http.method == ("GET")"#, at: "(", "there are no lists", "write (http.method == … || http.method == …)"),
        Mistake(
            "net.src.ip in [10.0.0.0/8]", at: "[", "there are no lists",
            "write (net.src.ip in 192.0.2.0/24 || net.src.ip == 198.51.100.7)"),
        Mistake(#"http.path == "/a"#, at: #"""#, "this string is not closed", #"add the missing ""#),
        Mistake(##"http.path == r#"/a""##, at: ##"r#""##, "this raw string is not closed", ##"end it with "#"##),
        Mistake(
            #"http.path ~ "\d""#, at: #"\d"#, #"only \" \\ \n \r and \t follow a backslash in a string"#,
            ##"write \\ for a backslash, or a raw string: r#"…"#"##),
        Mistake(
            #"net.dst.port == "80""#, at: #""80""#, "net.dst.port is a number, and this is a string",
            "write 80 without the quotes"),
        Mistake(
            #"net.src.ip == "10.0.0.1""#, at: #""10.0.0.1""#, "net.src.ip is an IP address, and this is a string",
            "write 10.0.0.1 without the quotes"),
        Mistake(
            "net.src.ip in 10.0.0.1/8", at: "10.0.0.1/8", "the address has bits past the length 8",
            "write 10.0.0.0/8 for the network, or == for the one address"),
        Mistake(
            "net.src.ip in 2001:db8::1/32", at: "2001:db8::1/32", "the address has bits past the length 32",
            "write 2001:db8::/32 for the network, or == for the one address"),
        Mistake(
            "net.src.ip in 10.0.0.1", at: "10.0.0.1", "in wants a network, not an address",
            "write net.src.ip == 10.0.0.1"),
        Mistake(
            "net.src.ip == 10.0.0.0/8", at: "10.0.0.0/8", "== wants an address, not a network",
            "write net.src.ip in 10.0.0.0/8"),
        Mistake(
            "net.src.ip == 10.0.0.256", at: "10.0.0.256", "10.0.0.256 is no IP address",
            "write four numbers up to 255, IPv6, or \"…\" for a string"),
        Mistake(
            "net.src.ip in 10.0.0.0/33", at: "10.0.0.0/33", "10.0.0.0/33 is no network",
            "write address/length, as in 192.0.2.0/24 or 2001:db8::/32"),
        Mistake(
            "net.src.ip in ::ffff:10.0.0.0/8", at: "::ffff:10.0.0.0/8", "::ffff:10.0.0.0/8 is no network",
            "write address/length, as in 192.0.2.0/24 or 2001:db8::/32"),
        Mistake(
            "net.dst.port == 089", at: "089", "089 is no number: a leading 0 makes it octal", "write it without the 0"),
        Mistake(
            "net.dst.port == 9223372036854775808", at: "9223372036854775808",
            "9223372036854775808 is no number of 64 bits", "write net.dst.port == 80, or !=, >, >=, <, <="),
        Mistake(
            "net.dst.port == 0x", at: "0x", "0x is no number of 64 bits",
            "write net.dst.port == 80, or !=, >, >=, <, <="),
        Mistake(
            #"http.path ~ "^/(abc""#, at: #"""#, "the regular expression does not compile: missing closing parenthesis",
            ##"mend the pattern; a raw string, r#"…"#, needs no doubled backslashes"##),
        Mistake(
            ##"http.host ~ r#"a*b[z-a]"#"##, at: "a]\"#",
            "the regular expression does not compile: range out of order in character class",
            ##"mend the pattern; a raw string, r#"…"#, needs no doubled backslashes"##),
    ]

    static let structure: [Mistake] = [
        Mistake("", at: "", "the expression is empty", #"write a predicate, as in http.path ^= "/""#),
        Mistake(" \n ", at: " \n ", "the expression is empty", #"write a predicate, as in http.path ^= "/""#),
        Mistake(
            #"! http.path == "/""#, at: "! ", "! stands only before a parenthesis",
            "write !(…) around what is to be turned round"),
        Mistake(
            #"http.path == "/" &&"#, at: "", "a predicate is missing", "add it, or remove what stands before"),
        Mistake(
            #"&& http.path == "/""#, at: "&", "a predicate is missing before &&", "add it, or remove the operator"),
        Mistake(#"http.path == "/" & http.path == "/""#, at: "&", "& is no operator", "write &&"),
        Mistake(#"http.path == "/" | http.path == "/""#, at: "|", "| is no operator", "write ||"),
        Mistake(#"http.path == "/" and http.path == "/""#, at: "and", "and is no operator", "write &&"),
        Mistake(#"http.path == "/" OR http.path == "/""#, at: "OR", "or is no operator", "write ||"),
        Mistake(#"http.path == "/", http.path == "/""#, at: ",", "a comma joins nothing", "write && or ||"),
        Mistake(
            #"http.path == "/" http.path == "/""#, at: "h", "&&, || or the end should stand here",
            "join predicates with && or ||"),
        Mistake(#"(http.path == "/""#, at: "(", "this parenthesis is not closed", "add the missing )"),
        Mistake(#"http.path == "/")"#, at: ")", "this parenthesis closes nothing", "remove it, or add its ("),
        Mistake("()", at: ")", "a predicate is missing before )", "add it, or remove the parentheses"),
        Mistake(
            #""/" == http.path"#, at: #"""#, "a predicate begins with a field",
            #"write the field first, as in http.path == "/a""#),
        Mistake(
            #"upper(http.path) == "/A""#, at: "upper", "there is no function upper()", "there are lower() and any()"),
        Mistake(
            #"lower(http.path == "/a")"#, at: "=", "the function is not closed after its field",
            "write ) after http.path; operators and values stand outside"),
        Mistake(
            #"lower("a") == http.path"#, at: #"""#, "a field should stand here", "write lower(http.path), for example"),
        Mistake(
            "lower(net.dst.port) == 80", at: "net.dst.port",
            "lower() takes a string, and net.dst.port is a number", "write net.dst.port alone"),
        Mistake(
            String(repeating: "(", count: 65) + #"http.path == "/""#, at: "(",
            "parentheses are nested more than 64 deep",
            "take out those that change nothing"),
    ]

    @Test("a mistake is told with its place and what to write", arguments: fields + operators + literals + structure)
    func mistake(_ mistake: Mistake) {
        let error = #expect(throws: ExpressionError.self) {
            try CompiledExpressions().check(mistake.text, domain: mistake.domain)
        }
        guard let error else { return }
        #expect(error.message == mistake.message)
        #expect(error.remedy == mistake.remedy)
        let bytes = Array(mistake.text.utf8)
        #expect(error.range.lowerBound >= 0 && error.range.upperBound <= bytes.count)
        let rest = String(decoding: bytes[error.range.lowerBound...], as: UTF8.self)
        let marked = String(decoding: bytes[error.range], as: UTF8.self)
        #expect(mistake.at.isEmpty ? rest.isEmpty : rest.hasPrefix(mistake.at) || marked == mistake.at, "at \(rest)")
    }

    @Test("a segment that is none is refused", arguments: segments)
    func segment(suffix: String) {
        for text in ["http.path.segments.\(suffix) == \"a\"", "http.path.segments.\(suffix) == 1"] {
            #expect(throws: ExpressionError.self) { try RouteExpression(parsing: text, domain: .http) }
        }
    }

    @Test("the place is told by line and column, with the text from there on")
    func place() {
        let text = "http.path == \"/é\" &&\n  http.hots == \"a\" && http.method == \"GETGETGETGETGETGETGET\""
        let error = #expect(throws: ExpressionError.self) { try RouteExpression(parsing: text, domain: .http) }
        #expect(
            error?.located(in: text)
                == "there is no field http.hots, at line 2, column 3: http.hots == \"a\" && http.method == \"GETG…")
        let short = "http.path == \"/é\" && x == 1"
        let other = #expect(throws: ExpressionError.self) { try RouteExpression(parsing: short, domain: .http) }
        #expect(other?.located(in: short).hasSuffix(", at column 22: x == 1") == true)
        let end = #expect(throws: ExpressionError.self) { try RouteExpression(parsing: "http.path", domain: .http) }
        #expect(end?.located(in: "http.path") == "the operator after http.path is missing, at column 10 (its end)")
    }

    @Test("at a limit an expression loads, past it not")
    func limits() throws {
        let one = "net.dst.port == 1"
        func nested(_ depth: Int) -> String {
            String(repeating: "(", count: depth) + one + String(repeating: ")", count: depth)
        }
        _ = try RouteExpression(parsing: nested(RouteExpression.depthLimit), domain: .http)
        #expect(throws: ExpressionError.self) {
            try RouteExpression(parsing: nested(RouteExpression.depthLimit + 1), domain: .http)
        }
        func chain(_ count: Int) -> String { Array(repeating: one, count: count).joined(separator: " || ") }
        _ = try CompiledExpressions().check(chain(RouteExpression.predicateLimit), domain: .http)
        let many = #expect(throws: ExpressionError.self) {
            try RouteExpression(parsing: chain(RouteExpression.predicateLimit + 1), domain: .http)
        }
        #expect(many?.message == "the expression has more than 1024 predicates")
        let padded = one + String(repeating: " ", count: RouteExpression.lengthLimit - one.utf8.count)
        _ = try RouteExpression(parsing: padded, domain: .http)
        let long = #expect(throws: ExpressionError.self) { try RouteExpression(parsing: padded + " ", domain: .http) }
        #expect(long?.message == "the expression is longer than 65536 bytes")
        let functions = String(repeating: "any(", count: 65) + "http.path" + String(repeating: ")", count: 65)
        #expect(throws: ExpressionError.self) { try RouteExpression(parsing: functions + " == \"/\"", domain: .http) }
    }

    @Test(
        "what hardly means what it says is remarked on",
        arguments: [
            ("net.port == 80", "net.port is the old name of net.dst.port"),
            (#"lower(http.path) ^= "/A""#, "lower() leaves no capital letters, and the string has some"),
            (#"net.protocol == "grpc""#, "net.protocol is http or https, tcp, tls or udp, never grpc"),
            ("net.dst.port == 65536", "a port is at most 65535"),
        ])
    func remarks(text: String, message: String) throws {
        #expect(try RouteExpression(parsing: text, domain: .http).remarks.map(\.message) == [message])
    }

    @Test("an expression that is right has no remark")
    func silence() throws {
        let text = #"lower(http.path) == "/a" && http.path == "/A" && net.protocol == "https" && net.dst.port == 65535"#
        #expect(try RouteExpression(parsing: text, domain: .http).remarks.isEmpty)
    }
}
