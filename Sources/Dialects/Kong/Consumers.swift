// Consumers, their credentials and groups.

import Bytes
import Model

extension KongLoader {
    func addConsumer(_ fields: Fields, _ node: Int) -> Parent? {
        let schema = EntitySchemas.consumer
        var consumer = ConsumerEntity()
        consumer.username = string(fields, schema["username"]) ?? ""
        consumer.customID = string(fields, schema["custom_id"]) ?? ""
        // A name that is there but was refused has had its finding.
        if consumer.username.isEmpty, consumer.customID.isEmpty, document.member(node, "username") == Document.none,
            document.member(node, "custom_id") == Document.none
        {
            report(.combination, at: node, "a consumer needs a username or a custom_id", remedy: "add one of them")
        }
        consumer.head = head(.consumers, fields, node) { consumer.username }
        if consumer.username.isEmpty, !fields.has(schema["id"]) {
            consumer.head.id = contentIdentifier(.consumers, "custom_id:\(consumer.customID)")
        }
        model.consumers.append(consumer)
        return Parent(kind: .consumers, index: model.consumers.count - 1, id: consumer.head.id)
    }

    func addKeyAuth(_ fields: Fields, _ node: Int, _ parent: Parent?) {
        let schema = EntitySchemas.keyAuthCredential
        var credential = KeyAuthEntity()
        guard let key = secret(fields, schema["key"]) else {
            if !fields.has(schema["key"]) { warnUnusable(node, "key") }
            return
        }
        credential.key = key
        credential.ttl = int(fields, schema["ttl"]) ?? 0
        credential.head = head(.keyAuthCredentials, fields, node) { key }
        credential.consumer = link(
            fields, schema["consumer"], to: .consumers, from: .keyAuthCredentials, model.keyAuthCredentials.count,
            parent)
        model.keyAuthCredentials.append(credential)
    }

    /// Kong would make up a secret at each load that nobody gets to see.
    private func warnUnusable(_ node: Int, _ field: String) {
        report(
            .missingField, .warning, at: node, field: field, "without a \(field) nobody can use this credential",
            remedy: "write the \(field); it is left out until then")
    }

    func addBasicAuth(_ fields: Fields, _ node: Int, _ parent: Parent?) {
        let schema = EntitySchemas.basicAuthCredential
        var credential = BasicAuthEntity()
        credential.username = string(fields, schema["username"]) ?? ""
        // Hashed when the consumer, whose id is part of it, is known.
        credential.passwordHash = secret(fields, schema["password"]) ?? ""
        if purpose == .stored, fields.has(schema["password"]),
            document.withText(fields[schema["password"]], { $0.starts(with: "{vault://") })
        {
            unhashedPasswords.append(model.basicAuthCredentials.count)
        }
        credential.head = head(.basicAuthCredentials, fields, node) { credential.username }
        credential.consumer = link(
            fields, schema["consumer"], to: .consumers, from: .basicAuthCredentials, model.basicAuthCredentials.count,
            parent)
        model.basicAuthCredentials.append(credential)
    }

    func addHMACAuth(_ fields: Fields, _ node: Int, _ parent: Parent?) {
        let schema = EntitySchemas.hmacAuthCredential
        var credential = HMACAuthEntity()
        credential.username = string(fields, schema["username"]) ?? ""
        credential.secret = secret(fields, schema["secret"]) ?? ""
        credential.head = head(.hmacAuthCredentials, fields, node) { credential.username }
        credential.consumer = link(
            fields, schema["consumer"], to: .consumers, from: .hmacAuthCredentials, model.hmacAuthCredentials.count,
            parent)
        model.hmacAuthCredentials.append(credential)
    }

    func addJWTSecret(_ fields: Fields, _ node: Int, _ parent: Parent?) {
        let schema = EntitySchemas.jwtSecret
        var credential = JWTSecretEntity()
        credential.key = string(fields, schema["key"]) ?? ""
        credential.secret = secret(fields, schema["secret"]) ?? ""
        credential.publicKey = string(fields, schema["rsa_public_key"]) ?? ""
        credential.algorithm = string(fields, schema["algorithm"]) ?? "HS256"
        if !credential.algorithm.hasPrefix("HS"), !credential.algorithm.hasPrefix("ES"), credential.publicKey.isEmpty {
            report(
                .combination, at: node, field: "rsa_public_key", "\(credential.algorithm) needs rsa_public_key",
                remedy: "add the public key in PEM")
        }
        credential.head = head(.jwtSecrets, fields, node) { credential.key }
        if credential.key.isEmpty, !fields.has(schema["id"]) {
            credential.head.id = contentIdentifier(
                .jwtSecrets, "\(keyPart(fields, schema["consumer"], parent, .jwtSecrets))|\(credential.algorithm)")
        }
        credential.consumer = link(
            fields, schema["consumer"], to: .consumers, from: .jwtSecrets, model.jwtSecrets.count, parent)
        model.jwtSecrets.append(credential)
    }

    func addOAuth2(_ fields: Fields, _ node: Int, _ parent: Parent?) {
        let schema = EntitySchemas.oauth2Credential
        var credential = OAuth2Entity()
        credential.name = string(fields, schema["name"]) ?? ""
        credential.clientID = string(fields, schema["client_id"]) ?? ""
        credential.clientSecret = secret(fields, schema["client_secret"]) ?? ""
        credential.hashSecret = bool(fields, schema["hash_secret"]) ?? false
        credential.redirectURIs = strings(fields, schema["redirect_uris"])
        credential.isPublic = string(fields, schema["client_type"]) == "public"
        credential.head = head(.oauth2Credentials, fields, node) { credential.clientID }
        if credential.clientID.isEmpty, !fields.has(schema["id"]) {
            credential.head.id = contentIdentifier(
                .oauth2Credentials,
                "\(keyPart(fields, schema["consumer"], parent, .oauth2Credentials))|\(credential.name)")
        }
        credential.consumer = link(
            fields, schema["consumer"], to: .consumers, from: .oauth2Credentials, model.oauth2Credentials.count, parent)
        model.oauth2Credentials.append(credential)
    }

    func addGroup(_ fields: Fields, _ node: Int, _ parent: Parent?) {
        let schema = EntitySchemas.acl
        groupHeads.append(head(.acls, fields, node) { "" })
        groups.append(string(fields, schema["group"]) ?? "")
        groupScopes.append(scopes)
        groupParents.append(link(fields, schema["consumer"], to: .consumers, from: .acls, groups.count - 1, parent))
    }
}
