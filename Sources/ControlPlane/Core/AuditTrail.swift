// What the audit log says of a change.

internal import Model
internal import Store

enum AuditTrail {
    /// Resources named one by one; of more, the log has one line with their number and the revision has the list.
    private static let namedMax = 200

    static func records(_ changes: [Change], _ author: Author, _ message: String, _ now: Int64) -> [AuditRecord] {
        guard changes.count <= namedMax else {
            return [record(author, now, "apply", "\(changes.count) resources", message)]
        }
        return changes.map { change in
            let action = change.before == nil ? "create" : change.after == nil ? "delete" : "update"
            let name = change.after?.name ?? change.before?.name ?? change.key.id.description
            return record(author, now, action, "\(change.key.type)/\(name)", message)
        }
    }

    private static func record(
        _ author: Author, _ now: Int64, _ action: String, _ target: String, _ message: String
    ) -> AuditRecord {
        AuditRecord(
            time: now, actor: author.name, address: author.address, action: action, target: target,
            outcome: "allowed", detail: message)
    }
}
