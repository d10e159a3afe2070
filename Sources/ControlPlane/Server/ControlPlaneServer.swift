// A whole control plane: store, workspace, APIs and streams, started in order and run together.

internal import Store

public final class ControlPlaneServer: Sendable {
    /// The admin token, if this is the first start.
    public let firstToken: String?
    /// What listens where, for people: `("the resource API and the web UI", "http://127.0.0.1:5681")`.
    public let places: [(name: String, place: String)]
    /// Where gateways connect.
    public let streamPort: Int
    private let workspace: Workspace

    public init(_ options: ControlPlaneOptions) async throws {
        firstToken = nil
        places = []
        streamPort = 0
        throw StoreError.failed("not wired")
    }

    /// The file with a token that the gateway `name` of this machine joins with.
    public func gatewayToken(for name: String) async throws -> String {
        throw StoreError.failed("not wired")
    }

    /// Serves until cancelled.
    public func run() async throws {
        await workspace.follow()
    }
}
