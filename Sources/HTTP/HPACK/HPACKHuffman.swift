// The Huffman code of header text (RFC 7541 section 5.2, appendix B).
//
// The code is canonical: codes of one length are consecutive, in the order of their symbols, and follow those
// that are shorter. So the lengths say it all, and the tables are made of them.

public import Bytes

/// Tables to decode with: one look-up finds one or two symbols of short codes; long codes, which text rarely
/// has, are found by length.
public final class HPACKHuffman: Sendable {
    /// The tables, made once.
    public static let shared = HPACKHuffman()

    /// Bits of a look-up: two of the symbols that text is mostly made of, at 16 KiB.
    private static let width = 12
    /// Symbol 256, which no text may hold: thirty ones.
    private static let endOfString = 256
    private static let lengthMax = 30

    /// By the next `width` bits: symbols in bits 0 to 15, their number in 16 to 23, the bits of their codes in
    /// 24 to 31 (0: a long code).
    private let short: [UInt32]
    /// By length: one past the last code, as 32 bits left-aligned; and where the codes of that length begin.
    private let limits: [UInt64]
    private let firsts: [UInt32]
    private let places: [Int]
    /// Symbols in the order of their codes.
    private let symbols: [UInt16]

    /// Length of each symbol's code in bits, 0 to 255, written as the letter at 0x60 + length.
    private static let lengths: StaticString = """
        mw|||||||x~||~||||||||~|||||||||fjjlmfhkjjhkhfffeeefffffffghoflj\
        mfgggggggggggggggggggggghghmsmnfoefefefffeggfffefgfeefgggggoknm|\
        tvttvvvwvwwwwwxwxxvwxwwwwuvwvwwxvutvvwwuwvvxuvwwuuvuwvwwtvvvwvvw\
        zztsvwvyzzz{{zxysuz{{z{xuuzz|{{{txtuvuuwvvyyxxzwz{zz{{{{{|{{{{{z
        """

    /// Length of a symbol's code in bits, 5 to 30.
    public static func length(_ symbol: UInt8) -> Int { Int(Bytes(lengths)[Int(symbol)]) - 0x60 }

    private init() {
        var limits = [UInt64](repeating: 0, count: Self.lengthMax + 1)
        var firsts = [UInt32](repeating: 0, count: Self.lengthMax + 1)
        var places = [Int](repeating: 0, count: Self.lengthMax + 1)
        var symbols: [UInt16] = []
        var code: UInt64 = 0
        for length in 1...Self.lengthMax {
            firsts[length] = UInt32(truncatingIfNeeded: code)
            places[length] = symbols.count
            let step = UInt64(1) << UInt64(32 - length)
            for symbol in 0...Self.endOfString {
                let own = symbol == Self.endOfString ? Self.lengthMax : Self.length(UInt8(truncatingIfNeeded: symbol))
                guard own == length else { continue }
                symbols.append(UInt16(symbol))
                code += step
            }
            limits[length] = code
        }
        self.limits = limits
        self.firsts = firsts
        self.places = places
        self.symbols = symbols
        short = (0..<(1 << Self.width)).map { index in
            let window = UInt32(index) << UInt32(32 - Self.width)
            guard let one = Self.search(window, limits, firsts, places), one.length <= Self.width else { return 0 }
            let first = UInt32(symbols[one.place])
            guard let two = Self.search(window << UInt32(one.length), limits, firsts, places),
                one.length + two.length <= Self.width
            else { return first | 1 << 16 | UInt32(one.length) << 24 }
            return first | UInt32(symbols[two.place]) << 8 | 2 << 16 | UInt32(one.length + two.length) << 24
        }
    }

    /// The code at the top of `window`: its length, and its symbol's place; nil never, the code is complete.
    private static func search(
        _ window: UInt32, _ limits: [UInt64], _ firsts: [UInt32], _ places: [Int]
    ) -> (length: Int, place: Int)? {
        var length = 5
        while length <= lengthMax {
            if UInt64(window) < limits[length] {
                return (length, places[length] + Int((window - firsts[length]) >> UInt32(32 - length)))
            }
            length += 1
        }
        return nil
    }

    /// Decodes `text` to the end of `out`.
    ///
    /// - Returns: false when it holds the end-of-string symbol, ends within a code, or is padded with anything but
    ///   up to seven ones; what was written by then stays.
    public func decode(_ text: Bytes, to out: Buffer) -> Bool {
        // Bits not decoded yet, from the top. Those past the first `held` may be there already, as they will be.
        var bits: UInt64 = 0
        var held = 0
        var at = 0
        // Eight bits become at most one and three fifths bytes, and the last word takes eight.
        out.reserve(text.count * 8 / 5 + 8)
        while at + 8 <= text.count {
            bits |= text.load64(at).byteSwapped >> UInt64(held)
            at += (63 - held) >> 3
            held |= 56
            // 56 bits are four look-ups, or a long code.
            var turn = 0
            while turn < 4 {
                let entry = short[Int(truncatingIfNeeded: bits >> UInt64(64 - Self.width))]
                if entry == 0 { break }
                out.append(word: UInt64(entry & 0xFFFF), count: Int(entry >> 16 & 0xFF))
                bits <<= UInt64(entry >> 24)
                held -= Int(entry >> 24)
                turn += 1
            }
            if turn == 0, !single(&bits, &held, out) { return false }
        }
        while true {
            while held <= 56, at < text.count {
                bits |= UInt64(text[at]) << UInt64(56 - held)
                at += 1
                held += 8
            }
            if held == 0 { return true }
            let entry = short[Int(truncatingIfNeeded: bits >> UInt64(64 - Self.width))]
            let both = Int(entry >> 24)
            if both > 0, both <= held {
                out.append(word: UInt64(entry & 0xFFFF), count: Int(entry >> 16 & 0xFF))
                bits <<= UInt64(both)
                held -= both
            } else if !single(&bits, &held, out) {
                // What is left should be padding.
                return held < 8 && bits == ~(UInt64.max >> UInt64(held))
            }
        }
    }

    /// Decodes the one symbol at the top; false when it is not there whole, or ends the string.
    private func single(_ bits: inout UInt64, _ held: inout Int, _ out: Buffer) -> Bool {
        guard let one = Self.search(UInt32(truncatingIfNeeded: bits >> 32), limits, firsts, places),
            one.length <= held
        else { return false }
        let symbol = Int(symbols[one.place])
        guard symbol != Self.endOfString else { return false }
        out.append(UInt8(truncatingIfNeeded: symbol))
        bits <<= UInt64(one.length)
        held -= one.length
        return true
    }
}
