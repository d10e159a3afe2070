// Takes the trace that a request belongs to out of its `traceparent` field.

internal import HTTPTypes
public import Hummingbird

public struct TraceMiddleware: RouterMiddleware {
    public typealias Context = APIContext

    public init() {}

    public func handle(
        _ request: Request, context: APIContext, next: @concurrent (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        guard let name = HTTPField.Name("traceparent"), let text = request.headers[name],
            let trace = TraceContext(text)
        else { return try await next(request, context) }
        return try await TraceContext.$current.withValue(trace) { try await next(request, context) }
    }
}
