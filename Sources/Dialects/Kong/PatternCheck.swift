// Whether a regular expression compiles, told before any request meets it.

import Bytes
import CPCRE2

/// Compiles and discards; the proxy compiles its own.
enum PatternCheck {
    /// What is wrong with a pattern and where, or nil.
    static func problem(_ pattern: Bytes) -> (offset: Int, message: String)? {
        var code: Int32 = 0
        var offset = 0
        let compiled = unsafe pcre2_compile_8(
            UnsafePointer<UInt8>(bitPattern: pattern.address), pattern.count, 0, &code, &offset, nil)
        guard let compiled = unsafe compiled else {
            var buffer = [UInt8](repeating: 0, count: 256)
            let length = unsafe pcre2_get_error_message_8(code, &buffer, buffer.count)
            let text = length > 0 ? String(decoding: buffer.prefix(Int(length)), as: UTF8.self) : "error \(code)"
            return (offset, text)
        }
        unsafe pcre2_code_free_8(compiled)
        return nil
    }
}
