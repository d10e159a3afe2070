// Documents of any shape, YAML or JSON, as values that still know their lines.

public import Model

/// One document of a file.
public struct ConfigDocument: Sendable {
    /// What it says. YAML's `1:30` and `0x1F` are integers, `yes` is a boolean, as for kong.yml.
    public let value: ConfigValue
    private let document: Document
    private let node: Int

    init(value: ConfigValue, document: Document, node: Int) {
        self.value = value
        self.document = document
        self.node = node
    }

    /// The place of what stands at a path such as `spec.paths[1]`, or of the nearest thing around it that is there.
    public func place(of path: String) -> (line: Int, column: Int) { (0, 0) }
}

extension ConfigDocument {
    /// Reads a file of one or several documents (`---` in YAML); empty ones are passed over.
    ///
    /// - Returns: the documents, none when there are errors; and the findings.
    public static func read(_ text: [UInt8], file: String) -> (documents: [ConfigDocument], findings: [Diagnostic]) {
        ([], [])
    }
}
