// Rows of text in columns, for people.

struct Table {
    var head: [String]
    var rows: [[String]] = []

    /// Columns as wide as their widest cell, two spaces apart; the head in capitals.
    var text: String {
        let all = [head.map { $0.uppercased() }] + rows
        var widths = [Int](repeating: 0, count: head.count)
        for row in all { for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) } }
        return all.map { row in
            let cells = row.enumerated().map { column, cell in
                column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }
            var line = cells.joined(separator: "  ")
            while line.hasSuffix(" ") { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }
}
