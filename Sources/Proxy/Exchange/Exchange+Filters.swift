// Step 2: the route's filters, and the body that they or request buffering want whole.

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

extension Exchange {
    func startFilters() {
        if let chain, chain.needsRequestBody, !requestBodyDone {
            return collect()
        }
        runFilters()
    }

    private func runFilters() {
        if let chain {
            for step in chain.steps {
                // Looked up at each step: an authentication filter before it may have set the consumer.
                guard let filter = step.instance(for: consumer), filter.hasAccessPhase else { continue }
                if filter.access(self) == .reply { return sendReply() }
            }
        }
        guard service >= 0 else { return answer(503, "no Service found with those values") }
        if requestBody == nil, !requestBodyDone, running.facts[route].requestBuffering, fitsInMemory {
            return collect()
        }
        forward()
    }

    /// Route buffering holds a body back only if it is known to fit; larger ones are streamed.
    private var fitsInMemory: Bool {
        if case .length(let n) = requestFraming { return n <= running.settings.bodyBuffer }
        return false
    }

    // MARK: Collecting the body

    private func collect() {
        stage = .collecting
        let buffer = worker.buffers.take()
        requestBody = buffer
        continueClient()
        collectMore()
    }

    /// What a filter must see whole may be larger than what is held back only to spare the upstream.
    private var collectMax: Int {
        chain?.needsRequestBody ?? false
            ? max(running.settings.bodyBuffer, Self.filteredBodyMax) : running.settings.bodyBuffer
    }

    /// Bytes of a request body that a filter reads or rewrites; a larger one is 413.
    private static let filteredBodyMax = 8 << 20

    func collectMore() {
        guard let body = requestBody, let client else { return }
        while !requestBodyDone {
            guard let source = client.bodyBuffer else { return }
            switch takeBodyPiece(source, into: body) {
            case .taken: continue
            case .failed: return failBody(.badChunk)
            case .needsMore: break
            }
            guard body.count <= collectMax else { return failBody(.bodyTooLarge) }
            guard client.mayRead else {
                worker.loop.setDeadline(client, worker.loop.now + Int64(running.settings.bodyTimeout))
                return
            }
            switch client.receiveBody() {
            case .bytes: continue
            case .wouldBlock: continue
            case .ended, .failed: return client.abort()
            }
        }
        worker.loop.setDeadline(client, .max)
        guard body.count <= collectMax else { return failBody(.bodyTooLarge) }
        requestFraming = body.isEmpty ? .none : .length(body.count)
        collected()
    }

    private func collected() {
        stage = .idle
        if let chain, chain.needsRequestBody { return runFilters() }
        forward()
    }

    enum BodyPiece { case taken, needsMore, failed }

    /// Moves what `source` holds of the body to `out`.
    private func takeBodyPiece(_ source: Buffer, into out: Buffer) -> BodyPiece {
        if case .chunked = request.framing {
            switch requestDecoder.next(source, trailers: requestTrailers) {
            case .incomplete: return .needsMore
            case .failed: return .failed
            case .end:
                requestBodyDone = true
                return .taken
            case .data(let n):
                out.append(source.readable.prefix(n))
                source.consume(n)
                requestBytes += n
                return .taken
            }
        }
        let n = min(requestBodyLeft, source.count)
        guard n > 0 else { return .needsMore }
        out.append(source.readable.prefix(n))
        source.consume(n)
        requestBytes += n
        requestBodyLeft -= n
        if requestBodyLeft == 0 { requestBodyDone = true }
        return .taken
    }

    func failBody(_ fault: RequestFault) {
        worker.metrics.reject(fault.rawValue)
        keepsClient = false
        // In the middle of a response there is no second one to give.
        if stage == .responding {
            client?.abort()
            return
        }
        dropUpstream()
        answerDefault(fault.status)
    }

    /// `100 Continue`, once, as soon as we want the body.
    func continueClient() {
        guard request.expectsContinue, !sentContinue, let client else { return }
        sentContinue = true
        _ = client.send(Bytes("HTTP/1.1 100 Continue\r\n\r\n"))
    }
}
