// `seaway gateway …`: the command group.

import ArgumentParser

struct Gateway: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run, check and explain an API gateway from a kong.yml.",
        discussion: """
            Try a file without touching anything, then run it:

              seaway gateway check --config kong.yml
              seaway gateway run --config kong.yml

            Ask which route answers, and why:

              seaway gateway match --config kong.yml --host api.example.com --path /orders/7
            """,
        subcommands: [GatewayRun.self, GatewayCheck.self, GatewayMatch.self, GatewayReload.self, GatewayUpgrade.self])
}
