// Fuzz target: PROXY protocol headers. A verdict stays whatever follows; what is written is read again.

import Bytes
import HTTP

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
    unsafe pieces(data, size) { input, seed in
        let whole = ProxyHeader.read(input)
        var cuts = Cuts(seed: seed)
        var at = 0
        while at < input.count {
            at = min(input.count, at + cuts.next())
            let partial = ProxyHeader.read(input.prefix(at))
            require(partial == .incomplete || partial == whole, "more bytes changed the verdict")
        }
        guard case .complete(let header) = whole else { return }
        require(header.length > 0 && header.length <= input.count, "a header longer than what was read")
        guard let ends = header.addresses else { return }
        writeAndRead(ends, 1)
        writeAndRead(ends, 2)
    }
    return 0
}

private func writeAndRead(_ ends: ProxyHeader.Addresses, _ version: UInt8) {
    let out = Buffer(capacity: 128)
    if version == 1 { ends.writeText(to: out) } else { ends.writeBinary(to: out) }
    guard case .complete(let again) = ProxyHeader.read(out.readable) else {
        return require(false, "what was written cannot be read")
    }
    require(again.length == out.count && again.version == version, "what was written reads otherwise")
    require(again.addresses == ends, "what was written tells of others")
}
