// What is stored, read back by the readers that read files.

import Bytes
import Model

extension KongLoader {
    /// Reads the specs of entities of one kind and adds them to the model; references to others stay in `pending`.
    ///
    /// - Parameter specs: ids and canonical JSON.
    func readStored(_ kind: EntityKind, _ specs: some Collection<(id: Identifier, spec: [UInt8])>) {
        var text = Array("{\"\(kind.rawValue)\":[".utf8)
        text.reserveCapacity(specs.reduce(text.count + 2) { $0 + $1.spec.count + 1 })
        for (index, entity) in specs.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            text.append(contentsOf: entity.spec)
        }
        text.append(contentsOf: "]}".utf8)
        let parsed = text.withBytes { try? JSONReader.read($0, limits: DocumentLimits()).0 }
        if let parsed, parsed.count(parsed.member(parsed.root, kind.rawValue)) == specs.count {
            goOn(with: parsed)
            readEntities(kind, parsed.member(parsed.root, kind.rawValue), parent: nil)
        } else if specs.count > 1 {
            for entity in specs { readStored(kind, CollectionOfOne(entity)) }
        } else if let entity = specs.first {
            report(
                .syntax, at: Document.none, in: [], "what is stored of \(kind.singular) \(entity.id) is no JSON record",
                remedy: "restore it from a backup, or delete it and create it again")
        }
    }
}
