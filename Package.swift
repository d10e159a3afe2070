// swift-tools-version: 6.3
import PackageDescription

/// One set of settings for every Swift target: strict concurrency, strict memory safety,
/// warnings are errors.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .treatWarning("DeprecatedDeclaration", as: .warning),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableExperimentalFeature("Lifetimes"),
    // Measured: run-time exclusivity checks were a third of the CPU of a log record. Worker state is
    // confined to one thread; debug builds, which the tests run, keep the checks.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func suite(
    _ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = [], exclude: [String] = []
) -> Target {
    .testTarget(
        name: name + "Tests", dependencies: dependencies, path: "Tests/\(name)", exclude: exclude,
        resources: resources, swiftSettings: strict)
}

func benchmark(_ name: String, _ path: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, path: path, swiftSettings: strict)
}

let package = Package(
    name: "seaway",
    products: [
        .executable(name: "seaway", targets: ["seaway"]),
        .executable(name: "seaway-proxy", targets: ["seaway-proxy"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-crypto", "3.12.3"..<"5.0.0"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    ],
    targets: [
        // Thin C: system calls and library module maps, no logic.
        .target(name: "CLinux"),
        .target(name: "CWeb"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        .systemLibrary(name: "CCAres", pkgConfig: "libcares", providers: [.apt(["libc-ares-dev"])]),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),

        // Shared by both planes.
        module("Bytes", ["CLinux"]),
        module("Snapshot", ["Bytes", "CPCRE2", "CLinux"]),

        // Control plane: intent -> compile -> snapshot.
        module("Model"),
        module("Dialects", ["Model", "Bytes", "CYAML", "CPCRE2"]),
        module("Compile", ["Model", "Snapshot", "Bytes", "COpenSSL"]),
        module("Explain", ["Snapshot", "Bytes"]),

        module(
            "Store",
            [
                "Model", "CPostgres",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        module(
            "Authority",
            [
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "_CryptoExtras", package: "swift-crypto"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
                .product(name: "JWTKit", package: "jwt-kit"),
            ]),
        module(
            "ControlPlane",
            [
                "Model", "Dialects", "Compile", "Snapshot", "Explain", "Bytes", "Store", "Authority", "CWeb",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOCertificateReloading", package: "swift-nio-extras"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "JWTKit", package: "jwt-kit"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
            ]),

        // Data plane.
        module("Engine", ["Bytes", "CLinux", "COpenSSL", "CCAres"]),
        module("HTTP", ["Bytes"]),
        module("Telemetry", ["Bytes", "HTTP", "Snapshot", "CLinux"]),
        module(
            "Proxy",
            ["Bytes", "Snapshot", "Engine", "HTTP", "Telemetry", "CLinux", "COpenSSL", "CPCRE2"]),

        .executableTarget(
            name: "seaway",
            dependencies: [
                "Model", "Dialects", "Compile", "Snapshot", "Explain", "Bytes", "CLinux", "Store", "Authority",
                "ControlPlane",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "seaway-proxy",
            dependencies: ["Proxy", "Engine", "Snapshot", "Telemetry", "Bytes", "CLinux"],
            swiftSettings: strict),

        suite("Bytes", ["Bytes"]),
        suite("HTTP", ["HTTP", "Bytes"], exclude: ["Golden"]),
        suite("Telemetry", ["Telemetry", "HTTP", "Snapshot", "Bytes", "CLinux"]),
        suite("Balancing", ["Proxy", "Engine", "Snapshot", "Bytes", "CLinux"]),
        suite("Feed", ["Proxy", "Engine", "HTTP", "Snapshot", "Bytes", "CLinux"]),
        suite("Filters", ["Proxy", "HTTP", "Snapshot", "Bytes"]),
        suite("Routing", ["Snapshot", "Explain", "Bytes", "CLinux"]),
        suite("Dialects", ["Dialects", "Model", "Bytes"], exclude: ["Fixtures"]),
        suite("Compile", ["Compile", "Dialects", "Model", "Snapshot", "Bytes"], exclude: ["Golden"]),
        suite(
            "Authority",
            [
                "Authority", .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "_CryptoExtras", package: "swift-crypto"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
            ]),
        suite(
            "ControlPlane",
            [
                "ControlPlane", "Store", "Authority", "Model", "Dialects", "Compile", "Snapshot", "Bytes",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
            ]),
        suite("Store", ["Store", "Model", .product(name: "GRDB", package: "GRDB.swift")]),
        suite("Control", ["Snapshot", "Bytes", "CLinux"]),
        suite("Snapshot", ["Snapshot", "Bytes"]),
        suite(
            "Supervisor", ["seaway", "seaway-proxy", "Explain", "Snapshot", "Bytes", "CLinux"],
            exclude: ["double_proxy.py", "echo_upstream.py"]),

        benchmark("telemetry-bench", "Benchmarks/telemetry", ["Telemetry", "HTTP", "Snapshot", "Bytes", "CLinux"]),
        benchmark("load-bench", "Benchmarks/load", ["Compile", "Dialects", "Model", "Snapshot", "Bytes"]),
        benchmark("router-bench", "Benchmarks/Routing", ["Snapshot", "Bytes", "CLinux"]),
        benchmark("http2-bench", "Benchmarks/http2", ["HTTP", "Bytes", "CLinux"]),
        benchmark(
            "streams-bench", "Benchmarks/streams",
            [
                "Snapshot", "Bytes", "Authority",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
            ]),
    ]
)
