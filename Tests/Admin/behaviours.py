"""How Kong's Admin API behaves, line by line: status and body of each answer.

A step is (what it shows, method, path, options, expected). Options: json, body, headers, token. Expected: status, and
`body` (members that must be there, as given), `message`, `code`, `fields`, `absent` (members that must not be there),
`header` (name → value), `empty` (no body at all). A step may name its answer: {name.id} stands for it later.
"""

import json
import re

from certificates import pair

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NOWHERE = "00000000-0000-4000-8000-000000000000"

BASICS = [
    ("the root tells the version", "GET", "/", {}, {"status": 200, "body": {"edition": "community"}}),
    ("unknown paths", "GET", "/nothing", {}, {"status": 404, "body": {"message": "Not found"}}),
    ("unknown entities", "GET", "/services/nobody", {}, {"status": 404, "body": {"message": "Not found"}}),
    ("wrong methods", "DELETE", "/services", {}, {"status": 405, "header": {"allow": "GET, HEAD, OPTIONS, POST"}}),
    ("methods that nothing has", "TRACE", "/services", {}, {"status": 405}),
    ("OPTIONS", "OPTIONS", "/services/x", {},
     {"status": 204, "empty": True, "header": {"allow": "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"}}),
    ("HEAD", "HEAD", "/services", {}, {"status": 200, "empty": True}),
    ("targets have no collection of their own", "GET", "/targets", {}, {"status": 404}),
    ("status", "GET", "/status", {}, {"status": 200, "body": {"database": {"reachable": True}}}),
    ("ready", "GET", "/status/ready", {}, {"status": 200}),
    ("endpoints", "GET", "/endpoints", {}, {"status": 200}),
    ("enabled plugins", "GET", "/plugins/enabled", {}, {"status": 200}),
    ("data planes", "GET", "/clustering/data-planes", {}, {"status": 200, "body": {"data": [], "next": None}}),
    ("no token", "GET", "/services", {"token": False}, {"status": 401, "header": {"www-authenticate": 'Bearer realm="seaway"'}}),
    ("a token in Kong's header", "GET", "/services", {"token": False, "headers": {"Kong-Admin-Token": "TOKEN"}}, {"status": 200}),
    ("an unknown token", "GET", "/services", {"token": False, "headers": {"Authorization": "Bearer sw_x"}}, {"status": 401}),
    ("no token, no path", "GET", "/nothing", {"token": False}, {"status": 401}),
]

BODIES = [
    ("a body that is no JSON", "POST", "/services", {"body": "{", "headers": {"Content-Type": "application/json"}},
     {"status": 400, "message": "Cannot parse JSON body"}),
    ("JSON that is no object", "POST", "/services", {"body": "[]", "headers": {"Content-Type": "application/json"}},
     {"status": 400, "message": "Cannot parse JSON body"}),
    ("another content type", "POST", "/services", {"body": "<a/>", "headers": {"Content-Type": "text/xml"}}, {"status": 415}),
    ("no content type", "POST", "/services", {"body": "name=a"}, {"status": 415}),
    ("two content types", "POST", "/services",
     {"body": "{}", "headers": {"Content-Type": ["application/json", "application/json"]}}, {"status": 400}),
    ("a form", "POST", "/services", {"body": "name=form&host=h&port=81&tags[]=a&tags[]=b", "headers": FORM},
     {"status": 201, "body": {"name": "form", "port": 81, "tags": ["a", "b"]}}),
    ("a multipart form", "POST", "/services",
     {"body": '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nparts\r\n'
              '--b\r\nContent-Disposition: form-data; name="host"\r\n\r\nh\r\n--b--\r\n',
      "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, {"status": 201, "body": {"name": "parts"}}),
    ("clean up", "DELETE", "/services/form", {}, {"status": 204, "empty": True}),
    ("clean up", "DELETE", "/services/parts", {}, {"status": 204}),
]

SERVICES = [
    ("nothing given", "POST", "/services", {"json": {}},
     {"status": 400, "code": 2, "name": "schema violation", "message": "schema violation (host: required field missing)",
      "fields": {"host": "required field missing"}}),
    ("two violations", "POST", "/services", {"json": {"host": "h", "port": 99999, "protocol": "gopher"}},
     {"status": 400, "code": 2, "starts": "2 schema violations (",
      "fields": {"port": "value should be between 0 and 65535",
                 "protocol": "expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp"}}),
    ("an unknown field", "POST", "/services", {"json": {"host": "h", "hots": 1}},
     {"status": 400, "code": 2, "fields": {"hots": "unknown field"}}),
    ("wrong types", "POST", "/services", {"json": {"host": "h", "retries": "x", "enabled": "yes"}},
     {"status": 400, "code": 2, "fields": {"retries": "expected an integer", "enabled": "expected a boolean"}}),
    ("created", "POST", "/services", {"json": {"name": "a", "host": "h", "tags": ["t", "u"]}, "as": "a"},
     {"status": 201, "header": {"etag": r'"\d+"'},
      "body": {"name": "a", "host": "h", "port": 80, "protocol": "http", "retries": 5, "connect_timeout": 60000,
               "write_timeout": 60000, "read_timeout": 60000, "path": None, "enabled": True, "tags": ["t", "u"],
               "client_certificate": None, "tls_verify": None, "tls_verify_depth": None, "ca_certificates": None}}),
    ("the same name again", "POST", "/services", {"json": {"name": "a", "host": "h"}},
     {"status": 409, "code": 5, "name": "unique constraint violation",
      "message": "UNIQUE violation detected on '{name=\"a\"}'", "fields": {"name": "a"}}),
    ("the same id again", "POST", "/services", {"json": {"id": "{a.id}", "host": "h"}},
     {"status": 400, "code": 3, "name": "primary key violation", "message": "primary key violation on key '{id=\"{a.id}\"}'"}),
    ("by id", "GET", "/services/{a.id}", {}, {"status": 200, "body": {"name": "a"}}),
    ("by name", "GET", "/services/a", {}, {"status": 200, "body": {"id": "{a.id}"}}),
    ("a patch keeps the rest", "PATCH", "/services/a", {"json": {"port": 8080}},
     {"status": 200, "body": {"id": "{a.id}", "host": "h", "port": 8080, "tags": ["t", "u"], "created_at": "{a.created_at}"}}),
    ("null puts a default back", "PATCH", "/services/a", {"json": {"port": None, "tags": None}},
     {"status": 200, "body": {"port": 80, "tags": None}}),
    ("a patch that is wrong changes nothing", "PATCH", "/services/a", {"json": {"port": 8080, "retries": -1}},
     {"status": 400, "fields": {"retries": "value should be between 0 and 32767"}}),
    ("it did not", "GET", "/services/a", {}, {"status": 200, "body": {"port": 80}}),
    ("an empty patch", "PATCH", "/services/a", {"json": {}}, {"status": 200, "body": {"port": 80}}),
    ("a patch of nobody", "PATCH", "/services/nobody", {"json": {"port": 1}}, {"status": 404, "message": "Not found"}),
    ("a url stands for four fields", "PATCH", "/services/a", {"json": {"url": "https://other:8443/base"}},
     {"status": 200, "body": {"protocol": "https", "host": "other", "port": 8443, "path": "/base"}, "absent": ["url"]}),
    ("put replaces", "PUT", "/services/a", {"json": {"host": "new"}},
     {"status": 200, "body": {"id": "{a.id}", "name": "a", "host": "new", "port": 80, "path": None,
                              "created_at": "{a.created_at}"}}),
    ("put creates by name", "PUT", "/services/b", {"json": {"url": "http://h"}, "as": "b"},
     {"status": 200, "body": {"name": "b", "host": "h", "port": 80}}),
    ("put creates by id", "PUT", f"/services/{NOWHERE}", {"json": {"name": "c", "host": "h"}},
     {"status": 200, "body": {"id": NOWHERE, "name": "c"}}),
    ("a name that is taken", "PATCH", "/services/b", {"json": {"name": "a"}}, {"status": 409, "code": 5}),
    ("If-Match that does not", "PATCH", "/services/a", {"json": {"port": 1}, "headers": {"If-Match": '"999999"'}}, {"status": 412}),
    ("If-Match that is none", "PATCH", "/services/a", {"json": {"port": 1}, "headers": {"If-Match": "x"}}, {"status": 400}),
    ("deleted", "DELETE", f"/services/{NOWHERE}", {}, {"status": 204, "empty": True}),
    ("deleted again", "DELETE", f"/services/{NOWHERE}", {}, {"status": 204}),
    ("deleted by a name that nobody has", "DELETE", "/services/nobody", {}, {"status": 204}),
    ("names are checked", "POST", "/services", {"json": {"name": "a b", "host": "h"}}, {"status": 400, "code": 2}),
]

ROUTES = [
    ("a route must match something", "POST", "/routes", {"json": {"name": "r"}},
     {"status": 400, "code": 2, "entity": r"must set one of 'methods', 'hosts', 'headers', 'paths', 'snis'"}),
    ("nested create", "POST", "/services/a/routes", {"json": {"name": "r", "paths": ["/p"]}, "as": "r"},
     {"status": 201, "body": {"service": {"id": "{a.id}"}, "protocols": ["http", "https"], "strip_path": True,
                              "https_redirect_status_code": 426, "regex_priority": 0, "path_handling": "v0"}}),
    ("nested create under nobody", "POST", "/services/nobody/routes", {"json": {"paths": ["/"]}}, {"status": 404}),
    ("nested list", "GET", "/services/a/routes", {}, {"status": 200, "count": 1}),
    ("nested get", "GET", "/services/a/routes/r", {}, {"status": 200, "body": {"id": "{r.id}"}}),
    ("nested under another", "GET", "/services/b/routes/r", {}, {"status": 404}),
    ("nested delete under another", "DELETE", "/services/b/routes/r", {}, {"status": 404}),
    ("the service of a route", "GET", "/routes/r/service", {}, {"status": 200, "body": {"name": "a"}}),
    ("patching it", "PATCH", "/routes/r/service", {"json": {"retries": 2}}, {"status": 200, "body": {"name": "a", "retries": 2}}),
    ("deleting it is no operation", "DELETE", "/routes/r/service", {}, {"status": 405}),
    ("a service that is used", "DELETE", "/services/a", {},
     {"status": 400, "code": 4, "message": "an existing 'routes' entity references this 'services' entity",
      "fields": {"@referenced_by": "routes"}}),
    ("a reference that leads nowhere", "POST", "/routes", {"json": {"paths": ["/"], "service": {"id": NOWHERE}}},
     {"status": 400, "code": 4, "name": "foreign key violation",
      "message": f"the foreign key '{{id=\"{NOWHERE}\"}}' does not reference an existing 'services' entity.",
      "fields": {"service": {"id": NOWHERE}}}),
    ("a reference by name", "POST", "/routes", {"json": {"name": "n", "paths": ["/n"], "service": {"name": "b"}}},
     {"status": 201, "body": {"service": {"id": "{b.id}"}}}),
    ("a reference by a name that nobody has", "POST", "/routes", {"json": {"paths": ["/"], "service": {"name": "x"}}},
     {"status": 400, "code": 13, "name": "foreign keys unresolved"}),
    ("a route without service", "POST", "/routes", {"json": {"name": "alone", "hosts": ["alone.example"]}},
     {"status": 201, "body": {"service": None}}),
    ("its service", "GET", "/routes/alone/service", {}, {"status": 404}),
    ("put makes one", "PUT", "/routes/alone/service", {"json": {"name": "made", "host": "h"}, "as": "made"}, {"status": 200}),
    ("and it is the route's", "GET", "/routes/alone", {}, {"status": 200, "body": {"service": {"id": "{made.id}"}}}),
    ("nested put creates", "PUT", "/services/b/routes/fresh", {"json": {"paths": ["/fresh"]}},
     {"status": 200, "body": {"name": "fresh", "service": {"id": "{b.id}"}}}),
    ("a path that is none", "POST", "/routes", {"json": {"paths": ["nope"]}}, {"status": 400, "code": 2}),
    ("a regex that does not compile", "POST", "/routes", {"json": {"paths": ["~/("]}}, {"status": 400, "code": 2}),
]

PLUGINS = [
    ("with its defaults", "POST", "/plugins", {"json": {"name": "rate-limiting", "config": {"minute": 5}}, "as": "p"},
     {"status": 201, "body": {"enabled": True, "service": None, "route": None, "consumer": None},
      "config": {"minute": 5, "limit_by": "consumer", "policy": "local", "second": None}}),
    ("twice in one place", "POST", "/plugins", {"json": {"name": "rate-limiting", "config": {"minute": 6}}},
     {"status": 409, "code": 5}),
    ("in another place", "POST", "/services/a/plugins", {"json": {"name": "rate-limiting", "config": {"minute": 6}}},
     {"status": 201, "body": {"service": {"id": "{a.id}"}}}),
    ("a patch merges the configuration", "PATCH", "/plugins/{p.id}", {"json": {"config": {"hour": 100}}},
     {"status": 200, "config": {"minute": 5, "hour": 100}}),
    ("a patch as a form", "PATCH", "/plugins/{p.id}", {"body": "config.minute=7&enabled=false", "headers": FORM},
     {"status": 200, "body": {"enabled": False}, "config": {"minute": 7, "hour": 100}}),
    ("an unknown plugin", "POST", "/plugins", {"json": {"name": "nonsense"}}, {"status": 400, "code": 2}),
    ("an unknown field of its configuration", "POST", "/plugins", {"json": {"name": "cors", "config": {"origin": "*"}}},
     {"status": 400, "code": 2, "fields": {"config": {"origin": "unknown field"}}}),
    ("by its instance name", "POST", "/plugins", {"json": {"name": "cors", "instance_name": "mine"}}, {"status": 201}),
    ("found by it", "GET", "/plugins/mine", {}, {"status": 200, "body": {"name": "cors"}}),
    ("the schema of a plugin", "GET", "/schemas/plugins/cors", {}, {"status": 200}),
    ("the older path", "GET", "/plugins/schema/cors", {}, {"status": 200}),
    ("no such plugin", "GET", "/schemas/plugins/x", {}, {"status": 404, "message": "No plugin named 'x'"}),
    ("no such entity", "GET", "/schemas/x", {}, {"status": 404, "message": "No entity named 'x'"}),
    ("validating", "POST", "/schemas/services/validate", {"json": {"host": "h"}},
     {"status": 200, "message": "schema validation successful"}),
    ("validating what is wrong", "POST", "/schemas/services/validate", {"json": {}}, {"status": 400, "code": 2}),
    ("validating a plugin", "POST", "/schemas/plugins/validate", {"json": {"name": "cors"}}, {"status": 200}),
    ("plugins go with their service", "DELETE", "/services/made", {}, {"status": 400, "code": 4}),
]

CONSUMERS = [
    ("a consumer needs a name", "POST", "/consumers", {"json": {}},
     {"status": 400, "code": 2, "entity": "at least one of these fields must be non-empty: 'custom_id', 'username'"}),
    ("created", "POST", "/consumers", {"json": {"username": "ada", "custom_id": "7"}, "as": "ada"}, {"status": 201}),
    ("by custom id", "GET", "/consumers?custom_id=7", {}, {"status": 200, "count": 1}),
    ("by another custom id", "GET", "/consumers?custom_id=8", {}, {"status": 200, "count": 0}),
    ("a custom id that is taken", "POST", "/consumers", {"json": {"username": "bob", "custom_id": "7"}},
     {"status": 409, "code": 5, "fields": {"custom_id": "7"}}),
    ("an empty body makes a key", "POST", "/consumers/ada/key-auth", {"as": "key"},
     {"status": 201, "body": {"consumer": {"id": "{ada.id}"}}}),
    ("a key of one's own", "POST", "/consumers/ada/key-auth", {"json": {"key": "mine"}}, {"status": 201, "body": {"key": "mine"}}),
    ("a key that is taken", "POST", "/consumers/ada/key-auth", {"json": {"key": "mine"}},
     {"status": 409, "code": 5, "fields": {"key": "mine"}}),
    ("all keys", "GET", "/key-auths", {}, {"status": 200, "count": 2}),
    ("by the key", "GET", "/key-auths/mine", {}, {"status": 200, "body": {"consumer": {"id": "{ada.id}"}}}),
    ("whose it is", "GET", "/key-auths/mine/consumer", {}, {"status": 200, "body": {"username": "ada"}}),
    ("a password is hashed with the consumer's id", "POST", "/consumers/ada/basic-auth",
     {"json": {"username": "ada", "password": "secret"}, "as": "basic"}, {"status": 201, "sha1": "secret{ada.id}"}),
    ("a patch of the name does not hash again", "PATCH", "/basic-auths/{basic.id}", {"json": {"username": "ada2"}},
     {"status": 200, "body": {"username": "ada2", "password": "{basic.password}"}}),
    ("a group", "POST", "/consumers/ada/acls", {"json": {"group": "g"}}, {"status": 201}),
    ("the same group again", "POST", "/consumers/ada/acls", {"json": {"group": "g"}}, {"status": 409, "code": 5}),
    ("by group under its consumer", "GET", "/consumers/ada/acls/g", {}, {"status": 200}),
    ("jwt", "POST", "/consumers/ada/jwt", {}, {"status": 201, "body": {"algorithm": "HS256"}}),
    ("hmac", "POST", "/consumers/ada/hmac-auth", {"json": {"username": "ada"}}, {"status": 201}),
    ("oauth2", "POST", "/consumers/ada/oauth2", {"json": {"name": "app"}}, {"status": 201}),
    ("credentials go with their consumer", "DELETE", "/consumers/ada", {}, {"status": 204}),
    ("they went", "GET", "/key-auths", {}, {"status": 200, "count": 0}),
]

UPSTREAMS = [
    ("created", "POST", "/upstreams", {"json": {"name": "up.internal"}, "as": "up"},
     {"status": 201, "body": {"algorithm": "round-robin", "slots": 10000, "hash_on": "none"}}),
    ("an address is no name", "POST", "/upstreams", {"json": {"name": "10.0.0.1"}}, {"status": 400, "code": 2}),
    ("a target gets a port", "POST", "/upstreams/up.internal/targets", {"json": {"target": "10.0.0.1"}, "as": "target"},
     {"status": 201, "body": {"target": "10.0.0.1:8000", "weight": 100, "upstream": {"id": "{up.id}"}}}),
    ("the same target again", "POST", "/upstreams/up.internal/targets", {"json": {"target": "10.0.0.1:8000"}},
     {"status": 409, "code": 5}),
    ("by address", "GET", "/upstreams/up.internal/targets/10.0.0.1:8000", {}, {"status": 200, "body": {"id": "{target.id}"}}),
    ("weight", "PATCH", "/upstreams/up.internal/targets/10.0.0.1:8000", {"json": {"weight": 0}}, {"status": 200, "body": {"weight": 0}}),
    ("all targets", "GET", "/upstreams/up.internal/targets/all", {}, {"status": 200, "count": 1}),
    ("health without reports", "GET", "/upstreams/up.internal/health", {}, {"status": 200, "count": 1, "health": "HEALTHCHECKS_OFF"}),
    ("balancer health", "GET", "/upstreams/up.internal/health?balancer_health=1", {}, {"status": 200}),
    ("health cannot be set", "PUT", "/upstreams/up.internal/targets/10.0.0.1:8000/unhealthy", {}, {"status": 405, "code": 12}),
    ("nor of nobody", "PUT", "/upstreams/up.internal/targets/10.0.0.9:1/healthy", {}, {"status": 404}),
    ("a target is deleted by its address", "DELETE", "/upstreams/up.internal/targets/10.0.0.1:8000", {}, {"status": 204}),
    ("targets go with their upstream", "DELETE", "/upstreams/{up.id}", {}, {"status": 204}),
]

LISTS = [
    ("size 0", "GET", "/services?size=0", {}, {"status": 400, "code": 9, "name": "invalid size"}),
    ("size too large", "GET", "/services?size=1001", {}, {"status": 400, "code": 9}),
    ("size that is no number", "GET", "/services?size=x", {}, {"status": 400, "code": 9, "message": "size must be a number"}),
    ("an offset that is none", "GET", "/services?offset=x", {},
     {"status": 400, "code": 7, "message": "'x' is not a valid offset: bad base64 encoding"}),
    ("tags mixed", "GET", "/services?tags=a,b/c", {}, {"status": 400, "code": 11, "has": "options"}),
    ("tags of all", "GET", "/tags", {}, {"status": 200}),
    ("tags of nobody", "GET", "/tags/nobody", {}, {"status": 200, "count": 0}),
    ("an id that is none, where only ids can be", "GET", "/ca_certificates/x", {}, {"status": 400, "code": 1}),
]


def certificate_steps():
    cert, key = pair("a.example")
    other_cert, other_key = pair("b.example")
    authority, _ = pair("authority", ca=True)
    return [
        ("a certificate with names", "POST", "/certificates", {"json": {"cert": cert, "key": key, "snis": ["a.example", "w.example"]}, "as": "cert"},
         {"status": 201, "body": {"snis": ["a.example", "w.example"]}}),
        ("the key of another", "POST", "/certificates", {"json": {"cert": cert, "key": other_key}}, {"status": 400, "code": 2}),
        ("a name that another has", "POST", "/certificates", {"json": {"cert": other_cert, "key": other_key, "snis": ["a.example"]}},
         {"status": 400, "code": 2,
          "fields": {"snis": "a.example already associated with existing certificate '{cert.id}'"}}),
        ("by a name", "GET", "/certificates/a.example", {}, {"status": 200, "body": {"id": "{cert.id}"}}),
        ("names are replaced", "PATCH", "/certificates/{cert.id}", {"json": {"snis": ["new.example"]}},
         {"status": 200, "body": {"snis": ["new.example"]}}),
        ("the old ones are gone", "GET", "/snis/a.example", {}, {"status": 404}),
        ("names that are not given stay", "PATCH", "/certificates/{cert.id}", {"json": {"tags": ["t"]}},
         {"status": 200, "body": {"snis": ["new.example"], "tags": ["t"]}}),
        ("put by a name that is new", "PUT", "/certificates/b.example", {"json": {"cert": other_cert, "key": other_key}},
         {"status": 200, "body": {"snis": ["b.example"]}}),
        ("a list of certificates shows names", "GET", "/certificates", {}, {"status": 200, "count": 2}),
        ("names go with their certificate", "DELETE", "/certificates/b.example", {}, {"status": 204}),
        ("they went", "GET", "/snis/b.example", {}, {"status": 404}),
        ("an authority", "POST", "/ca_certificates", {"json": {"cert": authority}, "as": "ca"}, {"status": 201}),
        ("no authority", "POST", "/ca_certificates", {"json": {"cert": cert}}, {"status": 400, "code": 2}),
        ("clean up", "DELETE", "/ca_certificates/{ca.id}", {}, {"status": 204}),
        ("clean up", "DELETE", "/certificates/{cert.id}", {}, {"status": 204}),
    ]


CONFIG = [
    ("not a configuration", "POST", "/config", {"json": {"x": 1}}, {"status": 400, "message": "expected a declarative configuration"}),
    ("a configuration that is wrong", "POST", "/config", {"json": {"_format_version": "3.0", "services": [{"name": "s"}]}},
     {"status": 400, "code": 14, "name": "invalid declarative configuration"}),
    ("with the errors flat", "POST", "/config?flatten_errors=1", {"json": {"_format_version": "3.0", "services": [{"name": "s"}]}},
     {"status": 400, "code": 14, "has": "flattened_errors"}),
    ("replaces all", "POST", "/config", {"json": {"_format_version": "3.0", "services": [{"name": "only", "host": "h"}]}},
     {"status": 201, "has": "services"}),
    ("the rest is gone", "GET", "/services", {}, {"status": 200, "count": 1}),
    ("the same again", "POST", "/config?check_hash=1", {"json": {"_format_version": "3.0", "services": [{"name": "only", "host": "h"}]}},
     {"status": 304, "empty": True}),
    ("as YAML in a field", "POST", "/config", {"json": {"config": "_format_version: '3.0'\nconsumers:\n- username: c\n"}}, {"status": 201}),
    ("as YAML", "POST", "/config", {"body": "_format_version: '3.0'\nconsumers:\n- username: d\n", "headers": {"Content-Type": "text/yaml"}},
     {"status": 201}),
    ("what is there", "GET", "/consumers", {}, {"status": 200, "count": 1}),
    ("nothing", "POST", "/config", {"json": {"_format_version": "3.0"}}, {"status": 201}),
]


def filled(value, known):
    """`{a.id}` in texts becomes the member of the answer that was called `a`."""
    if isinstance(value, dict):
        return {k: filled(v, known) for k, v in value.items()}
    if isinstance(value, list):
        return [filled(v, known) for v in value]
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"\{(\w+)\.(\w+)\}", value)
    if whole:
        return known[whole[1]][whole[2]]
    return re.sub(r"\{(\w+)\.(\w+)\}", lambda m: str(known[m[1]][m[2]]), value)


def judge(check, name, answer, want):
    import hashlib

    def same(what, got, expected):
        check(name, got == expected, f"{what} is {got!r}, not {expected!r} ({answer.status} {answer.body[:300]!r})")

    same("status", answer.status, want["status"])
    if answer.status != want["status"]:
        return
    body = {}
    if want.get("empty"):
        same("body", answer.body, b"")
    elif answer.body:
        check(name, answer.headers["content-type"].startswith("application/json"), answer.headers)
        body = answer.json
    for member, value in want.get("body", {}).items():
        same(member, body.get(member, "absent"), value)
    for member in ("message", "code", "name"):
        if member in want:
            same(member, body.get(member), want[member])
    if "starts" in want:
        check(name, body["message"].startswith(want["starts"]), body["message"])
    for member, value in want.get("fields", {}).items():
        got = body.get("fields", {}).get(member)
        if isinstance(value, dict):
            for inner, expected in value.items():
                same(f"fields.{member}.{inner}", (got or {}).get(inner), expected)
        else:
            same(f"fields.{member}", got, value)
    for member, value in want.get("config", {}).items():
        same(f"config.{member}", body["config"].get(member), value)
    if "entity" in want:
        texts = body.get("fields", {}).get("@entity", [])
        check(name, any(re.search(want["entity"], t) for t in texts), f"@entity is {texts} ({body})")
    for member in want.get("absent", []):
        check(name, member not in body, f"{member} is there")
    if "has" in want:
        check(name, want["has"] in body, f"no {want['has']} in {list(body)}")
    if "count" in want:
        same("count", len(body["data"]), want["count"])
    if "health" in want:
        same("health", body["data"][0]["health"], want["health"])
    if "sha1" in want:
        same("password", body["password"], hashlib.sha1(want["sha1"].encode()).hexdigest())
    for header, pattern in want.get("header", {}).items():
        got = answer.headers.get(header, "")
        check(name, got == pattern or re.fullmatch(pattern, got), f"{header} is {got!r}")


def test(plane, check):
    known = {}
    topics = {
        "basics": BASICS, "bodies": BODIES, "services": SERVICES, "routes": ROUTES, "plugins": PLUGINS,
        "consumers": CONSUMERS, "upstreams": UPSTREAMS, "lists": LISTS, "certificates": certificate_steps(),
        "config": CONFIG,
    }
    for topic, steps in topics.items():
        for title, method, path, options, want in steps:
            name = f"{topic}: {title}"
            try:
                options, want, path = filled(options, known), filled(want, known), filled(path, known)
            except KeyError as error:
                check(name, False, f"no answer called {error}")
                continue
            headers = options.get("headers")
            if headers and headers.get("Kong-Admin-Token") == "TOKEN":
                headers = {"Kong-Admin-Token": plane.token}
            answer = plane.request(
                method, path, json_body=options.get("json"), body=options.get("body"), headers=headers,
                token=options.get("token", True))
            if "as" in options and answer.status in (200, 201):
                known[options["as"]] = answer.json
            judge(check, name, answer, want)
    timestamps(plane, check)
    json.dumps(known)


def timestamps(plane, check):
    """Seconds; an update that changes nothing leaves updated_at alone."""
    made = plane.request("POST", "/services", {"name": "clock", "host": "h"}).json
    check("timestamps are seconds", 1_600_000_000 < made["created_at"] < 4_000_000_000, made)
    check("updated_at begins as created_at", made["updated_at"] == made["created_at"], made)
    same = plane.request("PATCH", "/services/clock", {"host": "h"}).json
    check("nothing changed", same["updated_at"] == made["updated_at"], same)
    plane.request("DELETE", "/services/clock")
