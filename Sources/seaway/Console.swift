// Data on standard output, talk on standard error, colour only where a person looks.

import Bytes
import CLinux

/// Where the program speaks. One thread uses it.
struct Console: Sendable {
    enum Style: String {
        case bold = "1"
        case faint = "2"
        case red = "31"
        case green = "32"
        case yellow = "33"
    }

    static let standard = Console(
        colour: isatty(2) == 1 && Environment.value("NO_COLOR", default: "").isEmpty
            && Environment.value("TERM") != "dumb")

    /// Whether standard error gets colours: it is a terminal and NO_COLOR is unset or empty.
    let colour: Bool

    /// Data.
    func out(_ text: String) { write(text, to: 1) }

    /// Talk.
    func note(_ text: String) { write(text, to: 2) }

    /// One line of the running supervisor's story.
    func event(_ text: String) { write(style(.faint, "seaway: ") + text, to: 2) }

    func error(_ text: String) { write(style(.red, "error: ") + text, to: 2) }

    func style(_ style: Style, _ text: String) -> String {
        colour ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
    }

    /// Nothing is buffered; the name says that callers may rely on it before they exit.
    func flush() {}

    private func write(_ text: String, to descriptor: Int32) {
        var rest = Array((text.hasSuffix("\n") ? text : text + "\n").utf8)
        while !rest.isEmpty {
            let n = rest.withBytes { sys_write(descriptor, $0.address, $0.count) }
            if n < 0, sys_errno() == EINTR { continue }
            // A closed pipe or full disk: there is nobody left to tell.
            guard n > 0 else { return }
            rest.removeFirst(Int(n))
        }
    }
}
