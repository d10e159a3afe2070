// The gRPC service that gateways call, by name. Its schema is docs/gateways.proto.

internal import GRPCCore

/// `seaway.gateways.v1.Gateways`.
enum GatewayMethods {
    static let service = ServiceDescriptor(fullyQualifiedService: "seaway.gateways.v1.Gateways")
    /// JoinRequest → Credentials.
    static let join = MethodDescriptor(service: service, method: "Join")
    /// RenewRequest → Credentials.
    static let renew = MethodDescriptor(service: service, method: "Renew")
    /// GatewayMessage ⇄ ControlPlaneMessage.
    static let stream = MethodDescriptor(service: service, method: "Stream")
}
