// Diagnostics for people: what, where with the line shown, why, and the fix.

import Bytes
import Model

/// Prints findings to standard error, or gives them as text.
struct Report {
    let console: Console

    func print(_ diagnostics: [Diagnostic], source: [UInt8]) {
        guard !diagnostics.isEmpty else { return }
        console.note(text(diagnostics, source: source))
    }

    /// All findings and a summary line.
    func text(_ diagnostics: [Diagnostic], source: [UInt8]) -> String {
        guard !diagnostics.isEmpty else { return "" }
        let lines = SourceLines(source)
        return diagnostics.map { one($0, lines) }.joined(separator: "\n\n") + "\n\n" + Self.summary(diagnostics)
    }

    /// `2 errors, 1 warning`
    static func summary(_ diagnostics: [Diagnostic]) -> String {
        let kinds: [(Diagnostic.Severity, String)] = [(.error, "error"), (.omitted, "left out"), (.warning, "warning")]
        let parts = kinds.compactMap { severity, noun -> String? in
            let n = diagnostics.count { $0.severity == severity }
            return n == 0 ? nil : severity == .omitted ? "\(n) \(noun)" : counted(n, noun)
        }
        return parts.isEmpty ? "no findings" : parts.joined(separator: ", ")
    }

    private func one(_ diagnostic: Diagnostic, _ lines: SourceLines) -> String {
        let colour: Console.Style = diagnostic.severity == .error ? .red : .yellow
        let word = diagnostic.severity == .omitted ? "left out" : diagnostic.severity.rawValue
        var place = diagnostic.file
        if diagnostic.line > 0 { place += ":\(diagnostic.line)" }
        if diagnostic.line > 0, diagnostic.column > 0 { place += ":\(diagnostic.column)" }
        var subject = diagnostic.entity
        if !diagnostic.field.isEmpty { subject += subject.isEmpty ? diagnostic.field : ", field \(diagnostic.field)" }
        var out = console.style(.bold, place + ":") + " " + console.style(colour, "\(word) \(diagnostic.code)")
        out += "\n  " + (subject.isEmpty ? "" : subject + ": ") + diagnostic.message
        if let line = lines[diagnostic.line] {
            let number = String(diagnostic.line)
            out += "\n  " + console.style(.faint, "\(number) | ") + line.text
            if let caret = line.caret(diagnostic.column) {
                out += "\n  " + String(repeating: " ", count: number.count) + console.style(.faint, " | ") + caret
            }
        }
        if !diagnostic.remedy.isEmpty { out += "\n  " + console.style(.green, "fix: ") + diagnostic.remedy }
        return out
    }
}

/// Lines of a file by number, made safe for a terminal.
struct SourceLines {
    struct Line {
        var text: String

        /// `^` under the column, where the line is short enough to show it.
        func caret(_ column: Int) -> String? {
            guard column > 0, column <= text.unicodeScalars.count + 1, column < SourceLines.widthLimit else {
                return nil
            }
            return String(repeating: " ", count: column - 1) + "^"
        }
    }

    /// Characters of a line that are shown.
    static let widthLimit = 160
    private let source: [UInt8]
    private let starts: [Int]

    init(_ source: [UInt8]) {
        self.source = source
        var starts = [0]
        for (index, byte) in source.enumerated() where byte == 0x0A { starts.append(index + 1) }
        self.starts = starts
    }

    /// 1-based; nil outside the file.
    subscript(number: Int) -> Line? {
        guard number >= 1, number <= starts.count else { return nil }
        let start = starts[number - 1]
        let end = number < starts.count ? starts[number] - 1 : source.count
        guard start < end else { return nil }
        let text = String(decoding: source[start..<min(end, start + 4 * Self.widthLimit)], as: UTF8.self)
        // Control characters of a stranger's file must not reach the terminal.
        let safe = text.unicodeScalars.map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? " " : Character($0) }
        return Line(text: safe.count > Self.widthLimit ? String(safe.prefix(Self.widthLimit)) + "…" : String(safe))
    }
}
