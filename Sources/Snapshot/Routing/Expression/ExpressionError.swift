// Why an expression is refused, with the place and the way out.

/// A mistake in an expression.
public struct ExpressionError: Error, Sendable, Equatable {
    /// The bytes of the text that are wrong; empty at its end.
    public var range: Range<Int>
    /// What is wrong, without a place and without a full stop.
    public var message: String
    /// What to write instead.
    public var remedy: String

    public init(_ range: Range<Int>, _ message: String, remedy: String) {
        self.range = range
        self.message = message
        self.remedy = remedy
    }

    /// The message with where it happened in `text`: `there is no field http.hots, at column 5, before: http.hots == "a"`.
    public func located(in text: String) -> String { message + ExpressionPlace(range, in: text).description }
}

/// A place in an expression, for people.
public struct ExpressionPlace: Sendable, CustomStringConvertible {
    /// Counted from 1, in characters; of the line if the expression has several.
    public let column: Int
    /// Counted from 1.
    public let line: Int
    /// The text from there on, to the end of the line, shortened.
    public let excerpt: String
    private let hasLines: Bool

    private static let excerptLimit = 40

    public init(_ range: Range<Int>, in text: String) {
        let bytes = Array(text.utf8)
        let start = min(max(0, range.lowerBound), bytes.count)
        let lineStart = (bytes[..<start].lastIndex(of: 0x0A) ?? -1) + 1
        hasLines = bytes.contains(0x0A)
        line = bytes[..<start].count { $0 == 0x0A } + 1
        column = String(decoding: bytes[lineStart..<start], as: UTF8.self).unicodeScalars.count + 1
        let rest = String(decoding: bytes[start...].prefix { $0 != 0x0A }, as: UTF8.self)
        // Control characters of a stranger's file do not belong into a message.
        let shown = rest.unicodeScalars.prefix(Self.excerptLimit).map {
            $0.properties.generalCategory == .control ? " " : Character($0)
        }
        excerpt = String(shown) + (rest.unicodeScalars.count > Self.excerptLimit ? "…" : "")
    }

    public var description: String {
        let place = hasLines ? "at line \(line), column \(column)" : "at column \(column)"
        return excerpt.isEmpty ? ", \(place) (its end)" : ", \(place): \(excerpt)"
    }
}
