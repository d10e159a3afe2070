// The gRPC service: Join, Renew, and the stream, one task that reads and one that writes for each gateway.

internal import Authority
internal import GRPCCore
internal import Snapshot
internal import Store

struct GatewayService: RegistrableRPCService {
    let hub: GatewayHub
    let admission: Admission

    /// From the decision to end a stream to cutting it off if the farewell cannot be sent.
    private static let farewellTime = Duration.milliseconds(400)

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(
            forMethod: GatewayMethods.join, deserializer: WireDeserializer<JoinRequest>(),
            serializer: WireSerializer<Credentials>()
        ) { request, context in
            let request = try await ServerRequest(stream: request)
            let address = Admission.address(context.remotePeer)
            let credentials = try await admission.join(request.message, from: address)
            return StreamingServerResponse(single: ServerResponse(message: credentials))
        }
        router.registerHandler(
            forMethod: GatewayMethods.renew, deserializer: WireDeserializer<RenewRequest>(),
            serializer: WireSerializer<Credentials>()
        ) { request, context in
            let request = try await ServerRequest(stream: request)
            let credentials = try await admission.renew(request.message, context)
            return StreamingServerResponse(single: ServerResponse(message: credentials))
        }
        router.registerHandler(
            forMethod: GatewayMethods.stream, deserializer: WireDeserializer<GatewayMessage>(),
            serializer: EncodedSerializer()
        ) { request, context in
            let (identity, record) = try await admission.identify(context)
            return StreamingServerResponse { writer in
                var record = record
                record.address = Admission.address(context.remotePeer)
                try await serve(request, writer, identity, record)
                return [:]
            }
        }
    }

    // MARK: One stream

    /// Four tasks; the first that ends, by an error or not, ends the stream: the gateway's messages, ours, a watch over
    /// the hello, and one over the farewell.
    private func serve(
        _ request: StreamingServerRequest<GatewayMessage>, _ writer: RPCWriter<[UInt8]>, _ identity: GatewayIdentity,
        _ record: GatewayRecord
    ) async throws {
        // The reader hands on its stream once the gateway has said hello.
        let (opened, open) = AsyncStream.makeStream(of: StreamHandle.self, bufferingPolicy: .bufferingNewest(1))
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                defer { open.finish() }
                try await read(request, identity, record, open)
            }
            group.addTask {
                guard let handle = try await first(opened) else { return }
                defer { hub.close(handle) }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    defer { group.cancelAll() }
                    group.addTask { try await write(handle, writer) }
                    group.addTask { try await cutOff(handle) }
                    try await group.next()
                }
            }
            try await group.next()
        }
    }

    /// The stream that the reader opened, in time; nil: the gateway left before it said hello.
    private func first(_ opened: AsyncStream<StreamHandle>) async throws -> StreamHandle? {
        let limit = Duration.seconds(hub.options.helloTimeout)
        return try await withThrowingTaskGroup(of: StreamHandle?.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                for await handle in opened { return handle }
                return nil
            }
            group.addTask {
                try await Task.sleep(for: limit)
                throw RPCError(code: .deadlineExceeded, message: "no hello within \(limit)")
            }
            return try await group.next() ?? nil
        }
    }

    private func read(
        _ request: StreamingServerRequest<GatewayMessage>, _ identity: GatewayIdentity, _ record: GatewayRecord,
        _ opened: AsyncStream<StreamHandle>.Continuation
    ) async throws {
        var handle: StreamHandle?
        for try await message in request.messages {
            if let handle {
                hub.received(message, on: handle)
                continue
            }
            guard let hello = message.hello else {
                throw RPCError(code: .failedPrecondition, message: "the first message of a stream is hello")
            }
            let labels = try admission.labels(hello, identity)
            guard let new = await hub.open(record, hello: hello, labels: labels) else {
                throw RPCError(code: .resourceExhausted, message: "this control plane takes no more gateways")
            }
            handle = new
            opened.yield(new)
        }
    }

    private func write(_ handle: StreamHandle, _ writer: RPCWriter<[UInt8]>) async throws {
        for await _ in handle.wakes {
            step: while true {
                switch hub.next(handle) {
                case .wait: break step
                case .send(let base, let key):
                    // What cannot be compiled was logged; the gateway stays with what it has until the next revision.
                    guard let message = try? await hub.editions.message(from: base, to: key) else { break step }
                    hub.sent(handle, key, message)
                    try await writer.write(message.bytes)
                case .end(let farewell):
                    var message = ControlPlaneMessage()
                    message.farewell = farewell
                    try await writer.write(message.wire)
                    throw RPCError(
                        code: farewell.isRevoked ? .permissionDenied : .unavailable, message: farewell.reason)
                }
            }
        }
    }

    /// Ends a stream whose gateway does not take the farewell.
    private func cutOff(_ handle: StreamHandle) async throws {
        for await _ in handle.ends {
            try await Task.sleep(for: Self.farewellTime)
            throw RPCError(code: .aborted, message: "the control plane ended the stream")
        }
    }
}
