// Fuzz target: kong.yml, YAML or JSON. Any bytes end in a model or in findings with a place, never in a trap.

import Bytes
import Dialects
import Model

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
    unsafe pieces(data, size) { input, seed in
        let result = KongFile.load(
            input, file: seed & 1 == 0 ? "kong.yml" : "kong.json", environment: ["DECK_X": "value"],
            lenient: seed & 2 != 0, expressions: seed & 4 != 0)
        require(result.model != nil || !result.findings.isEmpty, "a file was refused without a finding")
    }
    return 0
}
