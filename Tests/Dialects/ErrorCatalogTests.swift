// docs/errors.md and the code agree.

import Foundation
import Model
import Testing

@Test("every code has a paragraph in docs/errors.md, and every paragraph a code")
func everyCodeIsDocumented() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    let text = try String(contentsOf: root.appendingPathComponent("docs/errors.md"), encoding: .utf8)
    let documented = text.split(separator: "\n").compactMap { line -> String? in
        guard line.hasPrefix("**K"), let end = line.dropFirst(2).firstIndex(of: "*") else { return nil }
        return String(line[line.index(line.startIndex, offsetBy: 2)..<end])
    }
    // Told by the program, not by the reader of files: a file that cannot be opened, a shadowed route.
    let ofTheProgram = ["K009", "K090"]
    #expect(documented.sorted() == (DiagnosticCode.allCases.map(\.rawValue) + ofTheProgram).sorted())
}
