"""Nobody gets in without a right: every operation of both OpenAPI documents, tried with no token and with each kind
of token that is not enough; and every refusal is in the audit log."""

import re
import time

from api import API

# Ways in have no door before them. Their own answers to nonsense are 401 or lead to a login.
OPEN = {("get", "/healthz"), ("get", "/v1/session"), ("get", "/v1/oidc/login"), ("get", "/v1/oidc/callback")}
# What everybody with a token may know: about themselves, and about the API's shape.
PLAIN = {
    "/v1/whoami", "/v1/types", "/v1/schemas", "/v1/schemas/{type}", "/v1/schemas/plugins", "/v1/schemas/plugins/{name}", "/v1/openapi.json",
    "/v1/status", "/v1/session", "/v1/revisions", "/v1/revisions/{number}", "/v1/revisions/{number}/changes",
    "/v1/diff", "/v1/export", "/v1/watch",
}
# The same on the Admin API; /tags shows only what may be read.
ADMIN_PLAIN = {
    "/", "/status", "/status/ready", "/endpoints", "/tags", "/tags/{tag}", "/plugins/enabled",
    "/plugins/schema/{plugin}", "/schemas/{entity}", "/schemas/{entity}/validate", "/schemas/plugins/{plugin}",
    "/schemas/plugins/validate", "/openapi.json",
}


def operations(document):
    for path, item in document["paths"].items():
        for method in item:
            if method in ("get", "put", "post", "patch", "delete", "head", "options"):
                yield method, path


def filled(path):
    known = {"type": "services", "id": "00000000-0000-4000-8000-000000000001", "number": "1"}
    return re.sub(r"\{([^}]+)\}", lambda found: known.get(found.group(1), "nobody"), path)


def test(program, check):
    with API(program) as plane:
        everything(plane, check)
        roles(plane, check)
        doors(plane, check)
        guessing(plane, check)


def everything(plane, check):
    revoked = plane.make_token("gone", "admin")
    check("a token is revoked", plane.ask("DELETE", "/v1/tokens/gone").status == 204)
    expired = plane.make_token("brief", "admin", expiresIn=1)
    gateway = plane.make_token("joiner", "gateway")
    secret = "sw_" + gateway["token"].split(".")[1]
    role = {"name": "nothing", "spec": {"rules": [{"verbs": ["read"], "types": ["metrics"]}]}}
    check("a role is made", plane.ask("POST", "/v1/roles", role).status == 201)
    other = plane.make_token("other", "nothing")["token"]
    time.sleep(1.1)
    documents = [
        (False, plane.ask("GET", "/v1/openapi.json").json), (True, plane.ask("GET", "/openapi.json", admin=True).json)]
    refused = 0
    for admin, document in documents:
        count = 0
        for method, path in operations(document):
            if (method, path) in OPEN:
                continue
            count += 1
            where = f"{method.upper()} {path}"
            cases = [("no token", "", 401), ("an expired token", expired["token"], 401),
                     ("a revoked token", revoked["token"], 401), ("a gateway's token", secret, 403)]
            if path != "/metrics" and path not in (ADMIN_PLAIN if admin else PLAIN):
                cases.append(("another role's token", other, 403))
            if (method, path) == ("post", "/v1/session"):
                cases = [(name, token, 401 if expected == 401 else 403) for name, token, expected in cases[:4]]
            for name, token, expected in cases:
                body = {"token": token or "x"} if path == "/v1/session" and method == "post" else {}
                answer = plane.ask(method.upper(), filled(path), body, admin=admin, token=token)
                refused += 1
                check(f"{where} with {name} is {expected}", answer.status == expected,
                      f"{answer.status} {answer.body[:200]}")
                if expected == 401 and answer.status == 401:
                    check(f"{where} with {name} says how", "www-authenticate" in answer.headers, answer.headers)
        check("the document has operations", count > 20, count)
    found, before = [], None
    while True:
        page = plane.ask("GET", "/v1/audit?outcome=denied&limit=1000" + (f"&before={before}" if before else "")).json
        found += page["items"]
        before = page["next"]
        if not before:
            break
    check("every refused attempt is in the audit log", len(found) == refused, f"{len(found)} of {refused}")
    check("the log says from where", all(one["address"] == "127.0.0.1" for one in found))
    check("the log says who, when known", any(one["actor"] == "token:other" for one in found))
    secrets = [revoked["token"], expired["token"], secret, other]
    log = str(found)
    check("the log holds no secrets", not any(one in log for one in secrets))


def roles(plane, check):
    viewer = plane.make_token("viewer", "viewer")["token"]
    operator = plane.make_token("operator", "operator")["token"]
    plane.ask("POST", "/v1/roles", {"name": "team-a", "spec": {"rules": [
        {"verbs": ["read", "create", "update", "delete"], "types": ["services"], "labels": {"team": "a"}}]}})
    team = plane.make_token("team", "team-a")["token"]
    service = {"name": "one", "labels": {"team": "a"}, "spec": {"host": "one.test"}}

    def status(method, path, body=None, token=None, **options):
        return plane.ask(method, path, body, token=token, **options).status

    check("a viewer creates nothing", status("POST", "/v1/services", service, viewer) == 403)
    check("an operator creates", status("POST", "/v1/services", service, operator) == 201)
    check("a viewer reads", status("GET", "/v1/services/one", token=viewer) == 200)
    check("a viewer does not apply", plane.apply('_format_version: "3.0"\n', token=viewer).status == 403)
    check("an operator makes no roles",
          status("POST", "/v1/roles", {"name": "x", "spec": {"rules": [{}]}}, operator) == 403)
    check("nor by apply", plane.apply("type: Role\nname: mine\nspec: {rules: [{}]}\n", token=operator).status == 403)
    check("nor does it read the audit log", status("GET", "/v1/audit", token=operator) == 403)
    check("nor make tokens", status("POST", "/v1/tokens", {"name": "y", "roles": ["admin"]}, operator) == 403)
    check("a team changes what is its own",
          status("PATCH", "/v1/services/one", {"spec": {"retries": 2}}, team) == 200)
    plane.ask("POST", "/v1/services", {"name": "two", "labels": {"team": "b"}, "spec": {"host": "two.test"}})
    check("a team does not change another's",
          status("PATCH", "/v1/services/two", {"spec": {"retries": 2}}, team) == 403)
    check("a team does not take over another's",
          status("PATCH", "/v1/services/two", {"labels": {"team": "a"}}, team) == 403)
    check("a team does not give its own away",
          status("PATCH", "/v1/services/one", {"labels": {"team": "b"}}, team) == 403)
    check("a team does not read another's", status("GET", "/v1/services/two", token=team) == 403)
    listed = plane.ask("GET", "/v1/services", token=team).json["items"]
    check("a list has only what may be read", [one["name"] for one in listed] == ["one"], listed)
    check("the Admin API follows the same roles",
          status("PATCH", "/services/two", {"retries": 3}, team, admin=True) == 403)
    check("a team's export has nothing else", b"two.test" not in plane.ask("GET", "/v1/export", token=team).body)
    changes = plane.ask("GET", "/v1/diff?from=0", token=team).json["changes"]
    check("a team's history has nothing else", all(one["name"] == "one" for one in changes), changes)

    consumer = plane.ask("POST", "/v1/consumers", {"name": "ada", "spec": {}})
    check("a consumer is made", consumer.status == 201, consumer.body)
    key = plane.ask("POST", "/v1/keyauth_credentials", {"spec": {"key": "open-sesame", "consumer": {"id": consumer.json["id"]}}})
    check("a credential is made", key.status == 201, key.body)
    for path in ("/v1/keyauth_credentials", f"/v1/keyauth_credentials/{key.json['id']}", "/v1/export",
                 "/v1/export?format=seaway", "/v1/diff?from=0"):
        check(f"{path} shows no secret to a viewer", b"open-sesame" not in plane.ask("GET", path, token=viewer).body)
    shown = plane.ask("GET", f"/v1/keyauth_credentials/{key.json['id']}", token=viewer).json["spec"]["key"]
    check("it stands for itself", shown == "<redacted>", shown)
    admin = plane.ask("GET", f"/key-auths/{key.json['id']}", admin=True, token=viewer)
    check("nor does the Admin API", admin.status == 200 and b"open-sesame" not in admin.body, admin.body)
    check("an operator sees it", b"open-sesame" in plane.ask("GET", "/v1/keyauth_credentials", token=operator).body)
    back = plane.ask("PATCH", f"/v1/keyauth_credentials/{key.json['id']}", {"spec": {"key": "<redacted>"}})
    check("what stands for a secret is not stored", back.status == 422, back.body)
    check("a change of roles is effective at once",
          plane.ask("DELETE", "/v1/roles/team-a").status == 200 and status("GET", "/v1/services/one", token=team) == 403)


def doors(plane, check):
    def status(headers, method="GET", path="/v1/whoami", **options):
        return plane.ask(method, path, headers=headers, **options).status

    for admin in (False, True):
        path = "/services" if admin else "/v1/services"
        check("a rebound name is refused", status({"Host": "evil.example"}, path=path, admin=admin) == 421)
        check("localhost is served", status({"Host": "localhost:1"}, path=path, admin=admin) == 200)
        check("a page of another site is refused",
              status({"Origin": "https://evil.example"}, path=path, admin=admin) == 403)
        check("no origin is told that it may read",
              "access-control-allow-origin" not in plane.ask("GET", path, admin=admin).headers)
    check("the other field works", status({"Kong-Admin-Token": plane.token}, token="") == 200)
    check("two different tokens are refused", status({"Kong-Admin-Token": "sw_" + "A" * 43}) == 401)
    check("Basic is no token", status({"Authorization": "Basic eDp5"}, token="") == 401)
    page = plane.ask("GET", "/v1/whoami")
    check("answers are not kept", page.headers.get("cache-control") == "no-store")
    check("answers are not sniffed", page.headers.get("x-content-type-options") == "nosniff")

    login = plane.ask("POST", "/v1/session", {"token": plane.token}, token="")
    cookie = login.headers.get("set-cookie", "")
    check("a login sets a strict cookie",
          login.status == 200 and "HttpOnly" in cookie and "SameSite=Strict" in cookie, cookie)
    jar = {"Cookie": cookie.split(";")[0]}
    check("the cookie identifies", plane.ask("GET", "/v1/whoami", headers=jar, token="").json["source"] == "ui")
    body = {"name": "by-cookie", "spec": {"host": "h"}}
    check("a cookie alone changes nothing", plane.ask("POST", "/v1/services", body, headers=jar, token="").status == 403)
    mine = {**jar, "X-Seaway-Request": "1"}
    check("a page of ours does", plane.ask("POST", "/v1/services", body, headers=mine, token="").status == 201)
    check("logged out", plane.ask("DELETE", "/v1/session", headers=mine, token="").status == 204)
    check("the cookie is worth nothing then", plane.ask("GET", "/v1/whoami", headers=jar, token="").status == 401)
    actions = [one["action"] for one in plane.ask("GET", "/v1/audit?limit=20").json["items"]]
    check("login and logout are in the audit log", {"login", "logout"} <= set(actions), actions)


def guessing(plane, check):
    statuses = [plane.ask("GET", "/v1/whoami", token="sw_" + f"{n:043d}").status for n in range(60)]
    check("guesses are 401 at first", statuses[0] == 401, statuses)
    check("an address that goes on guessing has to wait", statuses[-1] == 429, statuses)
    check("a good token is let in all the same", plane.ask("GET", "/v1/whoami").status == 200)
