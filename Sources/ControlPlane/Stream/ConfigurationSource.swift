// Where configurations for gateways come from: the workspace, or a test.

public import Model

/// A revision that gateways are to get.
public struct PublishedModel: Sendable {
    public var revision: UInt64
    public var model: GatewayModel

    public init(revision: UInt64, model: GatewayModel) {
        self.revision = revision
        self.model = model
    }
}

public protocol ConfigurationSource: Sendable {
    /// The newest revision, then every later one; only the newest when the reader is slow.
    func published() -> AsyncStream<PublishedModel>
    /// What `revision` was.
    func model(at revision: UInt64) async throws -> GatewayModel
}

extension Workspace: ConfigurationSource {
    public func published() -> AsyncStream<PublishedModel> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: PublishedModel.self, bufferingPolicy: .bufferingNewest(1))
        let publications = publications()
        let task = Task {
            for await publication in publications {
                continuation.yield(PublishedModel(revision: publication.revision, model: publication.model))
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in task.cancel() }
        return stream
    }

    public func model(at revision: UInt64) async throws -> GatewayModel { model(of: try await catalog(at: revision)) }
}
