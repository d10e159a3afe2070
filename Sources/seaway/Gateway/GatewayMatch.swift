// `seaway gateway match`: which route answers a request, and why.

import ArgumentParser

struct GatewayMatch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "match",
        abstract: "Say which route answers a request, and why it beats the others.")

    @OptionGroup var source: ConfigOptions

    func run() throws { throw Failure("not there yet") }
}
