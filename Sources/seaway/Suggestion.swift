// Did you mean …? For commands; the argument parser does the same for flags.

import ArgumentParser

enum Suggestion {
    /// What to say about the first word that is no command where a command was due; nil if there is none.
    static func hint(_ arguments: some Sequence<String>) -> String? {
        var command: any ParsableCommand.Type = Seaway.self
        for word in arguments {
            let subcommands = command.configuration.subcommands
            guard !subcommands.isEmpty, !word.hasPrefix("-"), word != "help" else { return nil }
            if let next = subcommands.first(where: { name($0) == word }) {
                command = next
                continue
            }
            let names = subcommands.map(name)
            let nearest = names.map { (name: $0, distance: distance(word, $0)) }.min { $0.distance < $1.distance }
            guard let nearest, nearest.distance <= 2 else {
                return "there is no command \"\(word)\". Commands: \(names.joined(separator: ", "))."
            }
            return "there is no command \"\(word)\". Did you mean \"\(nearest.name)\"?"
        }
        return nil
    }

    private static func name(_ command: any ParsableCommand.Type) -> String {
        command.configuration.commandName ?? "\(command)".lowercased()
    }

    /// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. Both are
    /// cut at 32 characters.
    static func distance(_ a: String, _ b: String) -> Int {
        let a = Array(a.prefix(32))
        let b = Array(b.prefix(32))
        var rows = [Array(0...b.count)]
        for i in 0..<a.count {
            var row = [i + 1]
            for j in 0..<b.count {
                let change = rows[i][j] + (a[i] == b[j] ? 0 : 1)
                var best = min(change, rows[i][j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[a.count][b.count]
    }
}
