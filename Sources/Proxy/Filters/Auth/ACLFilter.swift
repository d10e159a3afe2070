// acl: groups that may or may not pass.

import Bytes
import HTTP
import Snapshot

final class ACLFilter: FilterInstance, @unchecked Sendable {
    private let isAllowList: Bool
    private let groups: Set<Int32>
    private let hidesGroups: Bool
    private let credentials: CredentialIndex

    init(_ config: ACL, _ credentials: CredentialIndex) {
        isAllowList = !config.allow.isEmpty
        groups = credentials.groups(named: isAllowList ? config.allow : config.deny)
        hidesGroups = config.hideGroupsHeader
        self.credentials = credentials
    }

    override var name: StaticString { "acl" }

    override func access(_ x: Exchange) -> FilterVerdict {
        guard x.consumer >= 0 else { return x.replyError(401, Bytes("Unauthorized")) }
        guard credentials.isConsumer(x.consumer, in: groups) == isAllowList else {
            return x.replyError(403, Bytes("You cannot consume this service"))
        }
        if !hidesGroups {
            IdentityHeaders.remove(IdentityHeaders.groups, from: x.requestHeaders)
            let list = credentials.groupLists[x.consumer]
            if !list.isEmpty { x.requestHeaders.add(Bytes(IdentityHeaders.groups), list) }
        }
        return .next
    }
}
