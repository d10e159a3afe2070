// Writes audit records to the store, many at a time when many come at once.

public import Store

/// The way into the audit log. `record` returns once the record is stored.
public actor AuditLog {
    private let store: any Store
    private var waiting: [AuditRecord] = []
    private var waiters: [CheckedContinuation<StoreError?, Never>] = []
    private var isWriting = false

    public init(store: any Store) {
        self.store = store
    }

    /// Appends one record, together with those that arrive while another batch is being written.
    public func record(_ record: AuditRecord) async throws(StoreError) {
        waiting.append(record)
        let failure: StoreError? = await withCheckedContinuation { continuation in
            waiters.append(continuation)
            guard !isWriting else { return }
            isWriting = true
            Task { await self.write() }
        }
        if let failure { throw failure }
    }

    private func write() async {
        while !waiting.isEmpty {
            // A store takes this many in one transaction without keeping others waiting.
            let batch = Array(waiting.prefix(500))
            let told = Array(waiters.prefix(500))
            waiting.removeFirst(batch.count)
            waiters.removeFirst(told.count)
            var failure: StoreError?
            do throws(StoreError) {
                try await store.append(batch)
            } catch {
                failure = error
            }
            for waiter in told { waiter.resume(returning: failure) }
        }
        isWriting = false
    }
}
