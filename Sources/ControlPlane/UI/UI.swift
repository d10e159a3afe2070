// Serves the web UI at /ui: one page for every address, and its files below a digest.

public import Hummingbird
internal import HTTPTypes
internal import NIOCore

/// The web UI's files. They hold no secrets: whoever loads them still has to log in to the Resource API.
public struct UI: Sendable {
    private let web: WebFiles

    init(web: WebFiles) { self.web = web }

    /// Adds `GET /`, `/ui` and all below `/ui/` to a router, without authentication.
    ///
    /// Files below `/ui/a/<digest>/` never change and may be kept for ever; every other address below `/ui/` is
    /// answered with the one page, which is asked for again each time (`ETag`).
    public static func mount<Context: RequestContext>(on router: some RouterMethods<Context>) {
        let ui = UI(web: WebFiles())
        router.get("/") { _, _ in Response.redirect(to: "/ui/", type: .found) }
        for method in [HTTPRequest.Method.get, .head] {
            router.on("/ui/**", method: method) { request, _ in ui.answer(request) }
            // To a router, a slash at the end makes no difference; to addresses inside a page it does.
            router.on("/ui", method: method) { request, _ in
                request.uri.path == "/ui" ? Response.redirect(to: "/ui/", type: .found) : ui.answer(request)
            }
        }
    }

    /// The answer to a request for `/ui/…`.
    func answer(_ request: Request) -> Response {
        let path = request.uri.path
        let files = "/ui/a/"
        guard path.hasPrefix(files) else { return page(request) }
        let rest = path.dropFirst(files.count)
        // A page of an older version may still ask for its files: those of now would not fit it.
        guard let slash = rest.firstIndex(of: "/"), rest[..<slash] == web.digest,
            let file = web.files[String(rest[rest.index(after: slash)...])]
        else { return Response(status: .notFound, headers: Self.headers(type: "text/plain", cache: "no-store")) }
        return respond(
            request, file.bytes, Self.headers(type: file.mediaType, cache: "public, max-age=31536000, immutable"))
    }

    private func page(_ request: Request) -> Response {
        var headers = Self.headers(type: "text/html; charset=utf-8", cache: "no-cache")
        let tag = "\"\(web.digest)\""
        headers[.eTag] = tag
        if let known = request.headers[.ifNoneMatch], known == tag || known == "W/" + tag {
            return Response(status: .notModified, headers: headers)
        }
        return respond(request, web.page, headers)
    }

    private func respond(_ request: Request, _ bytes: ByteBuffer, _ headers: HTTPFields) -> Response {
        var headers = headers
        headers[.contentLength] = String(bytes.readableBytes)
        let body = request.method == .head ? ResponseBody() : ResponseBody(byteBuffer: bytes)
        return Response(status: .ok, headers: headers, body: body)
    }

    /// Nothing from elsewhere, nothing inline, no frames: what got into the page by mistake has nowhere to go.
    static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

    private static func headers(type: String, cache: String) -> HTTPFields {
        var headers = HTTPFields()
        headers[.contentType] = type
        headers[.cacheControl] = cache
        headers[.contentSecurityPolicy] = policy
        headers[.xContentTypeOptions] = "nosniff"
        for (name, value) in others {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        return headers
    }

    private static let others = [
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("X-Frame-Options", "DENY"),
        ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ]
}
