// Fuzz target: router expressions. What is read prints to something that reads as the same, and runs on any request.

import Bytes
import Snapshot

private struct OneHeader: HeaderLookup {
    let value: Bytes
    var fieldCount: Int { 2 }
    func isAbsent(_ index: Int) -> Bool { false }
    func fieldName(_ index: Int) -> Bytes { Bytes("X-A") }
    func fieldValue(_ index: Int) -> Bytes { index == 0 ? value : Bytes("1") }
}

nonisolated(unsafe) private let result = MatchResult()
nonisolated(unsafe) private let memory = ExpressionMemory()

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
    unsafe pieces(data, size) { input, seed in
        // The expression, and after a NUL the target of a request.
        let split = input.firstIndex(of: 0) ?? input.count
        let text = input.prefix(split).string
        let target = input.dropFirst(split + 1)
        let domain: RouteExpression.Domain = seed & 1 == 0 ? .http : .stream
        let expression: RouteExpression
        do throws(ExpressionError) {
            expression = try RouteExpression(parsing: text, domain: domain)
        } catch {
            require(
                error.range.lowerBound >= 0 && error.range.upperBound <= text.utf8.count,
                "a mistake stands outside the expression")
            require(!error.message.isEmpty && !error.remedy.isEmpty, "a mistake without words")
            _ = error.located(in: text)
            return
        }
        let printed = expression.description
        guard printed.utf8.count <= RouteExpression.lengthLimit else { return }
        let again = try? RouteExpression(parsing: printed, domain: domain)
        require(again == expression, "what was printed reads as something else")
        require(again?.description == printed, "what was printed prints differently")
        var route = Route()
        route.expression = text
        if domain == .http {
            guard let table = try? RouteTable(routes: [route], flavour: .expressions, seed: 1) else { return }
            let request = MatchRequest(
                method: Bytes("GET"), host: Bytes("a.example:80"), target: target, serverName: Bytes("a.example"),
                isTLS: seed & 2 != 0, port: 8000, source: IPAddress(v4: 0x0A00_0001), sourcePort: 4000,
                destination: IPAddress(v4: 0x7F00_0001))
            if table.match(request, headers: OneHeader(value: target), into: result) == .matched {
                require(result.prefixCount <= result.path.count, "more is stripped than the path has")
                for group in 0..<result.captureCount { _ = result.capture(group) }
                _ = table.namedCaptures(of: result)
            }
        } else {
            route.protocols = [.tcp, .udp]
            guard let table = try? StreamTable(routes: [route], seed: 1) else { return }
            let question = StreamQuestion(
                transport: seed & 2 != 0 ? .udp : .tcp, source: IPAddress(v4: 0x0A00_0001), sourcePort: 4000,
                destination: IPAddress(v4: 0x7F00_0001), destinationPort: 53, serverName: target)
            _ = table.match(question, memory: memory)
        }
    }
    return 0
}
