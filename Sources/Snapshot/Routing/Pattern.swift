// A regular expression of a route, compiled by PCRE2, with limits on what a match may cost.

internal import Bytes
internal import CPCRE2

/// Why a pattern was refused.
public struct PatternError: Error, Equatable, Sendable {
    /// Byte offset in the pattern.
    public var offset: Int
    public var message: String
}

/// Owns the compiled patterns of one table. They are read-only once built, so workers share them.
///
/// The dialect that Kong's default router accepts (linear time, no look-around) is a subset of
/// PCRE2's; what backtracks too long is cut off by `PatternMatcher.matchLimit` and does not match.
@safe
final class PatternStore {
    /// Compiled code by pattern index.
    private var codes: [Code] = []
    /// Patterns above this count are interpreted: native code costs about 4 KB and 30 µs each.
    static let nativeLimit = 1000

    /// One compiled pattern; `PatternStore` frees it.
    @safe
    struct Code { let pointer: OpaquePointer }

    init() {}

    deinit {
        for code in codes { unsafe pcre2_code_free_8(code.pointer) }
    }

    var count: Int { codes.count }

    /// Compiles `text`, which matches characters, not bytes; `$` is the very end.
    func add(_ text: Bytes) throws(PatternError) -> Int {
        let options =
            UInt32(PCRE2_UTF) | UInt32(PCRE2_UCP) | UInt32(PCRE2_DOLLAR_ENDONLY)
            | UInt32(PCRE2_NEVER_BACKSLASH_C)
        var code: Int32 = 0
        var offset = 0
        let compiled = unsafe pcre2_compile_8(
            UnsafePointer(bitPattern: text.address), text.count, options, &code, &offset, nil)
        guard let compiled = unsafe compiled else {
            throw PatternError(offset: offset, message: Self.message(code))
        }
        if codes.count < Self.nativeLimit {
            // Without native code the interpreter matches the same.
            _ = unsafe pcre2_jit_compile_8(compiled, UInt32(PCRE2_JIT_COMPLETE))
        }
        codes.append(unsafe Code(pointer: compiled))
        return codes.count - 1
    }

    private static func message(_ code: Int32) -> String {
        var text = [UInt8](repeating: 0, count: 256)
        let count = unsafe text.withUnsafeMutableBufferPointer {
            unsafe pcre2_get_error_message_8(code, $0.baseAddress, $0.count)
        }
        return String(decoding: text.prefix(max(0, Int(count))), as: UTF8.self)
    }

    /// Runs pattern `index` on `subject`.
    func match(_ index: Int, _ subject: Bytes, validUTF8: Bool, with matcher: PatternMatcher) -> PatternMatcher.Answer {
        matcher.run(codes[index], subject, validUTF8: validUTF8)
    }

    /// The named groups of pattern `index`, in order of name.
    func names(_ index: Int) -> [(name: String, group: Int)] {
        var names: [(name: String, group: Int)] = []
        eachName(index) { name, group in
            names.append((name.string, group))
            return false
        }
        return names
    }

    /// The number of the group called `name` in pattern `index`, or -1.
    func group(_ index: Int, named name: Bytes) -> Int {
        var found = -1
        eachName(index) { other, group in
            if other == name { found = group }
            return found >= 0
        }
        return found
    }

    /// Calls `body` with each named group until it returns true. Each entry of PCRE2's table is the
    /// group's number in two bytes, the name, a NUL (pcre2api, PCRE2_INFO_NAMETABLE).
    private func eachName(_ index: Int, _ body: (_ name: Bytes, _ group: Int) -> Bool) {
        let code = unsafe codes[index].pointer
        var count: UInt32 = 0
        var entrySize: UInt32 = 0
        var table: UnsafePointer<UInt8>?
        _ = unsafe pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_NAMECOUNT), &count)
        _ = unsafe pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_NAMEENTRYSIZE), &entrySize)
        _ = unsafe pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_NAMETABLE), &table)
        guard let table = unsafe table else { return }
        let all = unsafe Bytes(unsafeBase: UnsafeRawPointer(table), count: Int(count) * Int(entrySize))
        for number in 0..<Int(count) {
            let entry = all[number * Int(entrySize)..<(number + 1) * Int(entrySize)]
            let name = entry.dropFirst(2)
            let end = name.firstIndex(of: 0) ?? name.count
            if body(name.prefix(end), Int(entry[0]) << 8 | Int(entry[1])) { return }
        }
    }
}

/// What one worker needs to run patterns; reused for every match.
@safe
final class PatternMatcher {
    /// `limit`: given up, because it would take too many steps or too much memory.
    enum Answer { case no, limit, yes(groups: Int) }

    /// Groups whose offsets are kept: the whole match and 63 more.
    static let groupLimit = 64
    /// Steps of one match; a pattern that needs more does not match.
    static let matchLimit: UInt32 = 100_000
    /// Kilobytes that the interpreter may take for one match: a longest header field (16 KiB) under `(?:a|b)+`
    /// takes six megabytes. What is given up does not match, and a rule that refuses would be passed.
    static let heapLimit: UInt32 = 8 * 1024
    /// Bytes that native code may take; they are only reserved until a match needs them.
    static let stackLimit = 2 << 20

    private let data: OpaquePointer
    private let context: OpaquePointer
    private let stack: OpaquePointer?
    /// The last subject, if it was not UTF-8.
    private var repaired = RepairedText()
    private var isRepaired = false

    init() {
        guard let data = unsafe pcre2_match_data_create_8(UInt32(Self.groupLimit), nil),
            let context = unsafe pcre2_match_context_create_8(nil)
        else { fatalError("out of memory") }
        unsafe self.data = data
        unsafe self.context = context
        unsafe stack = pcre2_jit_stack_create_8(16 * 1024, Self.stackLimit, nil)
        _ = unsafe pcre2_set_match_limit_8(context, Self.matchLimit)
        _ = unsafe pcre2_set_heap_limit_8(context, Self.heapLimit)
        unsafe pcre2_jit_stack_assign_8(context, nil, UnsafeMutableRawPointer(stack))
    }

    deinit {
        unsafe pcre2_match_data_free_8(data)
        unsafe pcre2_match_context_free_8(context)
        unsafe pcre2_jit_stack_free_8(stack)
    }

    /// Bytes that its largest buffer has room for.
    var capacity: Int { repaired.capacity }

    /// - Parameter validUTF8: `subject` is known to be UTF-8. Otherwise bytes that are not match as their
    ///   Latin-1 characters (`RepairedText`): a rule must not be passed by what it cannot read.
    func run(_ code: PatternStore.Code, _ subject: Bytes, validUTF8: Bool) -> Answer {
        isRepaired = false
        var result = attempt(code, subject, validUTF8: validUTF8)
        if result <= PCRE2_ERROR_UTF8_ERR1, result >= PCRE2_ERROR_UTF8_ERR21 {
            isRepaired = true
            result = attempt(code, repaired.set(subject), validUTF8: true)
        }
        if result > 0 { return .yes(groups: Int(result)) }
        if result == 0 { return .yes(groups: Self.groupLimit) }
        return result == PCRE2_ERROR_NOMATCH ? .no : .limit
    }

    private func attempt(_ code: PatternStore.Code, _ subject: Bytes, validUTF8: Bool) -> Int32 {
        unsafe pcre2_match_8(
            code.pointer, UnsafePointer(bitPattern: subject.address), subject.count, 0,
            validUTF8 ? UInt32(PCRE2_NO_UTF_CHECK) : 0, data, context)
    }

    /// The range of `group` in the last subject that matched; nil if the group took no part.
    func range(_ group: Int) -> Range<Int>? {
        guard group >= 0, group < Self.groupLimit, let offsets = unsafe pcre2_get_ovector_pointer_8(data) else {
            return nil
        }
        let start = unsafe offsets[2 * group]
        let end = unsafe offsets[2 * group + 1]
        guard start != Int.max, start >= 0, end >= start, start != -1 else { return nil }
        return isRepaired ? repaired.original(start)..<repaired.original(end) : start..<end
    }
}
