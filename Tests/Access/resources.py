"""The Resource API: versions, dry runs, strictness, apply in both forms, history, rollback, export."""

from api import API

DOCUMENTS = """\
_format_version: "3.0"
services:
- name: pay
  url: http://pay.test:9001
  routes:
  - name: pay
    paths: [/pay]
---
# A comment is no document.
---
type: Service
name: orders
labels: {team: orders}
spec:
  host: orders.test
---
type: Route
name: orders
spec:
  service: {name: orders}
  paths: [/orders]
---
type: Plugin
spec:
  name: cors
  service: orders
---
type: Role
name: auditor
spec:
  rules:
  - {verbs: [read], types: [routes]}
"""


def test(program, check):
    with API(program) as plane:
        one_by_one(plane, check)
        strictness(plane, check)
        documents(plane, check)
        history(plane, check)
        tools(plane, check)


def one_by_one(plane, check):
    made = plane.ask("POST", "/v1/services", {"name": "a", "labels": {"team": "x"}, "spec": {"url": "http://a.test:81/p"}})
    check("a resource is created", made.status == 201 and made.headers["etag"] == '"1"', made.body)
    check("its spec is complete", made.json["spec"]["retries"] == 5 and made.json["spec"]["port"] == 81, made.body)
    check("its labels are tags", made.json["spec"]["tags"] == ["team=x"], made.body)
    check("its place is told", plane.ask("GET", made.headers["location"]).json == made.json)
    check("a name is taken once", plane.ask("POST", "/v1/services", {"name": "a", "spec": {"host": "h"}}).status == 409)
    read = plane.ask("GET", "/v1/services/a")
    check("what is known is not sent again",
          plane.ask("GET", "/v1/services/a", headers={"If-None-Match": read.headers["etag"]}).status == 304)

    def patch(version, **options):
        return plane.ask("PATCH", "/v1/services/a", {"spec": {"retries": 3}}, headers={"If-Match": version}, **options)

    check("another version is refused", patch('"7"').status == 412)
    dry = plane.ask("PATCH", "/v1/services/a?dryRun=true", {"spec": {"retries": 3}})
    check("a dry run says what would be", dry.status == 200 and dry.json["spec"]["retries"] == 3, dry.body)
    check("and stores nothing", plane.ask("GET", "/v1/services/a").json["spec"]["retries"] == 5)
    changed = patch('"1"')
    check("the right version is changed", changed.status == 200 and changed.headers["etag"] == '"2"', changed.body)
    check("what it has not named stays", changed.json["spec"]["path"] == "/p" and changed.json["labels"] == {"team": "x"})
    same = plane.ask("PUT", "/v1/services/a", {key: changed.json[key] for key in ("name", "labels", "spec")})
    check("the same again changes nothing", same.status == 200 and same.headers["etag"] == '"2"', same.body)
    labelled = plane.ask("PATCH", "/v1/services/a", {"labels": {"team": "y"}})
    check("labels may be changed", labelled.json["spec"]["tags"] == ["team=y"], labelled.body)
    tagged = plane.ask("PATCH", "/v1/services/a", {"spec": {"tags": ["plain", "team=z"]}})
    check("so may tags", tagged.json["labels"] == {"team": "z"}, tagged.body)
    renamed = plane.ask("PATCH", "/v1/services/a", {"name": "b"})
    check("so may the name", renamed.json["name"] == "b" == renamed.json["spec"]["name"], renamed.body)
    new = plane.ask("PUT", "/v1/services/c", {"spec": {"host": "c.test"}}, headers={"If-None-Match": "*"})
    check("PUT creates", new.status == 201 and new.json["name"] == "c", new.body)
    again = plane.ask("PUT", "/v1/services/c", {"spec": {"host": "c.test"}}, headers={"If-None-Match": "*"})
    check("only once, if so asked", again.status == 412, again.body)
    route = plane.ask("POST", "/v1/routes", {"name": "r", "spec": {"paths": ["/r"], "service": {"name": "c"}}})
    check("a reference may be a name", route.status == 201 and route.json["spec"]["service"] == {"id": new.json["id"]}, route.body)
    check("what is referred to stays", plane.ask("DELETE", "/v1/services/c").status == 409)
    check("a list is in pages", page_through(plane) == ["b", "c"], page_through(plane))
    listed = plane.ask("GET", "/v1/services?label=team=z").json["items"]
    check("a list is chosen by label", [one["name"] for one in listed] == ["b"], listed)
    gone = plane.ask("DELETE", "/v1/routes/r?dryRun=true")
    check("a dry delete says what would go", gone.json["summary"]["deleted"] == 1, gone.body)
    check("and deletes nothing", plane.ask("GET", "/v1/routes/r").status == 200)
    check("a wrong version is not deleted",
          plane.ask("DELETE", "/v1/routes/r", headers={"If-Match": '"1"'}).status == 412)
    check("it is deleted", plane.ask("DELETE", "/v1/routes/r").status == 200)
    check("it is gone", plane.ask("GET", "/v1/routes/r").status == 404)
    head = plane.ask("HEAD", "/v1/services/c")
    check("HEAD is GET without the body", head.status == 200 and not head.body and int(head.headers["content-length"]) > 100)

    consumer = plane.ask("PUT", "/v1/consumers/ada", {"spec": {}}).json
    plane.ask("POST", "/v1/basicauth_credentials", {"spec": {"username": "ada", "password": "pw", "consumer": {"id": consumer["id"]}}})
    credential = plane.ask("GET", "/v1/basicauth_credentials").json["items"][0]
    check("a password is stored as a hash", len(credential["spec"]["password"]) == 40, credential)
    back = plane.ask("PUT", f"/v1/basicauth_credentials/{credential['id']}", {"spec": credential["spec"]})
    check("and is not hashed again", back.json["spec"]["password"] == credential["spec"]["password"], back.body)


def page_through(plane):
    names, after = [], ""
    while True:
        page = plane.ask("GET", f"/v1/services?limit=1{after}").json
        names += [one["name"] for one in page["items"]]
        if not page["next"]:
            return sorted(names)
        after = "&after=" + page["next"]


def strictness(plane, check):
    def problem(method, path, json_body=None, **options):
        answer = plane.ask(method, path, json_body, **options)
        check(f"{method} {path} is a problem",
              answer.headers.get("content-type") == "application/problem+json"
              and answer.json["status"] == answer.status and answer.json["type"].startswith("urn:seaway:problem:"), answer.body)
        return answer

    typo = problem("PUT", "/v1/services/x", {"spec": {"hots": "h"}})
    fields = {one["field"]: one for one in typo.json["findings"]}
    check("an unknown field is refused with what was meant",
          typo.status == 422 and "host" in fields["spec.hots"]["remedy"], typo.body)
    check("all mistakes at once", "spec.host" in fields, typo.body)
    check("the envelope is strict", problem("PUT", "/v1/services/x", {"sepc": {}}).status == 422)
    check("a type is suggested", b"services" in problem("GET", "/v1/servics").body)
    check("a parameter is suggested", b"limit" in problem("GET", "/v1/services?limits=1").body)
    check("a parameter has a range", problem("GET", "/v1/services?limit=0").status == 400)
    check("no JSON is said so", problem("POST", "/v1/services", body="{", headers={"Content-Type": "application/json"}).status == 400)
    check("a key twice is refused", problem(
        "POST", "/v1/services", body='{"name":"q","name":"r","spec":{"host":"h"}}',
        headers={"Content-Type": "application/json"}).status == 400)
    check("another media type is refused", problem("POST", "/v1/services", body="x", headers={"Content-Type": "text/plain"}).status == 415)
    missing = problem("DELETE", "/v1/services")
    check("another method is refused with those there are", missing.status == 405 and "GET" in missing.headers["allow"])
    check("a path that is none", problem("GET", "/v1/services/a/b").status == 404)
    deep = "[" * 100_000
    check("depth is limited", problem("POST", "/v1/services", body=deep, headers={"Content-Type": "application/json"}).status == 400)
    check("a bad version is said so", problem("DELETE", "/v1/services/c", headers={"If-Match": "12"}).status == 400)
    check("a role is strict", problem("POST", "/v1/roles", {"name": "z", "spec": {"rules": [{"verb": ["read"]}]}}).status == 422)
    check("a role says what was meant", b"services" in problem(
        "POST", "/v1/roles", {"name": "z", "spec": {"rules": [{"types": ["service"]}]}}).body)
    check("a built-in role is not replaced", problem("POST", "/v1/roles", {"name": "admin", "spec": {"rules": []}}).status == 422)
    check("a token is for somebody", problem("POST", "/v1/tokens", {"name": "", "roles": ["admin"]}).status == 422)
    check("a token's role exists", b"viewer" in problem("POST", "/v1/tokens", {"name": "t", "roles": ["viewr"]}).body)


def documents(plane, check):
    for name in ("b", "c"):
        plane.ask("DELETE", f"/v1/services/{name}")
    before = plane.ask("GET", "/v1/status").json["revision"]
    dry = plane.apply(DOCUMENTS, "?dryRun=true")
    check("a dry apply says what would be", dry.status == 200 and dry.json["summary"]["created"] == 6, dry.body)
    check("and stores nothing", plane.ask("GET", "/v1/status").json["revision"] == before)
    applied = plane.apply(DOCUMENTS, "?message=both+forms")
    check("both forms are applied in one revision",
          applied.status == 200 and applied.json["revision"] == before + 1 and applied.json["summary"]["created"] == 6, applied.body)
    again = plane.apply(DOCUMENTS)
    check("applying again changes nothing", again.json["changes"] == [] and again.json["revision"] == before + 1, again.body)
    plugin = plane.ask("GET", "/v1/plugins").json["items"][0]
    orders = plane.ask("GET", "/v1/services/orders").json
    check("references are resolved", plugin["spec"]["service"]["id"] == orders["id"], plugin)
    check("labels are tags", orders["labels"] == {"team": "orders"}, orders)
    changed = plane.apply(DOCUMENTS.replace("orders.test", "orders2.test")).json["changes"]
    check("a change names its fields", [(one["action"], [field["path"] for field in one["fields"]]) for one in changed]
          == [("update", ["host"])], changed)
    bad = plane.apply("type: Service\nname: x\nspec:\n  host: h\n  retires: 3\n---\ntype: Rout\n")
    found = {(one["line"], one["message"].split(" ")[0]): one for one in bad.json["findings"]}
    check("mistakes have lines", bad.status == 422 and any(line == 5 for line, _ in found) and any(line == 7 for line, _ in found), bad.body)
    kong = plane.apply('# first\n_format_version: "3.0"\nservices:\n- name: x\n  hots: h\n')
    check("in a kong.yml too", any(one["line"] == 5 for one in kong.json["findings"]), kong.body)
    check("nothing is half applied", plane.ask("GET", "/v1/services/x").status == 404)
    check("nothing is no document", plane.apply("\n# only a comment\n").status == 400)
    later = plane.apply(DOCUMENTS.split("---")[0] + "---\ntype: Route\nname: second\nspec: {service: pay, paths: [/two]}\n",
                        "?dryRun=true")
    check("documents refer to each other", later.status == 200 and later.json["summary"]["created"] == 1, later.body)

    tagged = plane.apply('_format_version: "3.0"\nservices:\n- {name: t1, host: h}\n- {name: t2, host: h}\n', "?selectTag=mine")
    check("a select tag is put on", plane.ask("GET", "/v1/services/t1").json["spec"]["tags"] == ["mine"], tagged.body)
    pruned = plane.apply('_format_version: "3.0"\nservices:\n- {name: t1, host: h}\n', "?selectTag=mine&prune=true")
    check("pruning takes what has the tag and is not there",
          [(one["action"], one["name"]) for one in pruned.json["changes"]] == [("delete", "t2")], pruned.body)
    everything = plane.apply('_format_version: "3.0"\n', "?prune=true&dryRun=true")
    check("pruning without a tag takes all, but no roles",
          everything.json["summary"]["deleted"] == 8 and all(one["type"] != "roles" for one in everything.json["changes"]), everything.body)

    for form in ("kong", "seaway"):
        text = plane.ask("GET", f"/v1/export?format={form}")
        check(f"an export as {form} has everything", b"orders" in text.body, text.body)
        back = plane.apply(text.body.decode(), "?dryRun=true")
        check(f"an export as {form} applies without a difference", back.status == 200 and back.json["changes"] == [], back.body[:500])


def history(plane, check):
    head = plane.ask("GET", "/v1/status").json["revision"]
    listed = plane.ask("GET", "/v1/revisions?limit=2").json
    check("history is newest first", [one["number"] for one in listed["items"]] == [head, head - 1], listed)
    rest = plane.ask("GET", f"/v1/revisions?before={listed['next']}&limit=1000").json["items"]
    check("and without gaps", [one["number"] for one in rest] == list(range(head - 2, 0, -1)))
    one = next(one for one in rest + listed["items"] if one["message"] == "both forms")
    check("who, when, through what, how much", (one["actor"], one["source"], one["created"]) == ("token:bootstrap", "apply", 6), one)
    check("a revision is read alone", plane.ask("GET", f"/v1/revisions/{one['number']}").json == one)
    check("an unknown one is not there", plane.ask("GET", f"/v1/revisions/{head + 1}").status == 404)
    changes = plane.ask("GET", f"/v1/revisions/{one['number']}/changes").json
    check("its changes are told", changes["summary"]["created"] == 6, changes)
    check("any two are compared", plane.ask("GET", f"/v1/diff?from=0&to={head}").json["summary"]["created"] > 4)
    check("backwards too", plane.ask("GET", f"/v1/diff?from={head}&to=0").json["summary"]["deleted"] > 4)
    dry = plane.ask("POST", f"/v1/rollback?dryRun=true", {"revision": one["number"]})
    check("a dry rollback says what would be", dry.json["summary"]["deleted"] == 1, dry.body)
    back = plane.ask("POST", "/v1/rollback", {"revision": one["number"], "message": "as it was"})
    check("a rollback is a new revision", back.status == 200 and back.json["revision"] == head + 1, back.body)
    check("everything is as it was", plane.ask("GET", f"/v1/diff?from={one['number']}&to={head + 1}").json["changes"] == [])
    check("an unknown one cannot be had", plane.ask("POST", "/v1/rollback", {"revision": 9999}).status == 404)
    log = plane.ask("GET", "/v1/audit?target=services/&limit=1000").json["items"]
    check("every change is in the audit log", {"create", "update", "delete"} <= {one["action"] for one in log}, log)
    since = plane.ask("GET", f"/v1/audit?since={log[-1]['time']}&until={log[0]['time']}&actor=token:bootstrap").json
    check("the log is queried by time and actor", len(since["items"]) >= len(log[:100]), len(since["items"]))


def tools(plane, check):
    answer = plane.ask("POST", "/v1/match", {"path": "/orders/1"}).json
    check("the route tester answers", (answer["route"], answer["service"]) == ("orders", "orders"), answer)
    check("and says why others do not", any(one["route"] == "pay" for one in answer["considered"]), answer)
    check("connections too", plane.ask("POST", "/v1/match", {"scheme": "tcp", "dst": "10.0.0.1:5432"}).json["verdict"] == "closed")
    check("nonsense is said so", plane.ask("POST", "/v1/match", {"path": "orders", "src": "x"}).status == 422)
    types = {one["type"]: one for one in plane.ask("GET", "/v1/types").json["items"]}
    check("types are listed", types["routes"]["kind"] == "Route" and types["services"]["count"] == 2, types["services"])
    check("schemas are served", plane.ask("GET", "/v1/schemas/services").json["fields"])
    check("of plugins too", plane.ask("GET", "/v1/schemas/plugins/cors").json["fields"])
    check("a plugin is suggested", b"cors" in plane.ask("GET", "/v1/schemas/plugins/corss").body)
