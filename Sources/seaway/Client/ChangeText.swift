// What a change does, entity by entity, as text.

import Model

struct ChangeText {
    let console: Console

    /// `+ service payments`, `~ route users` with its fields, `- plugin cors`; then a summary line.
    func text(_ answer: ConfigValue, dryRun: Bool) -> String {
        let changes = answer["changes"].array ?? []
        var lines = changes.map { one($0) }
        let summary = answer["summary"]
        let parts = [
            ("created", "to create", "created"), ("updated", "to change", "changed"),
            ("deleted", "to delete", "deleted"),
        ]
        .compactMap { key, future, past -> String? in
            let n = summary[key].int ?? 0
            return n == 0 ? nil : "\(n) \(dryRun ? future : past)"
        }
        lines.append(parts.isEmpty ? "nothing differs" : parts.joined(separator: ", "))
        return lines.joined(separator: "\n")
    }

    private func one(_ change: ConfigValue) -> String {
        let type = change["type"].string ?? ""
        let name = change["name"].string ?? change["id"].string ?? ""
        switch change["action"].string {
        case "create": return console.style(.green, "+ \(type)/\(name)")
        case "delete": return console.style(.red, "- \(type)/\(name)")
        default:
            let fields = (change["fields"].array ?? []).map { field in
                "\n    \(field["path"].string ?? ""): \(short(field["before"])) -> \(short(field["after"]))"
            }
            return console.style(.yellow, "~ \(type)/\(name)") + fields.joined()
        }
    }

    private func short(_ value: ConfigValue) -> String {
        let text = String(decoding: value.json, as: UTF8.self)
        return text.count <= 80 ? text : text.prefix(77) + "…"
    }
}
