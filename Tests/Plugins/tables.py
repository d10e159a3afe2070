"""Routes with plugins, and what each must do: (name, request, expectation).

A request is (method, target, headers, body). An expectation may have: status; message (of a JSON error);
headers {name: value, None for absent}; to_origin {name: value, None} for headers the origin saw;
uri, method, body, json (the origin's view of the body as JSON); reply (the body as the client got it);
reply_json; unreached=True when nothing may get to the origin.
"""

from gateway import basic

ALICE = "11111111-1111-4111-8111-111111111111"
BOB = "22222222-2222-4222-8222-222222222222"

CONSUMERS = [
    {"id": ALICE, "username": "alice", "custom_id": "a-1", "acls": [{"group": "staff"}, {"group": "admin"}],
     "keyauth_credentials": [{"id": "33333333-3333-4333-8333-333333333333", "key": "alice-key"}],
     "basicauth_credentials": [{"username": "alice", "password": "open:sesame"}]},
    {"id": BOB, "username": "bob", "acls": [{"group": "guest"}],
     "keyauth_credentials": [{"key": "bob key+"}], "basicauth_credentials": [{"username": "bob", "password": "p"}]},
    {"username": "nobody"},
]

FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json; charset=utf-8")
MULTI = ("Content-Type", "multipart/form-data; boundary=B")
PARTS = "--B\r\nContent-Disposition: form-data; name=\"apikey\"\r\n\r\nalice-key\r\n--B\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--B--\r\n"

ROUTES = {
    "key": [{"name": "key-auth"}],
    "key-hide": [{"name": "key-auth", "config": {"key_names": ["x_api_key", "apikey"], "key_in_body": True,
                                                 "hide_credentials": True, "realm": "a \"b\"", "run_on_preflight": False}}],
    "key-anonymous": [{"name": "key-auth", "config": {"anonymous": "nobody"}}],
    "key-lost": [{"name": "key-auth", "config": {"anonymous": "no such consumer"}}],
    "basic": [{"name": "basic-auth", "config": {"hide_credentials": True}}],
    "either": [{"name": "key-auth", "config": {"anonymous": "nobody"}}, {"name": "basic-auth", "config": {"anonymous": "nobody"}}],
    "both": [{"name": "key-auth"}, {"name": "basic-auth"}],
    "acl-allow": [{"name": "key-auth"}, {"name": "acl", "config": {"allow": ["admin"]}}],
    "acl-deny": [{"name": "key-auth"}, {"name": "acl", "config": {"deny": ["guest"], "hide_groups_header": True}}],
    "acl-alone": [{"name": "acl", "config": {"allow": ["admin"]}}],
    "cors": [{"name": "cors"}],
    "cors-one": [{"name": "cors", "config": {"origins": ["https://a.example"], "credentials": True, "max_age": 60,
                                             "methods": ["GET", "PUT"], "headers": ["X-A", "X-B"], "exposed_headers": ["X-C", "X-D"]}}],
    "cors-many": [{"name": "cors", "config": {"origins": ["https://a.example", "https://(x|y)\\.example"], "private_network": True}}],
    "cors-star": [{"name": "cors", "config": {"origins": ["*"], "credentials": True}}],
    "cors-through": [{"name": "cors", "config": {"preflight_continue": True, "allow_origin_absent": False}}],
    "ip-deny": [{"name": "ip-restriction", "config": {"deny": ["127.0.0.0/8"]}}],
    "ip-allow": [{"name": "ip-restriction", "config": {"allow": ["127.0.0.1"]}}],
    "ip-other": [{"name": "ip-restriction", "config": {"allow": ["10.0.0.0/8"], "status": 418, "message": "no \"tea\""}}],
    "size": [{"name": "request-size-limiting", "config": {"allowed_payload_size": 10, "size_unit": "bytes"}}],
    "size-known": [{"name": "request-size-limiting", "config": {"allowed_payload_size": 1, "require_content_length": True}}],
    "end": [{"name": "request-termination"}],
    "end-message": [{"name": "request-termination", "config": {"status_code": 403, "message": "so \"long\""}}],
    "end-body": [{"name": "request-termination", "config": {"status_code": 200, "body": "<b>x</b>", "content_type": "text/html"}}],
    "end-trigger": [{"name": "request-termination", "config": {"status_code": 451, "message": "m", "trigger": "x-stop"}}],
    "end-echo": [{"name": "request-termination", "config": {"status_code": 200, "echo": True}}],
    "end-bare": [{"name": "request-termination", "config": {"status_code": 418}}],
    "id": [{"name": "correlation-id", "config": {"echo_downstream": True}}],
    "id-uuid": [{"name": "correlation-id", "config": {"generator": "uuid", "header_name": "X-Trace"}}],
    "id-tracker": [{"name": "correlation-id", "config": {"generator": "tracker", "echo_downstream": True}}],
    "rt": [{"name": "request-transformer", "config": {
        "remove": {"headers": ["X-Gone"], "querystring": ["gone"], "body": ["gone"]},
        "rename": {"headers": ["X-Old:X-New"], "querystring": ["old:new"], "body": ["old:new"]},
        "replace": {"headers": ["X-Rep:r", "Host:elsewhere.example"], "querystring": ["rep:r r"], "body": ["rep:r"]},
        "add": {"headers": ["X-Add:a:b", "X-From-Query:$(query_params.q)"], "querystring": ["add:1"], "body": ["add:a"]},
        "append": {"headers": ["X-App:2"], "querystring": ["app:2"], "body": ["app:2"]}}}],
    "rt-method": [{"name": "request-transformer", "config": {"http_method": "GET"}}],
    "rt-safe": [{"name": "request-transformer", "config": {
        "add": {"headers": ["Content-Length:999", "Transfer-Encoding:chunked", "Connection:close"]},
        "remove": {"headers": ["Content-Length"]}, "replace": {"headers": ["X-Consumer-ID:x"]}}}],
    "rs": [{"name": "response-transformer", "config": {
        "remove": {"headers": ["X-Gone"], "json": ["gone"]},
        "rename": {"headers": ["X-Old:X-New"], "json": ["old:new"]},
        "replace": {"headers": ["X-Rep:r"], "json": ["rep:7"], "json_types": ["number"]},
        "add": {"headers": ["X-Add:a:b"], "json": ["add:true", "s:1"], "json_types": ["boolean", "string"]},
        "append": {"headers": ["X-App:2"], "json": ["app:2"]}}}],
}

# A transformer with captures needs a path of its own.
CAPTURES = [{"name": "request-transformer", "config": {
    "replace": {"uri": "/users/$(uri_captures.user)/$(uri_captures[2])"},
    "add": {"headers": ["X-Whole:$(uri_captures[0])", "X-Agent:$(headers.user_agent)"]}}}]

K, A = ("apikey", "alice-key"), ("Authorization", basic("alice", "open:sesame"))
ORIGIN = ("Origin", "https://x.example")
ASK = ("Access-Control-Request-Method", "PUT")


def r(method, target, headers=(), body=None):
    return (method, target, list(headers), body)


CASES = [
    # key-auth
    ("no key", r("GET", "/key"), {"status": 401, "message": "No API key found in request", "headers": {"WWW-Authenticate": "Key"}, "unreached": True}),
    ("wrong key", r("GET", "/key", [("apikey", "x")]), {"status": 401, "message": "Unauthorized"}),
    ("key in header", r("GET", "/key", [K]), {"status": 200, "to_origin": {
        "x-consumer-id": ALICE, "x-consumer-username": "alice", "x-consumer-custom-id": "a-1", "x-anonymous-consumer": None,
        "x-credential-identifier": "33333333-3333-4333-8333-333333333333", "apikey": "alice-key"}}),
    ("header name in other case", r("GET", "/key", [("APIKey", "alice-key")]), {"status": 200}),
    ("key in query", r("GET", "/key?a=1&apikey=bob%20key%2B"), {"status": 200, "to_origin": {"x-consumer-username": "bob", "x-consumer-custom-id": None}}),
    ("key in query with plus", r("GET", "/key?apikey=bob+key%2b"), {"status": 200}),
    ("two keys in headers", r("GET", "/key", [K, K]), {"status": 401, "message": "Duplicate API key found"}),
    ("two keys in query", r("GET", "/key?apikey=a&apikey=b"), {"status": 401, "message": "Duplicate API key found"}),
    ("key without value", r("GET", "/key?apikey"), {"status": 401, "message": "No API key found in request"}),
    ("empty key", r("GET", "/key", [("apikey", "")]), {"status": 401, "message": "No API key found in request"}),
    ("key in body is not looked for", r("POST", "/key", [FORM], "apikey=alice-key"), {"status": 401}),
    ("preflight needs a key", r("OPTIONS", "/key"), {"status": 401}),
    ("preflight without a key where allowed", r("OPTIONS", "/key-hide"), {"status": 200}),
    ("challenge with realm", r("GET", "/key-hide"), {"status": 401, "headers": {"WWW-Authenticate": 'Key realm="a \\"b\\""'}}),
    ("hidden in header", r("GET", "/key-hide", [K]), {"status": 200, "to_origin": {"apikey": None, "x-consumer-username": "alice"}}),
    ("underscore finds dash", r("GET", "/key-hide", [("x-api-key", "alice-key")]), {"status": 200, "to_origin": {"x-api-key": None}}),
    ("hidden in query", r("GET", "/key-hide?a=1&ap%69key=alice-key&b=%20"), {"status": 200, "uri": "/key-hide?a=1&b=%20"}),
    ("hidden query is dropped whole", r("GET", "/key-hide?apikey=alice-key"), {"status": 200, "uri": "/key-hide"}),
    ("hidden in form", r("POST", "/key-hide", [FORM], "a=1&apikey=alice-key"), {"status": 200, "body": "a=1"}),
    ("hidden in JSON", r("POST", "/key-hide", [JSON], '{"n":1.50,"apikey":"alice-key"}'), {"status": 200, "body": '{"n":1.50}'}),
    ("hidden in multipart", r("POST", "/key-hide", [MULTI], PARTS), {"status": 200, "body": PARTS[PARTS.index("--B", 3):]}),
    ("list in JSON", r("POST", "/key-hide", [JSON], '{"apikey":["a"]}'), {"status": 401, "message": "Duplicate API key found"}),
    ("body of another type", r("POST", "/key-hide", [("Content-Type", "text/plain")], "apikey=alice-key"), {"status": 401}),
    ("body that is no JSON", r("POST", "/key-hide", [JSON], '{"apikey":'), {"status": 401, "message": "No API key found in request"}),
    ("anonymous", r("GET", "/key-anonymous"), {"status": 200, "to_origin": {"x-anonymous-consumer": "true", "x-consumer-username": "nobody", "x-credential-identifier": None}}),
    ("anonymous with a wrong key", r("GET", "/key-anonymous", [("apikey", "x")]), {"status": 200, "to_origin": {"x-anonymous-consumer": "true"}}),
    ("not anonymous with a key", r("GET", "/key-anonymous", [K]), {"status": 200, "to_origin": {"x-anonymous-consumer": None, "x-consumer-username": "alice"}}),
    ("anonymous that does not exist", r("GET", "/key-lost"), {"status": 500, "unreached": True}),
    ("forged identity", r("GET", "/key", [K, ("X_Consumer_Username", "root"), ("x-consumer-ID", "root"), ("X-Anonymous_Consumer", "true"), ("X-Consumer-Groups", "admin")]),
     {"status": 200, "to_origin": {"x-consumer-id": ALICE, "x_consumer_username": None, "x-anonymous_consumer": None, "x-consumer-groups": None}}),
    ("forged identity without a filter", r("GET", "/ip-allow", [("X-Consumer-ID", "root"), ("x_credential-identifier", "y")]),
     {"status": 200, "to_origin": {"x-consumer-id": None, "x_credential-identifier": None}}),
    ("Connection cannot take our fields away", r("GET", "/key", [K, ("Connection", "X-Consumer-ID, X-Consumer-Username")]),
     {"status": 200, "to_origin": {"x-consumer-id": ALICE, "x-consumer-username": "alice"}}),
    # basic-auth
    ("no password", r("GET", "/basic"), {"status": 401, "message": "Unauthorized", "headers": {"WWW-Authenticate": 'Basic realm="service"'}}),
    ("right password", r("GET", "/basic", [A]), {"status": 200, "to_origin": {"authorization": None, "x-credential-identifier": "alice", "x-consumer-id": ALICE}}),
    ("scheme in other case", r("GET", "/basic", [("Authorization", A[1].replace("Basic", "bAsIc"))]), {"status": 200}),
    ("short password", r("GET", "/basic", [("Authorization", basic("bob", "p"))]), {"status": 200}),
    ("wrong password", r("GET", "/basic", [("Authorization", basic("alice", "open"))]), {"status": 401, "message": "Unauthorized"}),
    ("unknown name", r("GET", "/basic", [("Authorization", basic("carol", "x"))]), {"status": 401, "message": "Unauthorized"}),
    ("no colon", r("GET", "/basic", [("Authorization", "Basic YWxpY2U=")]), {"status": 401}),
    ("no base 64", r("GET", "/basic", [("Authorization", "Basic !!!")]), {"status": 401}),
    ("other scheme", r("GET", "/basic", [("Authorization", "Bearer x")]), {"status": 401}),
    # several
    ("either: key", r("GET", "/either", [K]), {"status": 200, "to_origin": {"x-consumer-username": "alice", "x-anonymous-consumer": None}}),
    ("either: password", r("GET", "/either", [A]), {"status": 200, "to_origin": {"x-consumer-username": "alice", "x-anonymous-consumer": None, "x-credential-identifier": "alice"}}),
    ("either: none", r("GET", "/either"), {"status": 200, "to_origin": {"x-anonymous-consumer": "true"}}),
    ("both: key alone", r("GET", "/both", [K]), {"status": 401, "unreached": True}),
    ("both: both", r("GET", "/both", [K, A]), {"status": 200}),
    # acl
    ("group may pass", r("GET", "/acl-allow", [K]), {"status": 200, "to_origin": {"x-consumer-groups": "staff, admin"}}),
    ("group may not pass", r("GET", "/acl-allow?apikey=bob+key%2B"), {"status": 403, "message": "You cannot consume this service", "unreached": True}),
    ("not denied", r("GET", "/acl-deny", [K]), {"status": 200, "to_origin": {"x-consumer-groups": None}}),
    ("denied", r("GET", "/acl-deny?apikey=bob+key%2B"), {"status": 403}),
    ("nobody is in no group", r("GET", "/acl-alone", [K]), {"status": 401, "message": "Unauthorized"}),
    # cors
    ("any origin", r("GET", "/cors", [ORIGIN]), {"status": 200, "headers": {"Access-Control-Allow-Origin": "*", "Vary": None}}),
    ("no origin", r("GET", "/cors"), {"status": 200, "headers": {"Access-Control-Allow-Origin": "*"}}),
    ("preflight", r("OPTIONS", "/cors", [ORIGIN, ASK, ("Access-Control-Request-Headers", "X-Q")]), {"status": 200, "unreached": True, "reply": "", "headers": {
        "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT",
        "Access-Control-Allow-Headers": "X-Q", "Access-Control-Max-Age": None, "Content-Length": "0"}}),
    ("OPTIONS that is no preflight", r("OPTIONS", "/cors", [ORIGIN]), {"status": 200, "method": "OPTIONS"}),
    ("one origin, whoever asks", r("GET", "/cors-one", [ORIGIN]), {"headers": {"Access-Control-Allow-Origin": "https://a.example", "Vary": "Origin",
        "Access-Control-Allow-Credentials": "true", "Access-Control-Expose-Headers": "X-C,X-D"}}),
    ("preflight as configured", r("OPTIONS", "/cors-one", [ORIGIN, ASK]), {"status": 200, "headers": {"Access-Control-Allow-Methods": "GET,PUT",
        "Access-Control-Allow-Headers": "X-A,X-B", "Access-Control-Max-Age": "60", "Access-Control-Expose-Headers": None}}),
    ("pattern", r("GET", "/cors-many", [ORIGIN]), {"headers": {"Access-Control-Allow-Origin": "https://x.example", "Vary": "Origin"}}),
    ("pattern is anchored", r("GET", "/cors-many", [("Origin", "https://x.example.evil")]), {"headers": {"Access-Control-Allow-Origin": None, "Vary": "Origin"}}),
    ("the upstream's own answer goes", r("GET", "/cors-many", [("Origin", "https://z.example"), ("X-Want", '{"headers": [["Access-Control-Allow-Origin", "*"]]}')]),
     {"headers": {"Access-Control-Allow-Origin": None}}),
    ("private network", r("OPTIONS", "/cors-many", [ORIGIN, ASK, ("Access-Control-Request-Private-Network", "true")]), {"headers": {"Access-Control-Allow-Private-Network": "true"}}),
    ("star with credentials names the origin", r("GET", "/cors-star", [ORIGIN]), {"headers": {"Access-Control-Allow-Origin": "https://x.example", "Access-Control-Allow-Credentials": "true", "Vary": "Origin"}}),
    ("preflight for the upstream", r("OPTIONS", "/cors-through", [ORIGIN, ASK]), {"status": 200, "method": "OPTIONS", "headers": {"Access-Control-Allow-Origin": None}}),
    ("no origin, no mark", r("GET", "/cors-through"), {"headers": {"Access-Control-Allow-Origin": None}}),
    # ip-restriction
    ("denied address", r("GET", "/ip-deny"), {"status": 403, "message": "IP address not allowed: 127.0.0.1", "unreached": True}),
    ("allowed address", r("GET", "/ip-allow"), {"status": 200}),
    ("own status and text", r("GET", "/ip-other"), {"status": 418, "message": 'no "tea"'}),
    ("a told address is no address", r("GET", "/ip-other", [("X-Forwarded-For", "10.0.0.1"), ("X-Real-IP", "10.0.0.1")]), {"status": 418}),
    # request-size-limiting
    ("at the limit", r("POST", "/size", [], "0123456789"), {"status": 200, "body": "0123456789"}),
    ("beyond it", r("POST", "/size", [], "0123456789a"), {"status": 413, "message": "Request size limit exceeded", "unreached": True}),
    ("beyond it, asked before", r("POST", "/size", [("Expect", "100-continue")], "0123456789a"), {"status": 417, "message": "Request size limit exceeded"}),
    ("length must be said", r("GET", "/size-known"), {"status": 411, "message": "A valid Content-Length header is required"}),
    ("length said", r("POST", "/size-known", [], "x"), {"status": 200}),
    # request-termination
    ("service unavailable", r("GET", "/end"), {"status": 503, "reply": '{"message":"Service unavailable"}', "headers": {"Content-Type": "application/json; charset=utf-8"}, "unreached": True}),
    ("own message", r("GET", "/end-message", [("Accept", "text/html")]), {"status": 403, "reply": '{"message":"so \\"long\\""}'}),
    ("own body", r("GET", "/end-body"), {"status": 200, "reply": "<b>x</b>", "headers": {"Content-Type": "text/html"}}),
    ("no text of its own", r("GET", "/end-bare"), {"status": 418, "reply": ""}),
    ("not triggered", r("GET", "/end-trigger"), {"status": 200, "method": "GET"}),
    ("triggered by header", r("GET", "/end-trigger", [("X-Stop", "")]), {"status": 451}),
    ("triggered by argument", r("GET", "/end-trigger?x-stop"), {"status": 451}),
    ("HEAD has no body", r("HEAD", "/end"), {"status": 503, "reply": "", "headers": {"Content-Length": "33"}}),
    # correlation-id
    ("an id that came is kept", r("GET", "/id", [("Kong-Request-ID", "mine")]), {"to_origin": {"kong-request-id": "mine"}, "headers": {"Kong-Request-ID": "mine"}}),
    ("an empty one is replaced", r("GET", "/id", [("Kong-Request-ID", "")]), {"matches_to_origin": {"kong-request-id": r"^[0-9a-f-]{36}#\d+$"}}),
    ("uuid#counter", r("GET", "/id"), {"matches_to_origin": {"kong-request-id": r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}#\d+$"}, "echoes": "Kong-Request-ID"}),
    ("uuid", r("GET", "/id-uuid"), {"matches_to_origin": {"x-trace": r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"}, "headers": {"X-Trace": None}}),
    ("tracker", r("GET", "/id-tracker"), {"matches_to_origin": {"kong-request-id": r"^127\.0\.0\.1-\d+-\d+-\d+-\d+-\d+\.\d{3}$"}, "echoes": "Kong-Request-ID"}),
    # request-transformer
    ("headers", r("GET", "/rt?q=v%0d%0aX-Evil:%201", [("X-Gone", "1"), ("x-old", "o1"), ("X-Old", "o2"), ("X-New", "n"), ("X-Rep", "0"), ("X-App", "1")]), {
        "status": 200, "to_origin": {"x-gone": None, "x-old": None, "x-new": ["o1", "o2"], "x-rep": "r", "x-add": "a:b", "x-app": ["1", "2"],
                                     "host": "elsewhere.example", "x-from-query": "v%0D%0AX-Evil: 1", "x-evil": None}}),
    ("absent is not replaced, present is not added", r("GET", "/rt", [("X-Add", "mine")]), {"to_origin": {"x-rep": None, "x-add": "mine", "x-new": None, "x-app": "2"}}),
    ("query", r("GET", "/rt?gone=1&old=a%20b&new=x&rep=0&app=1&k=%7E"), {"uri": "/rt?new=a%20b&rep=r%20r&app=1&k=%7E&add=1&app=2"}),
    ("JSON body", r("POST", "/rt", [JSON], '{"gone":1,"old":[1.0],"rep":0,"app":1,"k":12345678901234567890}'), {"body": '{"new":[1.0],"rep":"r","app":[1,"2"],"k":12345678901234567890,"add":"a"}'}),
    ("form body", r("POST", "/rt", [FORM], "gone=1&old=2&rep=3&k=%41"), {"body": "new=2&rep=r&k=%41&add=a&app=2"}),
    ("empty JSON body is added to", r("POST", "/rt", [JSON], ""), {"body": '{"add":"a","app":["2"]}'}),
    ("a body that is no JSON stays", r("POST", "/rt", [JSON], '{"gone":'), {"body": '{"gone":'}),
    ("a JSON list stays", r("POST", "/rt", [JSON], "[1]"), {"body": "[1]"}),
    ("a compressed body stays", r("POST", "/rt", [JSON, ("Content-Encoding", "gzip")], '{"gone":1}'), {"body": '{"gone":1}'}),
    ("another type stays", r("POST", "/rt", [("Content-Type", "text/plain")], "gone=1"), {"body": "gone=1"}),
    ("form into query", r("POST", "/rt-method?a=1", [FORM], "b=2&c=%20"), {"method": "GET", "uri": "/rt-method?a=1&b=2&c=%20"}),
    ("framing is not for sale", r("POST", "/rt-safe", [], "abc"), {"status": 200, "body": "abc", "to_origin": {"content-length": "3", "transfer-encoding": None}}),
    ("captures", r("GET", "/c/al%20ice/42?x=1", [("User-Agent", "u/1")]), {"uri": "/users/al%20ice/42?x=1", "to_origin": {"x-whole": "/c/al ice/42", "x-agent": "u/1"}}),
    # response-transformer
    ("response headers", r("GET", "/rs", [("X-Want", '{"headers": [["X-Gone","1"],["X-Old","o"],["X-Rep","0"],["X-App","1"]], "body": "x"}')]), {
        "reply": "x", "headers": {"X-Gone": None, "X-Old": None, "X-New": "o", "X-Rep": "r", "X-Add": "a:b", "X-App": ["1", "2"]}}),
    ("response JSON", r("GET", "/rs", [("X-Want", '{"headers": [["Content-Type","application/json"]], "body": "{\\"gone\\":1,\\"old\\":2,\\"rep\\":0,\\"app\\":\\"1\\",\\"f\\":0.10}"}')]),
     {"reply": '{"new":2,"rep":7,"app":["1","2"],"f":0.10,"add":true,"s":"1"}'}),
    ("compressed JSON stays", r("GET", "/rs", [("X-Want", '{"headers": [["Content-Type","application/json"],["Content-Encoding","gzip"]], "body": "{}"}')]), {"reply": "{}"}),
    ("other types stay", r("GET", "/rs", [("X-Want", '{"headers": [["Content-Type","text/plain"]], "body": "{}"}')]), {"reply": "{}"}),
    # error bodies
    ("error as HTML", r("GET", "/key", [("Accept", "text/html")]), {"status": 401, "headers": {"Content-Type": "text/html; charset=utf-8"}, "has": "<p>No API key found in request.</p>"}),
    ("error as text", r("GET", "/key", [("Accept", "text/html;q=0.5, text/plain")]), {"status": 401, "headers": {"Content-Type": "text/plain; charset=utf-8"}, "has": "No API key found in request\nrequest_id: "}),
    ("error as XML", r("GET", "/key", [("Accept", "application/xml")]), {"status": 401, "has": "<message>No API key found in request</message>"}),
    ("error as gRPC", r("POST", "/key", [("Content-Type", "application/grpc")], ""), {"status": 401, "reply": "", "headers": {"grpc-status": "16", "grpc-message": "No API key found in request"}}),
]


def config(origin_port: int) -> dict:
    url = f"http://127.0.0.1:{origin_port}"
    routes = [{"name": name, "paths": [f"~/{name}$"], "strip_path": False, "plugins": plugins} for name, plugins in ROUTES.items()]
    routes.append({"name": "captures", "paths": ["~/c/(?<user>[^/]+)/(.*)$"], "plugins": CAPTURES})
    return {"_format_version": "3.0", "services": [{"name": "origin", "url": url, "routes": routes}], "consumers": CONSUMERS}
