// Who has which key or password: built once for a snapshot, shared by its filters and all workers.

import Bytes
import Snapshot

/// Credentials and consumers of one snapshot, ready to be looked up by bytes.
final class CredentialIndex: Sendable {
    /// Consumers' texts as header values, by the consumer's index.
    let usernames: ByteTable
    let customIDs: ByteTable
    /// Group names of each consumer, joined with `, `.
    let groupLists: ByteTable
    private let ids: [ID]
    private let groupEnds: [Int]
    private let groupNumbers: [Int32]
    private let groupNames: [String: Int32]

    private let keys: ByteIndex
    private let keyOwners: [KeyOwner]
    /// User names as header values, by credential.
    let userLabels: ByteTable
    private let users: ByteIndex
    private let userOwners: [UserOwner]

    /// Whom a key belongs to.
    struct KeyOwner: Sendable {
        var id: ID
        var consumer: Int
        /// Unix seconds; 0: never.
        var expiresAt: Int
    }

    /// Whom a name and password belong to.
    struct UserOwner: Sendable {
        var id: ID
        var consumer: Int
        var name: String
        /// Index into `userLabels`.
        var label: Int
        var digest: InlineArray<20, UInt8>
        /// The stored hash was no SHA-1 in hexadecimal: no password fits.
        var isUsable: Bool
    }

    /// - Parameter seed: secret; the same for the life of the process.
    init(_ snapshot: Snapshot, seed: UInt64) {
        let usernames = ByteTable()
        let customIDs = ByteTable()
        let groupLists = ByteTable()
        var groupEnds: [Int] = []
        var groupNumbers: [Int32] = []
        var groupNames: [String: Int32] = [:]
        for consumer in snapshot.consumers {
            usernames.append(HeaderText.clean(consumer.username))
            customIDs.append(HeaderText.clean(consumer.customID))
            groupLists.append(HeaderText.clean(consumer.groups.joined(separator: ", ")))
            for group in consumer.groups {
                let number = groupNames[group] ?? Int32(groupNames.count)
                groupNames[group] = number
                groupNumbers.append(number)
            }
            groupEnds.append(groupNumbers.count)
        }
        self.usernames = usernames
        self.customIDs = customIDs
        self.groupLists = groupLists
        self.groupEnds = groupEnds
        self.groupNumbers = groupNumbers
        self.groupNames = groupNames
        ids = snapshot.consumers.map(\.id)

        let keyTable = ByteTable()
        for credential in snapshot.keyCredentials { keyTable.append(credential.key) }
        keys = ByteIndex(keyTable, seed: seed)
        keyOwners = snapshot.keyCredentials.map { KeyOwner(id: $0.id, consumer: $0.consumer, expiresAt: $0.expiresAt) }

        let userTable = ByteTable()
        let userLabels = ByteTable()
        for credential in snapshot.basicCredentials {
            userTable.append(credential.username)
            userLabels.append(HeaderText.clean(credential.username))
        }
        self.userLabels = userLabels
        users = ByteIndex(userTable, seed: seed)
        userOwners = snapshot.basicCredentials.enumerated().map { index, user in
            let digest = Self.digest(user.passwordHash)
            return UserOwner(
                id: user.id, consumer: user.consumer, name: user.username, label: index,
                digest: digest ?? InlineArray(repeating: 0), isUsable: digest != nil)
        }
    }

    /// The id of a consumer of the snapshot.
    func id(of consumer: Int) -> ID { ids[consumer] }

    /// The consumer whose id or username `text` is, as `anonymous` names it.
    func consumer(named text: String) -> Int? {
        if let id = ID(text), let index = ids.firstIndex(of: id) { return index }
        return text.withBytes { text in (0..<usernames.count).first { usernames[$0] == text } }
    }

    // MARK: Keys

    /// The owner of `key`, unless it has expired.
    /// - Parameter now: Unix seconds.
    func owner(ofKey key: Bytes, now: Int) -> KeyOwner? {
        guard let number = keys.find(key) else { return nil }
        let owner = keyOwners[number]
        return owner.expiresAt > 0 && owner.expiresAt <= now ? nil : owner
    }

    // MARK: Names and passwords

    /// The owner of `name` if `password` is theirs. An unknown name costs what a wrong password does.
    func owner(ofName name: Bytes, password: Bytes) -> UserOwner? {
        let number = users.find(name)
        let consumer = number.map { ids[userOwners[$0].consumer] } ?? ID()
        var hash = SHA1()
        hash.update(password)
        Self.update(&hash, consumer)
        let digest = hash.finish()
        let stored = number.map { userOwners[$0].digest } ?? InlineArray(repeating: 0)
        var difference: UInt8 = 0
        for i in 0..<20 { difference |= digest[i] ^ stored[i] }
        guard difference == 0, let number, userOwners[number].isUsable else { return nil }
        return userOwners[number]
    }

    /// Feeds the id as text, without making a string.
    private static func update(_ hash: inout SHA1, _ id: ID) {
        var text = InlineArray<36, UInt8>(repeating: 0x2D)
        var at = 0
        for digit in 0..<32 {
            if digit == 8 || digit == 12 || digit == 16 || digit == 20 { at += 1 }
            let word = digit < 16 ? id.high : id.low
            let nibble = UInt8(truncatingIfNeeded: word >> UInt64(60 - digit % 16 * 4) & 15)
            text[at] = nibble < 10 ? 0x30 + nibble : 0x57 + nibble
            at += 1
        }
        unsafe text.span.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            unsafe hash.update(Bytes(unsafeBase: base, count: bytes.count))
        }
    }

    private static func digest(_ hex: String) -> InlineArray<20, UInt8>? {
        let text = Array(hex.utf8)
        guard text.count == 40 else { return nil }
        var digest = InlineArray<20, UInt8>(repeating: 0)
        for i in 0..<20 {
            guard let high = ASCII.hex(text[2 * i]), let low = ASCII.hex(text[2 * i + 1]) else { return nil }
            digest[i] = high << 4 | low
        }
        return digest
    }

    // MARK: Groups

    /// Numbers of the groups of those names; names that no consumer has are left out.
    func groups(named names: [String]) -> Set<Int32> { Set(names.compactMap { groupNames[$0] }) }

    /// Whether a consumer is in one of `groups`.
    func isConsumer(_ consumer: Int, in groups: Set<Int32>) -> Bool {
        let start = consumer > 0 ? groupEnds[consumer - 1] : 0
        for at in start..<groupEnds[consumer] where groups.contains(groupNumbers[at]) { return true }
        return false
    }
}
