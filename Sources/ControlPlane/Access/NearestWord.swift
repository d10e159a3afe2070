// "Did you mean": the word nearest to a misspelt one.

enum NearestWord {
    /// The candidate that the fewest edits turn `word` into, when that is few enough to be a slip of the hand.
    static func nearest(to word: String, in candidates: [String]) -> String? {
        let letters = Array(word.utf8)
        guard (1...64).contains(letters.count) else { return nil }
        let limit = max(1, min(3, letters.count / 3))
        let ranked = candidates.map { (distance: edits(letters, Array($0.utf8)), word: $0) }
        guard let best = ranked.min(by: { ($0.distance, $0.word) < ($1.distance, $1.word) }) else { return nil }
        return best.distance <= limit ? best.word : nil
    }

    /// Insertions, deletions and changes.
    private static func edits(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var row = Array(0...b.count)
        for (i, left) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, right) in b.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (left == right ? 0 : 1))
                diagonal = above
            }
        }
        return row[b.count]
    }
}
