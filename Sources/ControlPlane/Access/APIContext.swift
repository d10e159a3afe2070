// What goes along with a request through both HTTP APIs.

public import Hummingbird
public import NIOCore

/// The context of both APIs' routers. Until `AccessMiddleware` has let the request in, its identity is nobody's.
public struct APIContext: RequestContext, RemoteAddressRequestContext {
    public var coreContext: CoreRequestContextStorage
    public let remoteAddress: SocketAddress?
    public var identity: Identity

    public init(source: Source) {
        coreContext = CoreRequestContextStorage(source: source)
        remoteAddress = source.channel.remoteAddress
        let nobody = Author(name: "nobody", source: "", permissions: [])
        identity = Identity(author: nobody, credential: .none)
    }

    /// Who sent the request.
    public var author: Author { identity.author }

    /// The client's IP address without port; empty on a Unix socket.
    public var address: String { remoteAddress?.ipAddress ?? "" }
}
