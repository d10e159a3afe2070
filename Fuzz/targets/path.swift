// Fuzz target: the canonical path. Whatever comes in, no dot segment and no empty segment comes out.

import Bytes
import Snapshot

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
    unsafe pieces(data, size) { input, _ in
        let buffer = Buffer(), escaped = Buffer()
        let target = input[0] == 0x2F ? input : Bytes("/")
        let path = target.prefix(PathNormalizer.queryOffset(in: target) ?? target.count)
        let canonical = PathNormalizer.normalize(path, into: buffer)
        require(canonical.count > 0 && canonical[0] == 0x2F, "a canonical path begins with a slash")
        var start = 1
        while start <= canonical.count {
            var end = start
            while end < canonical.count, canonical[end] != 0x2F { end += 1 }
            let segment = canonical[start..<end]
            require(!(segment == "."), "a dot segment is left")
            require(!(segment == ".."), "a double dot segment is left")
            require(segment.count > 0 || end == canonical.count, "an empty segment is left")
            start = end + 1
        }
        _ = PathNormalizer.isUTF8(canonical)
        PathNormalizer.escape(canonical, to: escaped)
        let visible = escaped.readable
        for index in 0..<visible.count {
            require(visible[index] > 0x20 && visible[index] < 0x7F, "an upstream path holds a byte that no target may")
        }
    }
    return 0
}
