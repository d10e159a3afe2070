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
        if case .length(let n) = request.framing { return n <= running.settings.bodyBuffer }
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
            switch client.readBody(worker.scratch.capacity) {
            case .data(let bytes, let last):
                body.append(bytes)
                requestBytes += bytes.count
                requestBodyDone = last
                guard body.count <= collectMax else { return failBody(.bodyTooLarge) }
            case .end: requestBodyDone = true
            case .wait:
                client.setDeadline(worker.loop.now + Int64(running.settings.bodyTimeout))
                return
            case .malformed: return failBody(.badChunk)
            case .broken: return client.abort()
            }
        }
        client.setDeadline(.max)
        collected()
    }

    private func collected() {
        stage = .idle
        if let chain, chain.needsRequestBody { return runFilters() }
        forward()
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
        client.sendContinue()
    }
}
