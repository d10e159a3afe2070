// One request to the control plane's API, and its errors in words for whoever typed the command.

import AsyncHTTPClient
import Model
import NIOCore
import NIOHTTP1

struct APIClient: Sendable {
    let base: String
    let token: String?

    struct Answer: Sendable {
        var status: Int
        var headers: [(String, String)]
        var body: [UInt8]

        func json() throws -> ConfigValue {
            do { return try ConfigValue(json: body) } catch {
                throw Failure("the control plane answered with something that is not JSON")
            }
        }
    }

    /// Seconds until a request is given up.
    static let patience: Int64 = 120
    static let answerMax = 1 << 30

    /// Sends one request and returns what came, whatever its status.
    func send(
        _ method: String, _ path: String, body: [UInt8]? = nil, type: String = "application/json",
        headers: [(String, String)] = []
    ) throws -> Answer {
        let (base, token) = (base, token)
        do {
            return try AsyncWork.run {
                var request = HTTPClientRequest(url: base + path)
                request.method = HTTPMethod(rawValue: method)
                request.headers.add(name: "Accept", value: "application/json")
                if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
                for (name, value) in headers { request.headers.add(name: name, value: value) }
                if let body {
                    request.headers.add(name: "Content-Type", value: type)
                    request.body = .bytes(body)
                }
                let response = try await HTTPClient.shared.execute(request, timeout: .seconds(Self.patience))
                let received = try await response.body.collect(upTo: Self.answerMax)
                return Answer(
                    status: Int(response.status.code), headers: response.headers.map { ($0.name, $0.value) },
                    body: Array(received.readableBytesView))
            }
        } catch let error as Failure {
            throw error
        } catch {
            throw Failure(
                "no control plane answers at \(base): \(error)\n"
                    + "Start one with `seaway up`, or name yours with --api or $SEAWAY_API.", exitCode: 4)
        }
    }

    /// Sends one request; a status that is no success becomes a failure.
    @discardableResult
    func call(
        _ method: String, _ path: String, body: [UInt8]? = nil, type: String = "application/json",
        headers: [(String, String)] = []
    ) throws -> Answer {
        let answer = try send(method, path, body: body, type: type, headers: headers)
        guard answer.status >= 300 else { return answer }
        throw Self.failure(answer, hasToken: token != nil, base)
    }

    static func failure(_ answer: Answer, hasToken: Bool, _ base: String) -> Failure {
        let problem = (try? ConfigValue(json: answer.body)) ?? .null
        let detail = problem["detail"].string ?? problem["title"].string ?? "status \(answer.status)"
        switch answer.status {
        case 401:
            let advice =
                hasToken
                ? "The token is wrong, expired or revoked: get another one and run `seaway login`."
                : "Run `seaway login`, or set $SEAWAY_TOKEN. The first admin token is in DATA/admin-token of the control plane."
            return Failure("\(detail)\n\(advice)", exitCode: 5)
        case 403: return Failure("not allowed: \(detail)", exitCode: 5)
        default: return Failure(detail)
        }
    }

    /// `text` as one segment of a path, or as a query value.
    static func escaped(_ text: String) -> String {
        var out = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "~"):
                out.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                out += "%" + (digits.utf8.count == 1 ? "0" : "") + digits
            }
        }
        return out
    }
}
