// Fuzz target: ClientHello messages. A verdict stays whatever follows, and a name is one.

import Bytes
import HTTP

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
    let reader = ClientHelloReader()
    unsafe pieces(data, size) { input, seed in
        let whole = reader.read(input)
        if whole == .complete {
            let name = reader.serverName.readable
            require(name.count <= 255, "a name longer than any")
            for index in 0..<name.count {
                require(name[index] > 0x20 && name[index] < 0x7F, "a byte that no name holds")
            }
            if !name.isEmpty { require(name[0] != 0x2E && name[name.count - 1] != 0x2E, "an empty label") }
        }
        let name = reader.serverName.readable.array
        let protocols = reader.protocols.readable.array
        var cuts = Cuts(seed: seed)
        var at = 0
        while at < input.count {
            at = min(input.count, at + cuts.next() * 16)
            let partial = reader.read(input.prefix(at))
            require(partial == .incomplete || partial == whole, "more bytes changed the verdict")
            guard partial == .complete else { continue }
            require(reader.serverName.readable.array == name, "more bytes changed the name")
            require(reader.protocols.readable.array == protocols, "more bytes changed the protocols")
        }
    }
    return 0
}
