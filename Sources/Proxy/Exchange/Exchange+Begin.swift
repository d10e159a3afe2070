// Step 1: who is asking, and which route answers.

import Bytes
import Engine
import HTTP
import Snapshot
import Telemetry

extension Exchange {
    /// The head is complete.
    func begin(_ client: any ClientSide) {
        belongs(to: client)
        keepsClient = request.keepsAlive && !client.isLastRequest
        requestBodyDone = request.framing == .none
        worker.writeRequestID(to: requestID)
        requestBytes = request.wireCount
        dropNamedFields()
        identifyClient(client.transport)
        if isGRPC { armCallDeadline() }
        switch resolve(client.transport) {
        case .matched: enterRoute()
        case .notFound, .badPath: answerUnrouted(404, "no Route matched with those values")
        case .httpsRequired(let status): answerInsecure(status)
        case .http2Required:
            enterRoute(forwards: false)
            setReply(426)
            replyHeaders.add(Bytes("Connection"), Bytes("Upgrade"))
            replyHeaders.add(Bytes("Upgrade"), Bytes("HTTP/2"))
            ErrorBody.write(status: 426, message: Bytes("Please use HTTP2 protocol"), exchange: self)
            sendReply()
        case .notGRPC: answer(415, "Non-gRPC request matched gRPC route")
        case .grpcsRequired:
            enterRoute(forwards: false)
            answerGRPC(1, "gRPC request matched gRPCs route")
        }
    }

    /// The head itself is at fault: answer and close. Nothing goes upstream.
    func reject(_ fault: RequestFault, on client: any ClientSide) {
        belongs(to: client)
        keepsClient = false
        requestBodyDone = true
        requestBytes = request.wireCount
        worker.metrics.reject(fault.rawValue)
        worker.writeRequestID(to: requestID)
        chain = nil
        setReply(fault.status)
        if fault == .methodNotAllowed {
            replyHeaders.add(.allow, Bytes("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"))
        }
        ErrorBody.writeDefault(status: fault.status, exchange: self)
        sendReply()
    }

    /// Fields that `Connection` names are for this hop: gone before anything reads them, so that they
    /// can neither reach the upstream nor take our own fields with them (T-11).
    private func dropNamedFields() {
        guard request.connection.contains(.named) else { return }
        var at = 0
        while let index = requestHeaders.index(of: .connection, from: at) {
            at = index + 1
            let value = requestHeaders.value(index)
            var start = 0
            while start <= value.count {
                let comma = value.firstIndex(of: 0x2C, from: start) ?? value.count
                let token = value[start..<comma].trimmed()
                start = comma + 1
                if token.isEmpty { continue }
                switch FieldName(token) {
                case .host, .contentLength, .transferEncoding, .connection, .upgrade, .te: continue
                default: requestHeaders.removeAll(named: token)
                }
            }
        }
    }

    private func identifyClient(_ client: ClientTransport) {
        isPeerTrusted = running.trusts(client.peer.address)
        guard isPeerTrusted else { return IdentityHeaders.strip(requestHeaders) }
        if let real = running.realAddress(requestHeaders, peer: client.peer.address) { clientAddress = real }
    }

    private func resolve(_ client: ClientTransport) -> MatchOutcome {
        let secure =
            client.isTLS
            || isPeerTrusted && requestHeaders.first(.xForwardedProto).map { $0.equalsIgnoringCase("https") } ?? false
        return client.serverName.withBytes { serverName in
            var question = MatchRequest(
                method: request.methodBytes, host: request.host, target: request.target, serverName: serverName,
                isTLS: client.isTLS, isSecure: secure, isHTTP2: request.httpVersion == 2, port: client.listener.port)
            if running.table.wantsAddresses { addPlaces(client, to: &question) }
            return running.table.match(question, headers: requestHeaders, into: match)
        }
    }

    /// Both ends of the connection, for routes that look at them.
    private func addPlaces(_ client: ClientTransport, to question: inout MatchRequest) {
        question.source = clientAddress
        // A trusted peer tells its client's address without the port.
        question.sourcePort = clientAddress == client.peer.address ? Int(client.peer.port) : 0
        question.destination = client.localAddress
    }

    /// Takes the route's service and filters.
    private func enterRoute(forwards: Bool = true) {
        route = match.route
        let entry = running.facts[route]
        service = Int(entry.service)
        chain = entry.chain >= 0 ? running.chains[Int(entry.chain)] : nil
        guard forwards else { return }
        if let limit = bodyTooLarge() { return refuseBody(limit) }
        guard service >= 0 else { return startFilters() }
        let path = running.servicePaths[service]
        path.withBytes { servicePath in
            UpstreamURI.join(
                service: servicePath, path: match.path, prefix: match.prefixCount, strip: entry.stripPath,
                handling: entry.pathHandling, to: upstreamURI)
        }
        UpstreamURI.appendQuery(of: request.target, to: upstreamURI)
        startFilters()
    }

    private func bodyTooLarge() -> RequestFault? {
        let limit = running.settings.requestBodyLimit
        guard limit > 0, case .length(let n) = request.framing, n > limit else { return nil }
        return .bodyTooLarge
    }

    private func refuseBody(_ fault: RequestFault) {
        worker.metrics.reject(fault.rawValue)
        answerDefault(fault.status)
    }

    /// No route: only global filters see the response.
    private func answerUnrouted(_ status: Int, _ message: StaticString) {
        let global = running.snapshot.globalChain
        chain = global >= 0 ? running.chains[global] : nil
        worker.metrics.count(.unmatched)
        answer(status, message)
    }

    private func answerInsecure(_ status: Int) {
        enterRoute(forwards: false)
        setReply(status)
        if status == 426 {
            replyHeaders.add(Bytes("Connection"), Bytes("Upgrade"))
            replyHeaders.add(.upgrade, Bytes("TLS/1.2, HTTP/1.1"))
            ErrorBody.write(status: 426, message: Bytes("Please use HTTPS protocol"), exchange: self)
        } else {
            let location = Buffer(capacity: 256)
            location.append("https://")
            let forwarded = isPeerTrusted ? requestHeaders.first(.xForwardedHost) : nil
            location.append(forwarded ?? HostSyntax.name(request.host))
            location.append(request.target)
            replyHeaders.add(.location, location.readable)
            ErrorBody.write(status: status, message: Bytes(ErrorBody.defaultMessage(status)), exchange: self)
        }
        sendReply()
    }

    /// Answers with an error of the proxy itself, which says what its status always says.
    func answerDefault(_ status: Int) {
        setReply(status)
        ErrorBody.writeDefault(status: status, exchange: self)
        sendReply()
    }

    /// Answers with an error of our own, in the format that the client accepts.
    func answer(_ status: Int, _ message: StaticString) {
        _ = replyError(status, Bytes(message))
        sendReply()
    }
}
