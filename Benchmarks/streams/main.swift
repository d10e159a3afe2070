// Many gateways' streams from one program, for the benchmarks of the control plane.
//
//     streams-bench --control-plane 127.0.0.1:5678 --token-file T [--streams 100] [--labels zone=eu] [--digest-every 50]
//
// Each stream joins with a key of its own, takes the whole configuration, and from then on applies every delta to its own
// tables and acknowledges it, as a gateway does. Now and then it compares digests. Standard output is JSON, a line for the
// start and a line for each revision once it is in effect on every stream. It ends when standard input does.

import Authority
import Dispatch
import Foundation
import GRPCCore

struct Options {
    var host = "127.0.0.1"
    var port = 0
    var token = ""
    var streams = 100
    var labels: [String] = []
    /// Every how many revisions a stream's tables are compared with what another one has: 0 is never.
    var digestEvery: UInt64 = 50

    init(_ arguments: [String]) throws(Misuse) {
        var rest = arguments[...]
        while let flag = rest.popFirst() {
            guard let value = rest.popFirst() else { throw Misuse(what: "\(flag) needs a value") }
            switch flag {
            case "--control-plane":
                guard let colon = value.lastIndex(of: ":"), let number = Int(value[value.index(after: colon)...]) else {
                    throw Misuse(what: "--control-plane is ADDRESS:PORT")
                }
                host = String(value[..<colon])
                port = number
            case "--token-file":
                guard let text = try? String(contentsOfFile: value, encoding: .utf8) else {
                    throw Misuse(what: "\(value) cannot be read")
                }
                token = text.trimmingCharacters(in: .whitespacesAndNewlines)
            case "--streams": streams = Int(value) ?? streams
            case "--labels": labels = value.split(separator: ",").map(String.init).sorted()
            case "--digest-every": digestEvery = UInt64(value) ?? digestEvery
            default: throw Misuse(what: "there is no \(flag)")
            }
        }
        guard port > 0, !token.isEmpty else { throw Misuse(what: "--control-plane and --token-file are needed") }
    }
}

struct Misuse: Error, CustomStringConvertible {
    var what: String
    var description: String { "streams-bench: \(what)" }
}

do {
    let options = try Options(Array(CommandLine.arguments.dropFirst()))
    let token = try JoinToken(options.token)
    let board = Board(streams: options.streams, digestEvery: options.digestEvery)
    DispatchQueue.global().async {
        while readLine() != nil {}
        exit(0)
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
        for index in 0..<options.streams {
            group.addTask { try await Gateway(index: index, options: options, token: token, board: board).run() }
        }
        defer { group.cancelAll() }
        try await group.next()
    }
} catch {
    FileHandle.standardError.write(Data("\(error)\n".utf8))
    exit(1)
}
