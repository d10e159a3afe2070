// The time of day, for records that people read.

import Foundation

public enum Clock {
    /// Unix milliseconds.
    public static func now() -> Int64 { Int64((Date().timeIntervalSince1970 * 1000).rounded()) }
}
