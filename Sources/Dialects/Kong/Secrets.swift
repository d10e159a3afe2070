// Certificates, server names, authorities, vaults, keys.

import Bytes
import Model

extension KongLoader {
    func addCertificate(_ fields: Fields, _ node: Int) -> Parent? {
        let schema = EntitySchemas.certificate
        var certificate = CertificateEntity()
        certificate.certificate = secret(fields, schema["cert"]) ?? ""
        certificate.key = secret(fields, schema["key"]) ?? ""
        certificate.alternativeCertificate = secret(fields, schema["cert_alt"]) ?? ""
        certificate.alternativeKey = secret(fields, schema["key_alt"]) ?? ""
        if fields.has(schema["cert_alt"]) != fields.has(schema["key_alt"]) {
            report(
                .combination, at: node, field: "cert_alt", "cert_alt and key_alt come as a pair",
                remedy: "add the other one, or remove both")
        }
        certificate.head = head(.certificates, fields, node) { "" }
        if !fields.has(schema["id"]) {
            certificate.head.id = contentIdentifier(.certificates, certificate.certificate)
        }
        model.certificates.append(certificate)
        return Parent(kind: .certificates, index: model.certificates.count - 1, id: certificate.head.id)
    }

    func addServerName(_ fields: Fields, _ node: Int, _ parent: Parent?) {
        let schema = EntitySchemas.sni
        var serverName = ServerNameEntity()
        serverName.name = string(fields, schema["name"]) ?? ""
        serverName.head = head(.snis, fields, node) { serverName.name }
        serverName.certificate = link(
            fields, schema["certificate"], to: .certificates, from: .snis, model.serverNames.count, parent)
        model.serverNames.append(serverName)
    }

    /// An sni written as a bare string inside its certificate.
    func addServerName(_ name: String, _ node: Int, _ parent: Parent?) {
        if let problem = name.withBytes({ TextForms.problem(.wildcardServerName, $0) }) {
            report(problem.code, at: node, problem.message, remedy: problem.remedy)
        }
        var serverName = ServerNameEntity()
        serverName.name = name
        serverName.head.id = identifier(.snis, name)
        serverName.head.line = sourceLine(document.position(node).line)
        serverName.certificate = parent?.index ?? -1
        model.serverNames.append(serverName)
        guard purpose.collectsRecords else { return }
        let nothing = [Int](repeating: Document.none, count: EntitySchemas.sni.fields.count)
        draft(.snis, Fields(schema: EntitySchemas.sni, nodes: nothing), node)
    }

    func addCACertificate(_ fields: Fields, _ node: Int) {
        let schema = EntitySchemas.caCertificate
        var authority = CACertificateEntity()
        authority.certificate = secret(fields, schema["cert"]) ?? ""
        authority.head = head(.caCertificates, fields, node) { "" }
        if !fields.has(schema["id"]) {
            authority.head.id = contentIdentifier(.caCertificates, authority.certificate)
        }
        model.caCertificates.append(authority)
    }

    func addVault(_ fields: Fields, _ node: Int) {
        let schema = EntitySchemas.vault
        var vault = VaultEntity()
        vault.prefix = string(fields, schema["prefix"]) ?? ""
        vault.name = string(fields, schema["name"]) ?? ""
        vault.description = string(fields, schema["description"]) ?? ""
        if fields.has(schema["config"]) {
            let prefix = document.member(fields[schema["config"]], "prefix")
            if prefix != Document.none { vault.configPrefix = document.string(prefix) ?? "" }
        }
        if ["aws", "gcp", "azure", "hcv", "conjur", "konnect"].contains(vault.name) {
            refuse(
                .enterpriseEntity, at: fields[schema["name"]], field: "name",
                "vaults of type \(vault.name) exist in Kong Enterprise only",
                remedy: "use name: env and put the secret into the environment")
            return
        }
        if !vault.name.isEmpty, vault.name != "env" {
            refuse(
                .unsupportedEntity, at: fields[schema["name"]], field: "name", "unknown type of vault \(vault.name)",
                remedy: "use name: env")
            return
        }
        if ["env", "aws", "gcp", "azure", "hcv"].contains(vault.prefix) {
            report(
                .badValue, at: fields[schema["prefix"]], field: "prefix",
                "\(vault.prefix) is the name of a type of vault",
                remedy: "choose another prefix, such as my-\(vault.prefix)")
        }
        vault.head = head(.vaults, fields, node) { vault.prefix }
        model.vaults.append(vault)
    }

    func addKeySet(_ fields: Fields, _ node: Int) -> Parent? {
        let schema = EntitySchemas.keySet
        var keySet = KeySetEntity()
        keySet.name = string(fields, schema["name"]) ?? ""
        keySet.head = head(.keySets, fields, node) { keySet.name }
        model.keySets.append(keySet)
        return Parent(kind: .keySets, index: model.keySets.count - 1, id: keySet.head.id)
    }

    func addKey(_ fields: Fields, _ node: Int, _ parent: Parent?) {
        let schema = EntitySchemas.key
        var key = KeyEntity()
        key.name = string(fields, schema["name"]) ?? ""
        key.keyID = string(fields, schema["kid"]) ?? ""
        key.jwk = secret(fields, schema["jwk"]) ?? ""
        if fields.has(schema["jwk"]) == fields.has(schema["pem"]) {
            report(
                .combination, at: node, "a key is given as jwk or as pem, one of the two", remedy: "write jwk or pem")
        }
        if fields.has(schema["pem"]), case .record(let pemSchema) = schema.fields[schema["pem"]].type {
            let pem = inner(fields, schema["pem"], pemSchema)
            key.publicKey = secret(pem, pemSchema["public_key"]) ?? ""
            key.privateKey = secret(pem, pemSchema["private_key"]) ?? ""
        }
        key.head = head(.keys, fields, node) {
            key.name.isEmpty ? "keys:\(key.keyID):\(keyPart(fields, schema["set"], parent, .keys))" : key.name
        }
        key.set = link(fields, schema["set"], to: .keySets, from: .keys, model.keys.count, parent)
        model.keys.append(key)
    }

    // MARK: Vault references

    /// The secret behind `{vault://env/NAME}`; any other text is its own value.
    func resolveVault(_ text: String, at node: Int, _ field: String) -> String? {
        guard purpose.resolvesVaults, text.hasPrefix("{vault://"), text.hasSuffix("}") else { return text }
        hasVaultReferences = true
        let inner = text.dropFirst("{vault://".count).dropLast()
        let parts = inner.split(separator: "/", omittingEmptySubsequences: true)
        guard parts.count >= 2 else {
            report(
                .vaultReference, at: node, field: field, "a vault reference names a vault and a secret",
                remedy: "write {vault://env/my-secret}")
            return nil
        }
        var variable = ""
        if parts[0] != "env" {
            guard let prefix = vaultPrefixes[String(parts[0])] else {
                report(
                    .vaultReference, at: node, field: field, "there is no vault \"\(parts[0])\" to read from",
                    remedy: "use {vault://env/…} or declare a vault of type env with this prefix")
                return nil
            }
            variable = prefix
        }
        variable += String(parts[1]).uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
        guard let value = environment[variable] else {
            report(
                .vaultReference, at: node, field: field, "the environment variable \(variable) is not set",
                remedy: "export \(variable)=… before you start")
            return nil
        }
        guard parts.count > 2 else { return value }
        return member(String(parts[2]), ofJSON: value, at: node, field)
    }

    private func member(_ key: String, ofJSON text: String, at node: Int, _ field: String) -> String? {
        let member: String? = text.withBytes { bytes in
            guard let json = try? JSONReader.read(bytes, limits: DocumentLimits()).0, json.root != Document.none,
                json.kind(json.root) == .record
            else { return nil }
            let found = json.member(json.root, key)
            return found == Document.none ? nil : json.text(found)
        }
        if member == nil {
            report(
                .vaultReference, at: node, field: field, "the secret is no JSON object with a key \"\(key)\"",
                remedy: "store {\"\(key)\": …} or drop the last part of the reference")
        }
        return member
    }
}
