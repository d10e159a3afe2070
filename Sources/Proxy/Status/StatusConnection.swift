// One connection to the status listener: `/status`, `/status/ready`, `/metrics`.

import Bytes
import Engine
import HTTP

/// What the status pages are made of; the control thread's process knows it.
protocol StatusSource: AnyObject {
    /// Writes the page for `path` and says its status and content type; nil: no such page.
    func page(_ path: Bytes, into out: Buffer) -> (status: Int, contentType: StaticString)?
}

/// A small server on the control thread: a request at a time, bounded, closed when idle.
final class StatusConnection: StreamConnection {
    private unowned let source: any StatusSource
    private var input = Buffer(capacity: 4096)
    private var parser = RequestParser()
    private let head = RequestHead()
    private let closed: (StatusConnection) -> Void
    private var isClosing = false

    private static let idleMilliseconds: Int64 = 30_000
    /// Bytes of answers that may wait before the next request is looked at.
    private static let outputMax = 64 * 1024

    init(loop: EventLoop, buffers: BufferPool, source: any StatusSource, closed: @escaping (StatusConnection) -> Void) {
        self.source = source
        self.closed = closed
        super.init(loop: loop, buffers: buffers)
    }

    func start(_ descriptor: Int32) {
        Socket.noDelay(descriptor)
        parser.begin(at: 0)
        guard attach(descriptor) else {
            Socket.close(descriptor)
            return closed(self)
        }
        loop.setDeadline(self, loop.now + Self.idleMilliseconds)
    }

    override func ready(_ events: Readiness) {
        super.ready(events)
        guard flush(), events.isDisjoint(with: [.failed, .hungUp]) else { return end() }
        if pendingOutput == 0, isClosing { return end() }
        serve()
    }

    override func timedOut() { end() }

    private func serve() {
        while !isClosing, pendingOutput < Self.outputMax {
            switch parser.parse(input, into: head, limits: HeadLimits(line: 4096, head: 8192, fields: 64)) {
            case .failed(let fault):
                return answer(fault.status, "text/plain; charset=utf-8", Bytes("bad request\n"), keep: false)
            case .complete(let bodyAt):
                input.consume(bodyAt - input.start)
                loop.setDeadline(self, loop.now + Self.idleMilliseconds)
                respond()
                continue
            case .incomplete: break
            }
            guard mayRead else { return }
            if input.free < 1024 { input.reserve(4096) }
            switch receive(into: input, limit: input.free) {
            case .bytes, .wouldBlock: continue
            case .ended, .failed: return end()
            }
        }
    }

    private func respond() {
        let keep = head.keepsAlive && head.framing == .none
        let target = head.target
        let path = target.prefix(target.firstIndex(of: 0x3F) ?? target.count)
        guard head.method == .get || head.method == .head else {
            return answer(405, "text/plain; charset=utf-8", Bytes("only GET and HEAD\n"), keep: keep)
        }
        let body = Buffer(capacity: 4096)
        guard let page = source.page(path, into: body) else {
            return answer(404, "application/json; charset=utf-8", Bytes("{\"message\":\"Not found\"}"), keep: keep)
        }
        answer(page.status, page.contentType, body.readable, keep: keep)
    }

    private func answer(_ status: Int, _ contentType: StaticString, _ body: Bytes, keep: Bool) {
        let out = Buffer(capacity: body.count + 256)
        out.append("HTTP/1.1 ")
        out.append(decimal: status)
        out.append(0x20)
        out.append(Reason.phrase(status))
        out.append("\r\nContent-Type: ")
        out.append(contentType)
        out.append("\r\nContent-Length: ")
        out.append(decimal: body.count)
        out.append(keep ? "\r\nConnection: keep-alive\r\n\r\n" : "\r\nConnection: close\r\n\r\n")
        if head.method != .head { out.append(body) }
        isClosing = !keep
        let sent = send(out.readable)
        if input.isEmpty { input.clear() } else { input.compact() }
        parser.begin(at: input.start)
        if !sent || (isClosing && pendingOutput == 0) { end() }
    }

    private func end() {
        guard descriptor >= 0 else { return }
        isClosing = true
        closeStream()
        closed(self)
    }
}
