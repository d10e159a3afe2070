// The files of the web UI, as they were compiled in, and the addresses they are served at.

internal import CWeb
internal import NIOCore

/// Read once; a value that every request shares.
struct WebFiles: Sendable {
    struct File: Sendable {
        var bytes: ByteBuffer
        var mediaType: String
    }

    /// By path below `/ui/a/<digest>/`.
    let files: [String: File]
    /// The page that every address of the UI begins with; it names the others by `digest`.
    let page: ByteBuffer
    /// Changes with any byte of any file: what is below it may be kept for ever.
    let digest: String

    /// What `index.html` has in place of the digest.
    private static let placeholder = "{digest}"

    init() {
        var contents: [String: [UInt8]] = [:]
        for index in 0..<web_count() {
            guard let path = unsafe web_path(index), let bytes = unsafe web_bytes(index) else { continue }
            // The array has `web_size` bytes: the compiler counted them.
            let span = unsafe UnsafeBufferPointer(start: bytes, count: web_size(index))
            contents[unsafe String(cString: path)] = unsafe Array(span)
        }
        self.init(contents)
    }

    /// - Parameter contents: files by path; `index.html` becomes the page.
    init(_ contents: [String: [UInt8]]) {
        let digest = Self.digest(contents)
        self.digest = digest
        var files: [String: File] = [:]
        for (path, bytes) in contents where path != "index.html" {
            files[path] = File(bytes: ByteBuffer(bytes: bytes), mediaType: Self.mediaType(path))
        }
        self.files = files
        let page = String(decoding: contents["index.html"] ?? [], as: UTF8.self)
        self.page = ByteBuffer(
            string: page.split(separator: Self.placeholder, omittingEmptySubsequences: false)
                .joined(separator: digest))
    }

    /// FNV-1a over paths and bytes in order of the paths: tells versions apart, proves nothing.
    private static func digest(_ contents: [String: [UInt8]]) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func mix(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        for (path, bytes) in contents.sorted(by: { $0.key < $1.key }) {
            for byte in path.utf8 { mix(byte) }
            mix(0)
            for byte in bytes { mix(byte) }
            mix(0)
        }
        let hex = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - hex.count) + hex
    }

    private static func mediaType(_ path: String) -> String {
        if path.hasSuffix(".js") { return "text/javascript; charset=utf-8" }
        if path.hasSuffix(".css") { return "text/css; charset=utf-8" }
        if path.hasSuffix(".svg") { return "image/svg+xml" }
        if path.hasSuffix(".html") { return "text/html; charset=utf-8" }
        return "application/octet-stream"
    }
}
