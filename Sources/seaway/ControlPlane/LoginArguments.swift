// The flags of logins by an OpenID provider.

import ArgumentParser
import ControlPlane
import Foundation

struct LoginArguments: ParsableArguments {
    @Option(
        name: .customLong("oidc-issuer"),
        help: ArgumentHelp(
            "The OpenID provider that people log in at, as its discovery document names it.", valueName: "url"))
    var issuer: String?

    @Option(name: .customLong("oidc-client-id"), help: ArgumentHelp("This client's id there.", valueName: "id"))
    var clientID: String?

    @Option(
        name: .customLong("oidc-client-secret-file"),
        help: ArgumentHelp(
            "A file with this client's secret. Without it, this is a public client.", valueName: "file"))
    var secretFile: String?

    @Option(
        name: .customLong("oidc-role-claim"),
        help: ArgumentHelp("The claim that decides what a person may do.", valueName: "claim"))
    var roleClaim = "groups"

    @Option(
        name: .customLong("oidc-role-map"),
        help: ArgumentHelp(
            "From a value of the claim to a role: platform-team=admin. May be repeated.", valueName: "value=role"))
    var roleMap: [String] = []

    @Option(
        name: .customLong("public-url"),
        help: ArgumentHelp(
            "How browsers reach the API and the web UI: https://seaway.example.com.", valueName: "url"))
    var publicURL: String?

    /// The host of `--public-url`.
    var publicHost: String? { publicURL.flatMap { URL(string: $0)?.host() } }

    /// Nil: people log in with tokens.
    func resolved() throws -> OIDCSettings? {
        guard let issuer else {
            let others = [clientID, secretFile, publicURL].compactMap { $0 } + roleMap
            guard others.isEmpty else { throw ValidationError("--oidc-issuer is missing.") }
            return nil
        }
        guard let publicURL else {
            throw ValidationError("--public-url is missing: the provider sends browsers back there.")
        }
        let trimmed = publicURL.hasSuffix("/") ? String(publicURL.dropLast()) : publicURL
        var settings = OIDCSettings(issuer: issuer, clientID: clientID ?? "", publicURL: trimmed)
        settings.roleClaim = roleClaim
        for entry in roleMap {
            guard let equals = entry.lastIndex(of: "="), equals != entry.startIndex else {
                throw ValidationError("--oidc-role-map is value=role, such as platform-team=admin; not \"\(entry)\".")
            }
            settings.roleMap[String(entry[..<equals])] = String(entry[entry.index(after: equals)...])
        }
        if let secretFile {
            switch FileBytes.read(secretFile, limit: 4096) {
            case .failure(let refusal): throw ValidationError("--oidc-client-secret-file: \(refusal.message)")
            case .success(let bytes):
                settings.clientSecret = String(decoding: bytes, as: UTF8.self)
                    .trimmingCharacters(in: .whitespacesAndNewlines)
            }
        }
        if let complaint = settings.complaint { throw ValidationError(complaint + ".") }
        return settings
    }
}
