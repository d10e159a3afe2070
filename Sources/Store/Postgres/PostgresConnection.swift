// One connection to PostgreSQL over libpq: statements with binary parameters and results, COPY, notifications.

internal import CPostgres
internal import Glibc
internal import Synchronization

/// Blocks its thread, for a limited time each call. One thread at a time uses it.
///
/// libpq's own waiting has no end when a server is frozen or the network drops packets, so the connection is
/// non-blocking and the waits are here.
@safe final class PostgresConnection {
    /// Longer than `statement_timeout`, which the server is told, so that usually the server speaks first.
    static let answerTimeoutMilliseconds = 65_000
    /// What every session is told first. A control plane that vanishes in the middle of a commit must not keep
    /// the lock of the head for as long as TCP takes to notice.
    private static let greeting = """
        SET search_path = seaway; SET client_min_messages = error; SET jit = off;
        SET statement_timeout = '60s'; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '30s';
        SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3
        """

    private let handle: OpaquePointer
    /// Set when the protocol is in a state that cannot be got out of; also when the connection is lost.
    private(set) var isBroken = false

    /// Connects, trying the hosts of `address` in turn.
    init(_ address: PostgresAddress) throws(StoreError) {
        let parameters = address.parameters
        var texts: [UnsafeMutablePointer<CChar>?] = unsafe []
        for parameter in parameters { unsafe texts += [strdup(parameter.0), strdup(parameter.1)] }
        defer { unsafe texts.forEach { unsafe free($0) } }
        let keywords = unsafe parameters.indices.map { unsafe UnsafePointer(texts[$0 * 2]) } + [nil]
        let values = unsafe parameters.indices.map { unsafe UnsafePointer(texts[$0 * 2 + 1]) } + [nil]
        // Both lists end in nil, as libpq wants them.
        guard let handle = unsafe PQconnectdbParams(keywords, values, 1) else {
            throw .unavailable("There is no memory left for a connection to PostgreSQL.")
        }
        unsafe self.handle = unsafe handle
        guard unsafe PQstatus(handle) == CONNECTION_OK else { throw address.refusal(message) }
        _ = unsafe PQsetnonblocking(handle, 1)
        _ = unsafe PQsetNoticeReceiver(handle, { _, _ in }, nil)
        try command(Self.greeting)
    }

    deinit {
        unsafe PQfinish(handle)
    }

    /// Whether a transaction can begin.
    var isIdle: Bool {
        unsafe !isBroken && PQstatus(handle) == CONNECTION_OK && PQtransactionStatus(handle) == PQTRANS_IDLE
    }

    var descriptor: CInt {
        unsafe PQsocket(handle)
    }

    /// Statements without parameters or results.
    func command(_ sql: String) throws(StoreError) {
        try checkSent(unsafe PQsendQuery(handle, sql))
        try finish()
    }

    /// One statement; the rows it wrote.
    func execute(_ sql: String, _ parameters: PostgresParameters) throws(StoreError) -> Int {
        try send(sql, parameters)
        return try finish()
    }

    /// One statement; `row` is called for each row of its result.
    func query(
        _ sql: String, _ parameters: PostgresParameters, _ row: (PostgresRow) throws(StoreError) -> Void
    ) throws(StoreError) {
        try send(sql, parameters)
        // Rows one by one: a result may be larger than what should be in memory twice.
        _ = unsafe PQsetSingleRowMode(handle)
        while let result = try nextResult() {
            if result.status == PGRES_SINGLE_TUPLE {
                do {
                    try row(PostgresRow(result: result))
                } catch {
                    isBroken = true
                    throw error
                }
            } else {
                try check(result)
            }
        }
    }

    /// Sends rows in the binary format of COPY: `next` appends some to the buffer, until it appends nothing.
    func copy(
        _ sql: String, _ next: (inout PostgresBuffer) throws(StoreError) -> Void
    ) throws(StoreError) {
        try checkSent(unsafe PQsendQuery(handle, sql))
        let deadline = Deadline(milliseconds: Self.answerTimeoutMilliseconds)
        try flush(deadline)
        guard let begun = try nextResult() else { throw lost() }
        guard begun.status == PGRES_COPY_IN else {
            try check(begun)
            throw .failed("PostgreSQL did not begin to copy.")
        }
        do {
            var buffer = PostgresBuffer.copyHeader
            repeat {
                try put(buffer.bytes, deadline)
                buffer.bytes.removeAll(keepingCapacity: true)
                try next(&buffer)
            } while !buffer.bytes.isEmpty
            buffer.append(-1 as Int16)
            try put(buffer.bytes, deadline)
        } catch {
            // Half a copy cannot be taken back on this connection.
            isBroken = true
            throw error
        }
        while true {
            let ended = unsafe PQputCopyEnd(handle, nil)
            if ended == 1 { break }
            guard ended == 0 else { throw lost() }
            try wait(forRoomToWrite: true, deadline)
        }
        try finish()
    }

    /// Notifications that have come in; waits for none.
    func notifications() throws(StoreError) -> [String] {
        guard unsafe PQconsumeInput(handle) == 1 else { throw lost() }
        var payloads: [String] = []
        while let notification = unsafe PQnotifies(handle) {
            defer { unsafe PQfreemem(notification) }
            if let payload = unsafe notification.pointee.extra { unsafe payloads.append(String(cString: payload)) }
        }
        return payloads
    }

    // MARK: Waiting

    private func send(_ sql: String, _ parameters: PostgresParameters) throws(StoreError) {
        let sent = unsafe parameters.withPointers { types, values, lengths, formats in
            unsafe PQsendQueryParams(
                handle, sql, CInt(clamping: parameters.count), types, values, lengths, formats, 1)
        }
        try checkSent(sent)
    }

    private func checkSent(_ sent: CInt) throws(StoreError) {
        guard sent == 1 else { throw lost() }
    }

    /// Reads results to the end; the rows that the last one wrote.
    @discardableResult
    private func finish() throws(StoreError) -> Int {
        var written = 0
        var failure: StoreError?
        while let result = try nextResult() {
            do { try check(result) } catch { failure = failure ?? error }
            written = result.rowsWritten
        }
        if let failure { throw failure }
        return written
    }

    private func nextResult() throws(StoreError) -> PostgresResult? {
        // Most rows of a large result are there already.
        if unsafe PQisBusy(handle) == 1 {
            let deadline = Deadline(milliseconds: Self.answerTimeoutMilliseconds)
            try flush(deadline)
            while unsafe PQisBusy(handle) == 1 {
                try wait(forRoomToWrite: false, deadline)
                guard unsafe PQconsumeInput(handle) == 1 else { throw lost() }
            }
        }
        guard let result = unsafe PQgetResult(handle) else {
            if unsafe PQstatus(handle) != CONNECTION_OK { throw lost() }
            return nil
        }
        return unsafe PostgresResult(result)
    }

    private func flush(_ deadline: Deadline) throws(StoreError) {
        while true {
            switch unsafe PQflush(handle) {
            case 0: return
            case 1: try wait(forRoomToWrite: true, deadline)
            default: throw lost()
            }
        }
    }

    private func put(_ bytes: [UInt8], _ deadline: Deadline) throws(StoreError) {
        guard !bytes.isEmpty else { return }
        while true {
            let put = unsafe bytes.withUnsafeBytes { raw in
                // Not empty, so there is a base address; a buffer is a few hundred kilobytes.
                unsafe PQputCopyData(
                    handle, raw.baseAddress?.assumingMemoryBound(to: CChar.self), CInt(clamping: raw.count))
            }
            if put == 1 { return try flush(deadline) }
            guard put == 0 else { throw lost() }
            try wait(forRoomToWrite: true, deadline)
        }
    }

    /// Until there is something to read, or room to write if that is asked for.
    private func wait(forRoomToWrite: Bool, _ deadline: Deadline) throws(StoreError) {
        var entry = pollfd(
            fd: descriptor, events: Int16(POLLIN) | (forRoomToWrite ? Int16(POLLOUT) : 0), revents: 0)
        let ready = unsafe poll(&entry, 1, deadline.remainingMilliseconds)
        if ready == 0 {
            isBroken = true
            throw .unavailable("PostgreSQL did not answer within \(Self.answerTimeoutMilliseconds / 1000) s.")
        }
        guard ready > 0 || errno == EINTR else { throw lost() }
        // What the server has to say may be the reason that it takes nothing.
        if forRoomToWrite, entry.revents & Int16(POLLIN) != 0, unsafe PQconsumeInput(handle) != 1 { throw lost() }
    }

    // MARK: Errors

    private var message: String {
        guard let text = unsafe PQerrorMessage(handle) else { return "no reason given" }
        return unsafe oneLine(String(cString: text))
    }

    private func lost() -> StoreError {
        isBroken = true
        return .unavailable("The connection to PostgreSQL is lost: \(message)")
    }

    /// Throws what an unsuccessful result says.
    private func check(_ result: PostgresResult) throws(StoreError) {
        switch result.status {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_SINGLE_TUPLE, PGRES_EMPTY_QUERY: return
        default: break
        }
        if unsafe PQstatus(handle) != CONNECTION_OK { isBroken = true }
        let error = result.error
        if error.endsConnection { isBroken = true }
        throw error.meaning
    }
}

/// A time until which something may take.
struct Deadline {
    private let end: ContinuousClock.Instant

    init(milliseconds: Int) {
        end = ContinuousClock.now + .milliseconds(milliseconds)
    }

    /// For poll(2); 0 when it has passed.
    var remainingMilliseconds: CInt {
        let left = end - ContinuousClock.now
        return CInt(
            clamping: max(0, left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000))
    }

    var hasPassed: Bool {
        ContinuousClock.now >= end
    }
}

/// libpq's messages have several lines, with tabs.
func oneLine(_ text: String) -> String {
    text.split { $0.isNewline || $0 == "\t" }.map { $0.drop { $0 == " " } }.joined(separator: "; ")
}
