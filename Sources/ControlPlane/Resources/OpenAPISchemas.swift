// The shapes of what the Resource API takes and gives, as JSON Schema 2020-12.

import Model

enum OpenAPISchemas {
    /// By name, in the order in which they stand in the description.
    static let all: [(name: String, schema: ConfigValue)] = texts.map { name, text in
        // A text that cannot be read shows up in the description's own test.
        (name, (try? ConfigValue(json: Array(text.utf8))) ?? .null)
    }

    /// Kong's form, for forms of the web UI.
    static let role: ConfigValue =
        (try? ConfigValue(
            json: Array(
                #"""
                {"fields":[{"name":{"type":"string","required":true}},{"description":{"type":"string"}},
                {"labels":{"type":"map","keys":{"type":"string"},"values":{"type":"string"}}},
                {"rules":{"type":"array","required":true,"elements":{"type":"record","fields":[
                {"verbs":{"type":"set","elements":{"type":"string","one_of":["read","create","update","delete","administer"]}}},
                {"types":{"type":"set","elements":{"type":"string"}}},
                {"labels":{"type":"map","keys":{"type":"string"},"values":{"type":"string"}}}]}}}]}
                """#.utf8))) ?? .null

    private static let texts: KeyValuePairs<String, String> = [
        "Labels": #"{"type":"object","additionalProperties":{"type":"string"}}"#,
        "Moment": #"{"type":["string","null"],"format":"date-time"}"#,
        "Resource": #"""
        {"type":"object","required":["type","id","name","labels","version","spec"],"properties":{
        "type":{"type":"string"},"id":{"type":"string","format":"uuid"},"name":{"type":["string","null"]},
        "labels":{"$ref":"#/components/schemas/Labels"},"version":{"type":"integer","minimum":0},
        "spec":{"type":"object"}},"additionalProperties":false}
        """#,
        "ResourceInput": #"""
        {"type":"object","properties":{"type":{"type":"string"},"id":{"type":"string","format":"uuid"},
        "name":{"type":["string","null"]},"labels":{"$ref":"#/components/schemas/Labels"},
        "version":{"type":"integer","description":"Not looked at: send If-Match."},"spec":{"type":"object"}},
        "additionalProperties":false}
        """#,
        "ResourcePatch": #"""
        {"type":"object","description":"What is to differ; null removes.","properties":{
        "name":{"type":["string","null"]},"labels":{"type":["object","null"],
        "additionalProperties":{"type":["string","null"]}},"spec":{"type":"object"}}}
        """#,
        "ResourceList": #"""
        {"type":"object","required":["items","next","revision"],"properties":{
        "items":{"type":"array","items":{"$ref":"#/components/schemas/Resource"}},
        "next":{"type":["string","null"]},"revision":{"type":"integer"}}}
        """#,
        "Documents": #"{"description":"A kong.yml, or type: documents separated by ---."}"#,
        "Finding": #"""
        {"type":"object","required":["severity","code","entity","field","message","remedy","line"],"properties":{
        "severity":{"enum":["error","warning","omitted"]},"code":{"type":"string"},"entity":{"type":"string"},
        "field":{"type":"string"},"message":{"type":"string"},"remedy":{"type":"string"},"file":{"type":"string"},
        "line":{"type":"integer"},"column":{"type":"integer"}}}
        """#,
        "Problem": #"""
        {"type":"object","required":["type","title","status","detail","findings"],"properties":{
        "type":{"type":"string"},"title":{"type":"string"},"status":{"type":"integer"},"detail":{"type":"string"},
        "findings":{"type":"array","items":{"$ref":"#/components/schemas/Finding"}}}}
        """#,
        "Summary": #"""
        {"type":"object","required":["created","updated","deleted"],"properties":{"created":{"type":"integer"},
        "updated":{"type":"integer"},"deleted":{"type":"integer"}}}
        """#,
        "Change": #"""
        {"type":"object","required":["action","type","name","id","fields"],"properties":{
        "action":{"enum":["create","update","delete"]},"type":{"type":"string"},"name":{"type":["string","null"]},
        "id":{"type":"string","format":"uuid"},"fields":{"type":"array","items":{"type":"object",
        "required":["path","before","after"],"properties":{"path":{"type":"string"},"before":{},"after":{}}}}}}
        """#,
        "Changes": #"""
        {"type":"object","required":["summary","changes","omitted"],"properties":{
        "summary":{"$ref":"#/components/schemas/Summary"},
        "changes":{"type":"array","items":{"$ref":"#/components/schemas/Change"}},"omitted":{"type":"integer"}}}
        """#,
        "ChangeResult": #"""
        {"type":"object","required":["revision","summary","changes","omitted","warnings"],"properties":{
        "revision":{"type":"integer"},"summary":{"$ref":"#/components/schemas/Summary"},
        "changes":{"type":"array","items":{"$ref":"#/components/schemas/Change"}},"omitted":{"type":"integer"},
        "warnings":{"type":"array","items":{"$ref":"#/components/schemas/Finding"}},
        "rollout":{"type":"string","format":"uuid"}}}
        """#,
        "RollbackInput": #"""
        {"type":"object","required":["revision"],"properties":{"revision":{"type":"integer","minimum":1},
        "message":{"type":"string"}},"additionalProperties":false}
        """#,
        "Revision": #"""
        {"type":"object","required":["number","time","actor","source","message","created","updated","deleted"],
        "properties":{"number":{"type":"integer"},"time":{"$ref":"#/components/schemas/Moment"},
        "actor":{"type":"string"},"source":{"type":"string"},"message":{"type":"string"},
        "created":{"type":"integer"},"updated":{"type":"integer"},"deleted":{"type":"integer"}}}
        """#,
        "RevisionList": #"""
        {"type":"object","required":["items","next"],"properties":{
        "items":{"type":"array","items":{"$ref":"#/components/schemas/Revision"}},"next":{"type":["integer","null"]}}}
        """#,
        "Events": #"{"type":"string"}"#,
        "Text": #"{"type":"string"}"#,
        "Rollout": #"""
        {"type":"object","required":["id","revision","base","labels","state","reason"],"properties":{
        "id":{"type":"string","format":"uuid"},"revision":{"type":"integer"},"base":{"type":"integer"},
        "labels":{"$ref":"#/components/schemas/Labels"},"state":{"type":"string"},"reason":{"type":"string"},
        "startedAt":{"$ref":"#/components/schemas/Moment"},"endedAt":{"$ref":"#/components/schemas/Moment"},
        "actor":{"type":"string"}}}
        """#,
        "RolloutList": #"""
        {"type":"object","required":["items"],"properties":{
        "items":{"type":"array","items":{"$ref":"#/components/schemas/Rollout"}}}}
        """#,
        "Gateway": #"""
        {"type":"object","required":["id","name","labels","state","connected","revision","rejected"],"properties":{
        "id":{"type":"string","format":"uuid"},"name":{"type":"string"},
        "labels":{"$ref":"#/components/schemas/Labels"},"state":{"enum":["connected","disconnected","revoked"]},
        "connected":{"type":"boolean"},"address":{"type":"string"},"version":{"type":"string"},
        "controlPlane":{"type":"string"},"revision":{"type":"integer"},
        "rejected":{"type":["object","null"],"properties":{"revision":{"type":"integer"},
        "entity":{"type":"string"},"reason":{"type":"string"}}},
        "joinedAt":{"$ref":"#/components/schemas/Moment"},"lastSeen":{"$ref":"#/components/schemas/Moment"},
        "revokedAt":{"$ref":"#/components/schemas/Moment"},
        "certificateExpiresAt":{"$ref":"#/components/schemas/Moment"},"report":{"type":["object","null"]}}}
        """#,
        "GatewayList": #"""
        {"type":"object","required":["items"],"properties":{
        "items":{"type":"array","items":{"$ref":"#/components/schemas/Gateway"}}}}
        """#,
        "Status": #"""
        {"type":"object","required":["revision","controlPlane","store","resources","gateways","rollout"],"properties":{
        "revision":{"type":"integer"},"controlPlane":{"type":"object"},"store":{"type":"object",
        "required":["kind","state"],"properties":{"kind":{"type":"string"},"state":{"enum":["ok","unavailable"]},
        "error":{"type":["string","null"]}}},"resources":{"type":"object","additionalProperties":{"type":"integer"}},
        "gateways":{"type":"object","additionalProperties":{"type":"integer"}},
        "rollout":{"anyOf":[{"$ref":"#/components/schemas/Rollout"},{"type":"null"}]}}}
        """#,
        "Author": #"""
        {"type":"object","required":["name","source","rules"],"properties":{"name":{"type":"string"},
        "source":{"type":"string"},"rules":{"type":"array","items":{"type":"object"}}}}
        """#,
        "Token": #"""
        {"type":"object","required":["id","name","roles","labels","state"],"properties":{
        "id":{"type":"string","format":"uuid"},"name":{"type":"string"},
        "roles":{"type":"array","items":{"type":"string"}},"labels":{"$ref":"#/components/schemas/Labels"},
        "state":{"enum":["active","expired","revoked"]},"createdAt":{"$ref":"#/components/schemas/Moment"},
        "createdBy":{"type":"string"},"expiresAt":{"$ref":"#/components/schemas/Moment"},
        "usedAt":{"$ref":"#/components/schemas/Moment"},"revokedAt":{"$ref":"#/components/schemas/Moment"}}}
        """#,
        "TokenList": #"""
        {"type":"object","required":["items"],"properties":{
        "items":{"type":"array","items":{"$ref":"#/components/schemas/Token"}}}}
        """#,
        "TokenInput": #"""
        {"type":"object","required":["name","roles"],"properties":{"name":{"type":"string","minLength":1,"maxLength":128},
        "roles":{"type":"array","items":{"type":"string"},"minItems":1},
        "labels":{"$ref":"#/components/schemas/Labels"},
        "expiresIn":{"type":"integer","minimum":1,"maximum":3153600000,"description":"Seconds; absent: never."}},
        "additionalProperties":false}
        """#,
        "NewToken": #"""
        {"allOf":[{"$ref":"#/components/schemas/Token"},{"type":"object","required":["token"],
        "properties":{"token":{"type":"string"}}}]}
        """#,
        "AuditList": #"""
        {"type":"object","required":["items","next"],"properties":{"items":{"type":"array","items":{"type":"object",
        "required":["number","time","actor","address","action","target","outcome","detail","revision"],"properties":{
        "number":{"type":"integer"},"time":{"$ref":"#/components/schemas/Moment"},"actor":{"type":"string"},
        "address":{"type":"string"},"action":{"type":"string"},"target":{"type":"string"},
        "outcome":{"enum":["allowed","denied","failed"]},"detail":{"type":"string"},
        "revision":{"type":["integer","null"]}}}},"next":{"type":["integer","null"]}}}
        """#,
        "LoginWays": #"""
        {"type":"object","required":["token","oidc"],"properties":{"token":{"type":"boolean"},
        "oidc":{"type":["object","null"],"properties":{"name":{"type":"string"}}}}}
        """#,
        "LoginInput": #"""
        {"type":"object","required":["token"],"properties":{"token":{"type":"string"}},"additionalProperties":false}
        """#,
        "TypeList": #"""
        {"type":"object","required":["items"],"properties":{"items":{"type":"array","items":{"type":"object",
        "required":["type","kind","nameField","count","verbs","references"],"properties":{"type":{"type":"string"},
        "kind":{"type":"string"},"nameField":{"type":["string","null"]},"count":{"type":["integer","null"]},
        "verbs":{"type":"array","items":{"type":"string"}},"references":{"type":"array"}}}}}}
        """#,
        "SchemaNames": #"""
        {"type":"object","required":["types","plugins"],"properties":{
        "types":{"type":"array","items":{"type":"string"}},"plugins":{"type":"array","items":{"type":"string"}}}}
        """#,
        "Schema": #"{"type":"object"}"#,
        "MatchInput": #"""
        {"type":"object","properties":{"method":{"type":"string"},"host":{"type":"string"},
        "path":{"type":"string","pattern":"^/"},
        "scheme":{"type":"string","enum":["http","https","grpc","grpcs","tcp","tls","udp"]},
        "sni":{"type":"string"},"src":{"type":"string"},"dst":{"type":"string"},
        "headers":{"type":"object","additionalProperties":{"anyOf":[{"type":"string"},
        {"type":"array","items":{"type":"string"},"minItems":1}]}}},"additionalProperties":false}
        """#,
        "MatchAnswer": #"{"type":"object"}"#,
        "ExpiryList": #"""
        {"type":"object","required":["items"],"properties":{"items":{"type":"array","items":{"type":"object",
        "required":["type","id","name","subject","issuer","names","notAfter","daysLeft"],"properties":{
        "type":{"type":"string"},"id":{"type":"string"},"name":{"type":"string"},"subject":{"type":"string"},
        "issuer":{"type":"string"},"names":{"type":"array","items":{"type":"string"}},
        "notAfter":{"$ref":"#/components/schemas/Moment"},"daysLeft":{"type":"integer"}}}}}}
        """#,
        "Description": #"{"type":"object"}"#,
    ]
}
