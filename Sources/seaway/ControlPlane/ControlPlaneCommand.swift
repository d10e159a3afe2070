// `seaway control-plane …`: the command group.

import ArgumentParser

struct ControlPlaneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "control-plane",
        abstract: "Run the control plane that gateways take their configuration from.",
        discussion: """
            On this machine, with a SQLite file:

              seaway control-plane run --store sqlite:data/seaway.db

            Several of them on one PostgreSQL; any of them serves, one leads where one must:

              seaway control-plane run --store postgres://seaway@db.example.com/seaway --stream 0.0.0.0:5678
            """,
        subcommands: [ControlPlaneRun.self])
}
