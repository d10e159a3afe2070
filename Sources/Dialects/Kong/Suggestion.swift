// "Did you mean": the nearest known word.

/// Nearest-word search over small lists.
enum Suggestion {
    /// The candidate nearest to `word` by edits, if it is near enough to be a slip of the hand.
    static func nearest(to word: String, in candidates: some Sequence<String>) -> String? {
        guard word.utf8.count <= 64 else { return nil }
        let limit = max(1, min(3, word.utf8.count / 3))
        var best: (distance: Int, word: String)?
        for candidate in candidates {
            guard abs(candidate.utf8.count - word.utf8.count) <= limit else { continue }
            let distance = edits(Array(word.utf8), Array(candidate.utf8))
            guard distance <= limit else { continue }
            if let current = best, (current.distance, current.word) <= (distance, candidate) { continue }
            best = (distance, candidate)
        }
        return best?.word
    }

    /// Insertions, deletions, changes and swaps of neighbours.
    private static func edits(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var before: [Int] = []
        var previous = Array(0...b.count)
        for i in 0..<a.count {
            var current = [i + 1]
            for j in 0..<b.count {
                var cost = min(previous[j + 1] + 1, current[j] + 1, previous[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, before[j - 1] + 1) }
                current.append(cost)
            }
            before = previous
            previous = current
        }
        return previous[b.count]
    }
}
