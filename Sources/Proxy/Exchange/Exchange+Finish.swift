// Step 6: our own replies, counters, the log line, and what becomes of the connection.

import Bytes
import HTTP
import Snapshot
import Telemetry

extension Exchange {
    /// Sends the reply that was set with `setReply` and its kin.
    func sendReply() {
        guard let client else { return }
        isLocalReply = true
        stage = .responding
        settleRequestBody()
        runResponseFilters()
        let out = worker.output
        out.clear()
        out.append("HTTP/1.1 ")
        out.append(decimal: replyStatus)
        out.append(0x20)
        out.append(Reason.phrase(replyStatus))
        out.append("\r\n")
        let hasConnection = replyHeaders.contains(.connection)
        replyHeaders.write(to: out)
        addedHeaders.write(to: out)
        if replyStatus != 204 && replyStatus != 304 {
            out.append("Content-Length: ")
            out.append(decimal: replyBody.count)
            out.append("\r\n")
        }
        if !hasConnection || !keepsClient {
            out.append(keepsClient ? "Connection: keep-alive\r\n" : "Connection: close\r\n")
        }
        writeReplyHeaders(to: out)
        out.append("\r\n")
        responseBytes += out.count
        if request.method != .head, replyStatus != 204, replyStatus != 304 {
            responseBodyBytes = replyBody.count
            responseBytes += replyBody.count
            out.append(replyBody.readable)
        }
        guard client.send(out.readable) else { return client.abort() }
        conclude(aborted: false)
    }

    private func writeReplyHeaders(to out: Buffer) {
        let milliseconds = Int((worker.loop.nowNanoseconds - startedAt) / 1_000_000)
        switch running.settings.headerStyle {
        case .kong:
            out.append("Server: ")
            out.append(Product.kongServer)
            out.append("\r\nX-Kong-Response-Latency: ")
            out.append(decimal: milliseconds)
            out.append("\r\nX-Kong-Request-Id: ")
        case .seaway:
            out.append("Server: ")
            out.append(Product.server)
            out.append("\r\nX-Seaway-Response-Latency: ")
            out.append(decimal: milliseconds)
            out.append("\r\nX-Request-ID: ")
        case .off: return
        }
        out.append(requestID.readable)
        out.append("\r\n")
    }

    /// A body that nobody will read: skipped if it is here already, else it costs the connection.
    private func settleRequestBody() {
        guard !requestBodyDone else { return }
        if case .length = request.framing, !request.expectsContinue, let source = client?.bodyBuffer,
            source.count >= requestBodyLeft
        {
            source.consume(requestBodyLeft)
            requestBytes += requestBodyLeft
            requestBodyLeft = 0
            requestBodyDone = true
            return
        }
        keepsClient = false
    }

    /// The exchange is over: count it, log it, free it, and let the connection go on.
    func conclude(aborted: Bool) {
        finishAttempt(.none)
        account(aborted: aborted)
        let client = client
        self.client = nil
        let keep = keepsClient && requestBodyDone
        let linger = !requestBodyDone || isLocalReply
        stage = .idle
        for buffer in [requestBody, responseBody] { if let buffer { worker.buffers.give(buffer) } }
        worker.giveExchange(self)
        if !aborted { client?.exchangeFinished(keep: keep, linger: linger) }
    }
}
