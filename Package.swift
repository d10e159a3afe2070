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
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
    ],
    targets: [
        // Thin C: system calls and library module maps, no logic.
        .target(name: "CLinux"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        .systemLibrary(name: "CCAres", pkgConfig: "libcares", providers: [.apt(["libc-ares-dev"])]),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),

        // Shared by both planes.
        module("Bytes", ["CLinux"]),
        module("Snapshot", ["Bytes", "CPCRE2", "CLinux"]),

        // Control plane: intent -> compile -> snapshot.
        module("Model"),
        module("Dialects", ["Model", "Bytes", "CYAML", "CPCRE2"]),
        module("Compile", ["Model", "Snapshot", "Bytes", "COpenSSL"]),
        module("Explain", ["Snapshot", "Bytes"]),

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
                "Model", "Dialects", "Compile", "Snapshot", "Explain", "Bytes", "CLinux",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
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
        suite("Filters", ["Proxy", "HTTP", "Snapshot", "Bytes"]),
        suite("Routing", ["Snapshot", "Explain", "Bytes", "CLinux"]),
        suite("Dialects", ["Dialects", "Model", "Bytes"], exclude: ["Fixtures"]),
        suite("Compile", ["Compile", "Dialects", "Model", "Snapshot", "Bytes"], exclude: ["Golden"]),
        suite("Control", ["Snapshot", "Bytes", "CLinux"]),
        suite(
            "Supervisor", ["seaway", "seaway-proxy", "Explain", "Snapshot", "Bytes", "CLinux"],
            exclude: ["double_proxy.py", "echo_upstream.py"]),

        benchmark("telemetry-bench", "Benchmarks/telemetry", ["Telemetry", "HTTP", "Snapshot", "Bytes", "CLinux"]),
        benchmark("load-bench", "Benchmarks/load", ["Compile", "Dialects", "Model", "Snapshot", "Bytes"]),
        benchmark("router-bench", "Benchmarks/Routing", ["Snapshot", "Bytes", "CLinux"]),
        benchmark("http2-bench", "Benchmarks/http2", ["HTTP", "Bytes", "CLinux"]),
    ]
)
