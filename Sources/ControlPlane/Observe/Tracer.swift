// Traces of changes, from the request to the last gateway, sent to an OpenTelemetry collector.
//
// A change is one trace: `change` with `plan`, `validate`, `commit` and `publish` below it, and a `gateway.apply` for
// each gateway that put the revision in effect. Sent as OTLP over HTTP with JSON (opentelemetry.io/docs/specs/otlp).

internal import AsyncHTTPClient
internal import Logging
public import Model
internal import NIOCore
internal import NIOHTTP1
import Synchronization

/// Where a span belongs: what the `traceparent` field of a request says (W3C Trace Context, section 3.2).
public struct TraceContext: Sendable, Hashable {
    public var trace: Identifier
    public var span: UInt64

    /// Of the request that is being served.
    @TaskLocal public static var current: TraceContext?

    /// - Parameter traceparent: `00-<32 hex>-<16 hex>-<2 hex>`; nil for anything else.
    public init?(_ traceparent: String) {
        let parts = traceparent.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[0].utf8.count == 2, parts[1].utf8.count == 32, parts[2].utf8.count == 16,
            let high = UInt64(parts[1].prefix(16), radix: 16), let low = UInt64(parts[1].suffix(16), radix: 16),
            let span = UInt64(parts[2], radix: 16), high | low != 0, span != 0
        else { return nil }
        trace = Identifier(high: high, low: low)
        self.span = span
    }

    init(trace: Identifier, span: UInt64) {
        self.trace = trace
        self.span = span
    }
}

public final class Tracer: Sendable {
    /// A span that has begun.
    struct Span: Sendable {
        var name: String
        var context: TraceContext
        var parent: UInt64?
        /// Unix nanoseconds.
        var start: Int64
        var attributes: [(String, ConfigValue)]
    }

    private struct State {
        var finished: [ConfigValue] = []
        var dropped = 0
        /// Contexts of revisions that may still be on their way.
        var revisions: [UInt64: TraceContext] = [:]
    }

    private let endpoint: String
    private let state = Mutex(State())
    private let logger = Logger(label: "seaway.traces")

    /// Spans that wait at most; more are dropped and counted.
    private static let waitingMax = 4096
    private static let batchMax = 512

    /// - Parameter endpoint: base URL of a collector's OTLP/HTTP receiver, such as `http://127.0.0.1:4318`.
    public init(endpoint: String) { self.endpoint = endpoint + "/v1/traces" }

    private static func now() -> Int64 { Clock.now() * 1_000_000 }

    func begin(_ name: String, in parent: TraceContext?, _ attributes: [(String, ConfigValue)] = []) -> Span {
        let trace = parent?.trace ?? Identifier(high: .random(in: 1 ... .max), low: .random(in: 0 ... .max))
        let context = TraceContext(trace: trace, span: .random(in: 1 ... .max))
        return Span(name: name, context: context, parent: parent?.span, start: Self.now(), attributes: attributes)
    }

    func end(_ span: Span, error: String? = nil, _ more: [(String, ConfigValue)] = []) {
        finish(span, until: Self.now(), error, more)
    }

    /// The trace that `gatewayApplied` adds to.
    func remember(_ revision: UInt64, _ context: TraceContext) {
        state.withLock { state in
            state.revisions[revision] = context
            if state.revisions.count > 128 {
                state.revisions = state.revisions.filter { $0.key + 64 > revision }
            }
        }
    }

    /// A gateway put a revision in effect; both times are Unix milliseconds.
    func gatewayApplied(_ gateway: String, _ revision: UInt64, published: Int64, now: Int64) {
        guard let context = state.withLock({ $0.revisions[revision] }) else { return }
        var span = begin("gateway.apply", in: context, [("seaway.gateway", .string(gateway))])
        span.start = published * 1_000_000
        finish(span, until: now * 1_000_000, nil, [("seaway.revision", .int(Int(clamping: revision)))])
    }

    private func finish(_ span: Span, until end: Int64, _ error: String?, _ more: [(String, ConfigValue)]) {
        var entries: [ConfigValue.Entry] = [
            .init("traceId", .string(Self.hex(span.context.trace.high) + Self.hex(span.context.trace.low))),
            .init("spanId", .string(Self.hex(span.context.span))),
            .init("name", .string(span.name)), .init("kind", .int(1)),
            .init("startTimeUnixNano", .string(String(span.start))),
            .init("endTimeUnixNano", .string(String(max(end, span.start)))),
            .init("attributes", Self.attributes(span.attributes + more)),
        ]
        if let parent = span.parent { entries.append(.init("parentSpanId", .string(Self.hex(parent)))) }
        if let error {
            entries.append(.init("status", .record([.init("code", .int(2)), .init("message", .string(error))])))
        }
        let value = ConfigValue.record(entries)
        state.withLock { state in
            if state.finished.count < Self.waitingMax { state.finished.append(value) } else { state.dropped += 1 }
        }
    }

    // MARK: - Sending

    /// Sends what has finished, every second, until cancelled; then what is left.
    func run() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            await flush()
        }
        await flush()
    }

    private func flush() async {
        while true {
            let batch = state.withLock { state in
                let batch = Array(state.finished.prefix(Self.batchMax))
                state.finished.removeFirst(batch.count)
                return batch
            }
            guard !batch.isEmpty, await send(batch) else { return }
        }
    }

    /// Whether the collector took it. What it does not take is lost: traces are no reason to hold anything up.
    private func send(_ batch: [ConfigValue]) async -> Bool {
        var request = HTTPClientRequest(url: endpoint)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.body = .bytes(Self.document(batch).json)
        do {
            let response = try await HTTPClient.shared.execute(request, timeout: .seconds(5))
            _ = try await response.body.collect(upTo: 1 << 16)
            guard response.status.code < 300 else {
                logger.warning("the trace collector refused spans", metadata: ["status": "\(response.status.code)"])
                return false
            }
            return true
        } catch {
            logger.warning("the trace collector does not answer", metadata: ["error": "\(error)"])
            return false
        }
    }

    private static func document(_ spans: [ConfigValue]) -> ConfigValue {
        let resource = attributes([("service.name", .string("seaway-control-plane"))])
        let scope = ConfigValue.record([
            .init("scope", .record([.init("name", .string("seaway"))])), .init("spans", .array(spans)),
        ])
        return .record([
            .init(
                "resourceSpans",
                .array([
                    .record([
                        .init("resource", .record([.init("attributes", resource)])),
                        .init("scopeSpans", .array([scope])),
                    ])
                ]))
        ])
    }

    private static func attributes(_ pairs: [(String, ConfigValue)]) -> ConfigValue {
        .array(
            pairs.map { key, value in
                let wrapped: ConfigValue =
                    if case .int(let number) = value { .record([.init("intValue", .string(String(number)))]) } else {
                        .record([.init("stringValue", value)])
                    }
                return .record([.init("key", .string(key)), .init("value", wrapped)])
            })
    }

    private static func hex(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
