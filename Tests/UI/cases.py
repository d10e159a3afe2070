"""What a person does with the UI, one function a case, in the order of ALL. Later cases find what earlier ones made."""

import csv
import json
import pathlib

from browser import shot
from program import Api

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FIRST = """
_format_version: "3.0"
services:
- name: orders
  host: orders.internal
  tags: [team=shop]
  routes:
  - {name: orders, paths: [/orders], tags: [team=shop]}
  - {name: orders-admin, paths: [/orders/admin], methods: [GET, POST]}
- name: payments
  host: payments.example
  protocol: https
  port: 443
  tags: [team=money]
  routes:
  - {name: payments, paths: [/payments], hosts: [api.example.com]}
  plugins:
  - {name: rate-limiting, config: {minute: 600, policy: local}}
upstreams:
- name: orders.internal
  targets:
  - {target: "127.0.0.1:9", weight: 100}
  - {target: "127.0.0.2:9", weight: 50}
consumers:
- username: mobile-app
  keyauth_credentials:
  - {key: k-2f9d7a}
plugins:
- {name: key-auth, enabled: false}
"""


def field(page, label):
    return page.get_by_label(label, exact=True)


def save(page):
    page.locator("form .save-bar button[type=submit]").click()


# MARK: - Files


def files_are_served_with_a_policy_and_may_be_kept(world):
    api = Api(world.base, "")
    status, fields, page = api.ask("GET", "/ui/")
    assert status == 200 and fields["content-type"].startswith("text/html")
    policy = fields["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert fields["x-content-type-options"] == "nosniff" and fields["referrer-policy"] == "no-referrer"
    assert api.ask("GET", "/ui/", **{"If-None-Match": fields["etag"]})[0] == 304
    assert api.ask("GET", "/ui/services?q=x")[2] == page
    status, fields, body = api.ask("HEAD", "/ui/")
    assert status == 200 and body == b""
    assert all(api.ask("GET", path)[1].get("location") == "/ui/" for path in ("/", "/ui"))
    digest = page.decode().split("/ui/a/")[1].split("/")[0]
    web = ROOT / "web"
    for path in sorted(web.rglob("*.*")):
        name = str(path.relative_to(web))
        if name == "index.html":
            continue
        status, fields, body = api.ask("GET", f"/ui/a/{digest}/{name}")
        assert status == 200 and body == path.read_bytes(), f"{name}: {status}"
        assert "immutable" in fields["cache-control"] and fields["content-security-policy"] == policy
    assert api.ask("GET", "/ui/a/0000000000000000/main.js")[0] == 404
    assert api.ask("GET", f"/ui/a/{digest}/../../../etc/passwd")[0] in (400, 404)


def nothing_inline_and_no_other_host_in_the_files(world):
    for path in sorted((ROOT / "web").rglob("*.*")):
        text = path.read_text()
        for bad in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "style=\""):
            assert bad not in text, f"{path.name}: {bad}"
        for url in [part.split('"')[0] for part in text.replace("'", '"').split('"http')[1:]]:
            allowed = ("://www.w3.org/", "://orders.internal", "s://${location", "://${location")
            assert url.startswith(allowed) or url in ("", "s"), f"{path.name}: http{url}"


# MARK: - Logging in


def every_page_wants_a_login(world):
    visitor = world.visitor(login=False)
    visitor.expected |= {401}
    for path in ("/", "/services", "/history/1", "/audit?outcome=denied", "/tokens"):
        visitor.page.goto(world.base + "/ui" + path)
        visitor.page.wait_for_selector("#token")
        assert "/ui/login" in visitor.page.url
    visitor.page.goto(world.base + "/ui/audit?outcome=denied")
    visitor.page.wait_for_selector("#token")
    visitor.page.fill("#token", "sw_" + "A" * 43)
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_selector(".notice.is-error")
    visitor.page.fill("#token", world.token)
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/ui/audit?outcome=denied")
    visitor.page.wait_for_selector("h1:has-text('Audit')")
    cookies = {one["name"]: one for one in visitor.context.cookies()}
    assert cookies["seaway_session"]["httpOnly"] and cookies["seaway_session"]["sameSite"] == "Strict"
    visitor.page.click("#who button")
    visitor.page.click("text=Log out")
    visitor.page.wait_for_selector("#token")
    visitor.page.goto(world.base + "/ui/services")
    visitor.page.wait_for_selector("#token")


def a_crafted_link_leads_nowhere_else(world):
    visitor = world.visitor(login=False)
    visitor.expected |= {401}
    visitor.open("/login?next=https://example.org/ui/")
    visitor.page.fill("#token", world.token)
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url(world.base + "/ui/")


# MARK: - An empty control plane


def empty_pages_say_what_to_do(world):
    visitor = world.visitor()
    shot(visitor, world.shots, "empty-overview")
    for path, text in (("/services", "No services yet"), ("/gateways", "No gateway has joined"), ("/history", "Nothing has happened yet"), ("/rollouts", "No rollout yet")):
        visitor.open(path)
        visitor.page.wait_for_selector(f"h2:has-text({text!r})")
        assert visitor.page.locator(".empty a, .empty code").count() > 0, path
    shot(visitor, world.shots, "empty-rollouts")


def a_file_is_compared_then_applied(world):
    visitor = world.visitor()
    page = visitor.open("/apply")
    visitor.expected |= {400, 422}
    area = field(page, "Configuration")
    area.fill("_format_version: \"3.0\"\nservices:\n- name: broken\n  prot: http\n")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector(".notice.is-error")
    assert page.locator(".findings li").count() >= 1
    assert page.get_by_role("button", name="Apply", exact=True).is_disabled()
    area.fill(FIRST)
    field(page, "Message").fill("First services")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector(".notice:has-text('created')")
    assert world.api.get("/v1/status")["revision"] == 0, "a comparison must not change anything"
    page.get_by_role("button", name="Apply", exact=True).click()
    page.wait_for_selector("h1:has-text('Revision 1')")
    assert world.api.named("services", "orders") and world.api.get("/v1/revisions/1")["message"] == "First services"


# MARK: - Creating, editing, deleting


def a_service_is_created_edited_deleted(world):
    visitor = world.visitor()
    page = visitor.open("/services")
    page.keyboard.press("n")
    page.wait_for_url("**/services/new")
    field(page, "Name").fill("catalog")
    field(page, "Host required").fill("catalog.internal")
    field(page, "Port").fill("8080")
    field(page, "Labels and tags").fill("team=shop")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    visitor.toast("Created catalog")
    made = world.api.named("services", "catalog")
    assert made["spec"]["port"] == 8080 and made["labels"] == {"team": "shop"} and made["spec"]["retries"] == 5
    page.wait_for_url(f"**/services/{made['id']}")
    field(page, "Path").fill("/v2")
    page.locator("summary:has-text('More settings')").click()
    field(page, "Retries").fill("2")
    save(page)
    visitor.toast("Saved catalog")
    spec = world.api.named("services", "catalog")["spec"]
    assert (spec["path"], spec["retries"], spec["port"]) == ("/v2", 2, 8080)
    page.get_by_role("button", name="Delete").click()
    page.locator("dialog button.is-danger").click()
    visitor.toast("Deleted catalog")
    assert world.api.named("services", "catalog") is None


def a_route_with_lists_and_headers(world):
    visitor = world.visitor()
    page = visitor.open("/routes/new")
    field(page, "Name").fill("beta")
    service = field(page, "Service")
    service.fill("pay")
    page.locator(".option:has-text('payments')").click()
    for path in ("/beta", "~/b/\\d{1,3}$"):
        field(page, "Paths").fill(path)
        page.keyboard.press("Enter")
    field(page, "Methods").fill("GET")
    page.keyboard.press("Enter")
    page.locator("fieldset:has(legend:text-is('Headers')) button:has-text('Add')").click()
    page.get_by_label("Headers: name").fill("x-tenant")
    page.get_by_label("Headers: value").fill("blue, green")
    page.get_by_label("Strip path").uncheck()
    save(page)
    visitor.toast("Created beta")
    spec = world.api.named("routes", "beta")["spec"]
    assert spec["paths"] == ["/beta", "~/b/\\d{1,3}$"] and spec["headers"] == {"x-tenant": ["blue", "green"]}
    assert spec["strip_path"] is False and spec["methods"] == ["GET"]
    assert spec["service"]["id"] == world.api.named("services", "payments")["id"]
    page.get_by_role("button", name="Remove /beta").click()
    save(page)
    visitor.toast("Saved beta")
    assert world.api.named("routes", "beta")["spec"]["paths"] == ["~/b/\\d{1,3}$"]


def an_upstream_with_targets(world):
    visitor = world.visitor()
    page = visitor.open("/upstreams/new")
    field(page, "Name required").fill("search.internal")
    field(page, "Algorithm").select_option(label="least-connections")
    page.locator("summary:has-text('More settings')").click()
    page.locator("[data-path='healthchecks.active.healthy.interval'] input").fill("5")
    save(page)
    visitor.toast("Created search.internal")
    made = world.api.named("upstreams", "search.internal")
    assert made["spec"]["healthchecks"]["active"]["healthy"]["interval"] == 5
    assert made["spec"]["algorithm"] == "least-connections"
    page.get_by_role("tab", name="Targets").click()
    page.get_by_role("link", name="New target").click()
    page.wait_for_selector("h1:has-text('New target')")
    field(page, "Target required").fill("127.0.0.1:9200")
    save(page)
    page.wait_for_url("**/upstreams/*?tab=targets")
    page.wait_for_selector(".grid-row:has-text('127.0.0.1:9200')")
    target = next(one for one in world.api.all("targets") if one["spec"]["target"] == "127.0.0.1:9200")
    assert target["spec"]["upstream"]["id"] == made["id"] and target["spec"]["weight"] == 100
    page.locator(".grid-row:has-text('127.0.0.1:9200')").click()
    page.wait_for_selector("h1:has-text('127.0.0.1:9200')")
    field(page, "Weight").fill("0")
    save(page)
    visitor.toast("Saved 127.0.0.1:9200")
    page.get_by_role("button", name="Delete").click()
    page.locator("dialog button.is-danger").click()
    visitor.toast("Deleted")
    assert not [one for one in world.api.all("targets") if one["spec"]["target"] == "127.0.0.1:9200"]


def a_consumer_with_credentials(world):
    visitor = world.visitor()
    page = visitor.open("/consumers/new")
    field(page, "Username").fill("partner")
    field(page, "Custom ID").fill("4711")
    save(page)
    visitor.toast("Created partner")
    made = world.api.named("consumers", "partner")
    for link, fill, type, check in (
        ("New key", {"Key": "secret-key"}, "keyauth_credentials", lambda spec: spec["key"] == "secret-key"),
        ("New password", {"Username required": "p", "Password required": "pw"}, "basicauth_credentials", lambda spec: spec["username"] == "p"),
        ("New group", {"Group required": "gold"}, "acls", lambda spec: spec["group"] == "gold"),
    ):
        visitor.open(f"/consumers/{made['id']}?tab=credentials")
        page.get_by_role("link", name=link, exact=True).click()
        page.wait_for_selector("h1:has-text('New')")
        for label, value in fill.items():
            field(page, label).fill(value)
        save(page)
        page.wait_for_url(f"**/consumers/{made['id']}?tab=credentials")
        mine = [one for one in world.api.all(type) if one["spec"]["consumer"]["id"] == made["id"]]
        assert len(mine) == 1 and check(mine[0]["spec"]), f"{type}: {mine}"


def a_plugin_from_its_schema(world):
    visitor = world.visitor()
    page = visitor.open("/plugins")
    page.keyboard.press("n")
    page.wait_for_url("**/plugins/new")
    page.get_by_role("link", name="request-transformer").click()
    page.wait_for_selector("h1:has-text('New request-transformer')")
    field(page, "Route").fill("orders-adm")
    page.locator(".option:has-text('orders-admin')").click()
    page.locator("[data-path='config.add.headers'] input").fill("x-from: gateway")
    page.keyboard.press("Enter")
    page.locator("[data-path='config.remove.querystring'] input").fill("debug")
    save(page)
    visitor.toast("Created")
    made = next(one for one in world.api.all("plugins") if one["spec"]["name"] == "request-transformer")
    config = made["spec"]["config"]
    assert config["add"]["headers"] == ["x-from: gateway"] and config["remove"]["querystring"] == ["debug"]
    assert made["spec"]["route"]["id"] == world.api.named("routes", "orders-admin")["id"]
    page.wait_for_url(f"**/plugins/{made['id']}")
    field(page, "Enabled").uncheck()
    save(page)
    visitor.toast("Saved")
    again = world.api.get(f"/v1/plugins/{made['id']}")["spec"]
    assert again["enabled"] is False and again["config"] == config
    page.get_by_role("button", name="Delete").click()
    page.locator("dialog button.is-danger").click()
    visitor.toast("Deleted")


def a_form_for_every_plugin(world):
    visitor = world.visitor()
    for name in world.api.get("/v1/schemas")["plugins"]:
        page = visitor.open(f"/plugins/new?name={name}")
        page.wait_for_selector(f"h1:has-text('New {name}')")
        assert page.locator("[data-path='config']").count() == 1, name
        visitor.check()


def a_certificate_and_its_name(world):
    visitor = world.visitor()
    cert, key = world.certificate("shop.example")
    page = visitor.open("/certificates/new")
    field(page, "Cert required").fill(cert)
    field(page, "Key required").fill(key)
    save(page)
    visitor.toast("Created")
    made = world.api.all("certificates")[-1]
    page.wait_for_url(f"**/certificates/{made['id']}")
    page.get_by_role("tab", name="Server names").click()
    page.get_by_role("link", name="New server name").click()
    page.wait_for_selector("h1:has-text('New server name')")
    field(page, "Name required").fill("shop.example")
    save(page)
    page.wait_for_url("**/certificates/*?tab=snis")
    assert world.api.named("snis", "shop.example")["spec"]["certificate"]["id"] == made["id"]
    page = visitor.open("/certificates")
    page.wait_for_selector(".grid-row:has-text('shop.example') .badge:has-text('days')")


def tokens_are_shown_once_and_revoked(world):
    visitor = world.visitor()
    page = visitor.open("/tokens")
    page.keyboard.press("n")
    field(page, "For").fill("robot")
    page.locator("dialog label:has-text('viewer') input").check()
    page.locator("dialog label:has-text('operator') input").uncheck()
    page.locator("dialog button[type=submit]").click()
    page.wait_for_selector("dialog h2:has-text('The token for robot')")
    secret = page.locator("dialog .snippet code").first.inner_text()
    assert secret.startswith("sw_")
    assert Api(world.base, secret).ask("GET", "/v1/services")[0] == 200
    page.get_by_role("button", name="I have it").click()
    page.wait_for_selector(".grid-row:has-text('robot')")
    assert secret not in page.content()
    page.get_by_role("button", name="Revoke robot").click()
    page.locator("dialog button.is-danger").click()
    visitor.toast("Revoked")
    assert Api(world.base, secret).ask("GET", "/v1/services")[0] == 401
    page.get_by_role("button", name="New join token").click()
    field(page, "For").fill("gateways-eu")
    field(page, "Labels").fill("zone=eu")
    page.locator("dialog button[type=submit]").click()
    page.wait_for_selector("dialog h2:has-text('The token for gateways-eu')")
    assert page.locator("dialog .snippet code").first.inner_text().startswith("seaway1.")
    shot(visitor, world.shots, "token-made")


# MARK: - What goes wrong


def mistakes_stand_at_their_fields(world):
    visitor = world.visitor()
    visitor.expected |= {422}
    page = visitor.open("/services/new")
    field(page, "Name").fill("no host")
    field(page, "Port").fill("99999")
    save(page)
    page.wait_for_selector("[data-path=host].has-error")
    for path in ("host", "port", "name"):
        one = page.locator(f"[data-path={path}]")
        assert one.locator(".field-error").inner_text().strip(), path
        entry = one.locator("input")
        assert entry.get_attribute("aria-invalid") == "true"
        described = entry.get_attribute("aria-describedby").split()
        assert one.locator(".field-error").get_attribute("id") in described
    assert page.evaluate("document.activeElement.closest('[data-path]').classList.contains('has-error')")
    shot(visitor, world.shots, "mistakes")
    page = visitor.open("/plugins/new?name=rate-limiting")
    page.locator("[data-path='config.minute'] input").fill("-1")
    save(page)
    page.wait_for_selector("[data-path='config.minute'].has-error")


def a_name_that_is_taken(world):
    visitor = world.visitor()
    visitor.expected |= {409}
    page = visitor.open("/services/new")
    field(page, "Name").fill("orders")
    field(page, "Host required").fill("x")
    save(page)
    page.wait_for_selector(".notice.is-error:has-text('orders')")


def a_conflict_is_explained_and_both_changes_kept(world):
    visitor = world.visitor()
    visitor.expected |= {412}
    made = world.api.named("services", "payments")
    page = visitor.open(f"/services/{made['id']}")
    field(page, "Path").fill("/mine")
    status, _, _ = world.api.ask("PATCH", f"/v1/services/{made['id']}", {"spec": {"retries": 7}})
    assert status == 200
    page.wait_for_selector(".notice:has-text('changed elsewhere')")
    save(page)
    page.wait_for_selector("dialog h2:has-text('Somebody else changed')")
    assert "retries" in page.locator("dialog table").inner_text()
    shot(visitor, world.shots, "conflict")
    page.get_by_role("button", name="Keep both").click()
    visitor.toast("Saved payments")
    spec = world.api.named("services", "payments")["spec"]
    assert (spec["path"], spec["retries"]) == ("/mine", 7)


def unsaved_work_is_not_lost_by_a_click(world):
    visitor = world.visitor()
    made = world.api.named("services", "orders")
    page = visitor.open(f"/services/{made['id']}")
    field(page, "Path").fill("/typed")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("link", name="Routes", exact=True).click()
    assert page.url.endswith(made["id"]) and field(page, "Path").input_value() == "/typed"
    page.get_by_role("tab", name="YAML").click()
    page.get_by_role("tab", name="Settings").click()
    assert field(page, "Path").input_value() == "/typed"
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("link", name="Routes", exact=True).click()
    page.wait_for_selector("h1:has-text('Routes')")


def a_viewer_is_offered_nothing_to_change(world):
    _, _, made = world.api.ask("POST", "/v1/tokens", {"name": "looker", "roles": ["viewer"]})
    visitor = world.visitor(token=made["token"])
    visitor.expected |= {403}
    page = visitor.open("/services")
    page.wait_for_selector(".grid-row:has-text('orders')")
    assert page.get_by_role("link", name="New service").count() == 0
    service = world.api.named("services", "orders")
    page = visitor.open(f"/services/{service['id']}")
    page.wait_for_selector("text=Your role may read this")
    assert page.get_by_role("button", name="Delete").count() == 0
    page = visitor.open("/tokens")
    page.wait_for_selector("text=You may not see this")


# MARK: - Finding


def the_keyboard_alone(world):
    visitor = world.visitor()
    page = visitor.page
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_selector("h1:has-text('Services')")
    page.wait_for_selector(".grid-row:has-text('orders')")
    page.keyboard.press("/")
    page.keyboard.type("orders")
    page.wait_for_url("**/services?q=orders")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "grid"
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('orders')")
    page.keyboard.press("Escape")
    page.wait_for_selector("h1:has-text('Services')")
    page.keyboard.press("?")
    page.wait_for_selector("dialog h2:has-text('Keys')")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    page.keyboard.press("Control+k")
    page.keyboard.type("mobile")
    page.wait_for_selector(".palette .option:has-text('mobile-app')")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('mobile-app')")
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.wait_for_selector("h1:has-text('History')")
    # From the top: the first stop leads past the navigation.
    page.goto(world.base + "/ui/services")
    page.wait_for_selector(".grid-row:has-text('orders')")
    page.evaluate("document.activeElement.blur()")
    page.evaluate("getSelection().removeAllRanges()")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("(document.activeElement.getAttribute('aria-label') || document.activeElement.textContent || '').trim()"))
    for wanted in ("Overview", "Gateways", "New service", "Search Services", "Export"):
        assert any(wanted in one for one in seen), f"{wanted} is not reached by Tab: {seen}"


def filters_stand_in_the_address(world):
    visitor = world.visitor()
    page = visitor.open("/services?q=pay&sort=-name")
    page.wait_for_selector(".grid-body .grid-row:has-text('payments')")
    assert page.locator(".grid-body .grid-row").count() == 1
    assert page.locator("[aria-sort=descending]").inner_text().strip() == "Name"
    page = visitor.open("/services?label=team=shop")
    page.wait_for_selector(".grid-body .grid-row:has-text('orders')")
    assert page.locator(".grid-body .grid-row").count() == 1
    page.get_by_role("button", name="All services, not only team=shop").click()
    page.wait_for_selector(".grid-body .grid-row:has-text('payments')")
    assert "label=" not in page.url


def tables_are_exported(world):
    visitor = world.visitor()
    page = visitor.open("/routes")
    page.wait_for_selector(".grid-body .grid-row:has-text('orders')")
    rows = world.api.all("routes")
    for text, read in (("As CSV", lambda data: list(csv.DictReader(data.splitlines()))), ("As JSON", json.loads)):
        page.get_by_role("button", name="Export").click()
        with page.expect_download() as coming:
            page.get_by_role("menuitem", name=text).click()
        data = pathlib.Path(coming.value.path()).read_text()
        found = read(data)
        assert len(found) == len(rows), f"{text}: {len(found)} of {len(rows)}"
    assert {one["name"] for one in found} == {one["name"] for one in rows}


def what_a_form_says_is_copied(world):
    visitor = world.visitor()
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visitor.open("/services/new")
    field(page, "Name").fill("copied")
    field(page, "Host required").fill("copied.internal")
    page.get_by_role("button", name="Copy as").click()
    page.get_by_role("menuitem", name="Copy as YAML").click()
    visitor.toast("Copied as YAML")
    text = page.evaluate("navigator.clipboard.readText()")
    assert "type: Service" in text and "retries" not in text
    world.api.apply(text)
    assert world.api.named("services", "copied")["spec"]["host"] == "copied.internal"
    page.get_by_role("button", name="Copy as").click()
    page.get_by_role("menuitem", name="Copy as seaway command").click()
    visitor.until("navigator.clipboard.readText().then(text => text.startsWith('seaway apply -f - '))")


# MARK: - History


def revisions_are_compared_and_rolled_back(world):
    visitor = world.visitor()
    world.api.ask("PATCH", f"/v1/services/{world.api.named('services', 'orders')['id']}", {"spec": {"host": "wrong.internal"}})
    wrong = world.api.get("/v1/status")["revision"]
    page = visitor.open("/history")
    page.locator(f".timeline-row a.timeline-number:text-is('{wrong}')").click()
    page.wait_for_selector(f"h1:has-text('Revision {wrong}')")
    page.wait_for_selector("del:has-text('orders.internal')")
    page.wait_for_selector("ins:has-text('wrong.internal')")
    shot(visitor, world.shots, "revision-diff")
    page.get_by_role("button", name="Undo this revision").click()
    page.wait_for_selector("dialog ins:has-text('orders.internal')")
    field(page, "Why").fill("It was wrong")
    shot(visitor, world.shots, "rollback")
    page.locator("dialog button[type=submit]").click()
    page.wait_for_selector(f"h1:has-text('Revision {wrong + 1}')")
    assert world.api.named("services", "orders")["spec"]["host"] == "orders.internal"
    assert world.api.get(f"/v1/revisions/{wrong + 1}")["message"] == "It was wrong"
    page = visitor.open("/history")
    boxes = page.locator(".timeline-row input")
    boxes.nth(0).check()
    page.locator(".timeline-row input").nth(2).check()
    page.get_by_role("button", name="Compare two").click()
    page.wait_for_url("**/diff?from=*")
    page.wait_for_selector("h1:has-text('Revision')")


def a_list_follows_what_others_do(world):
    visitor = world.visitor()
    page = visitor.open("/consumers")
    page.wait_for_selector(".grid-row:has-text('mobile-app')")
    page.wait_for_selector("#connection:has-text('Live')")
    world.api.make("consumers", username="came-later")
    page.wait_for_selector(".grid-row:has-text('came-later')")


def the_audit_log_is_filtered(world):
    visitor = world.visitor()
    page = visitor.open("/audit")
    page.wait_for_selector("table.is-log tbody tr")
    field(page, "Action").fill("token.revoke")
    page.wait_for_url("**/audit?action=token.revoke")
    visitor.until("[...document.querySelectorAll('table.is-log tbody tr')].every(row => row.textContent.includes('token.revoke'))")
    assert page.locator("table.is-log tbody tr").count() >= 1


def the_route_tester_names_route_and_reasons(world):
    visitor = world.visitor()
    page = visitor.open("/match")
    field(page, "Path and query").fill("/orders/7?x=1")
    page.keyboard.press("Enter")
    page.wait_for_selector(".verdict:has-text('orders')")
    assert "/7?x=1" in page.locator(".facts").first.inner_text()
    assert "path=%2Forders%2F7" in page.url
    address = page.url
    field(page, "Path and query").fill("/nowhere")
    page.keyboard.press("Enter")
    page.wait_for_selector(".verdict:has-text('404')")
    page.goto(address)
    page.wait_for_selector(".verdict:has-text('orders')")


# MARK: - Every page


def pages(world) -> dict[str, str]:
    first = {type: world.api.all(type)[0]["id"] for type in ("services", "routes", "upstreams", "consumers", "plugins", "certificates")}
    return {
        "overview": "/", "gateways": "/gateways", "services": "/services", "routes": "/routes", "upstreams": "/upstreams",
        "consumers": "/consumers", "plugins": "/plugins", "certificates": "/certificates", "history": "/history", "revision": "/history/1",
        "apply": "/apply", "rollouts": "/rollouts", "match": "/match?path=/orders/1", "audit": "/audit", "tokens": "/tokens", "roles": "/roles",
        "service": f"/services/{first['services']}", "service-routes": f"/services/{first['services']}?tab=routes", "service-yaml": f"/services/{first['services']}?tab=yaml",
        "route": f"/routes/{first['routes']}", "upstream": f"/upstreams/{first['upstreams']}", "targets": f"/upstreams/{first['upstreams']}?tab=targets",
        "consumer": f"/consumers/{first['consumers']}?tab=credentials", "plugin": f"/plugins/{first['plugins']}", "certificate": f"/certificates/{first['certificates']}",
        "new-service": "/services/new", "new-route": "/routes/new", "new-plugin": "/plugins/new", "new-rate-limiting": "/plugins/new?name=rate-limiting", "missing": "/no/such",
    }


def look_at_every_page(world, look):
    visitor = world.visitor(look)
    bad = []
    for name, path in pages(world).items():
        page = visitor.open(path)
        page.wait_for_timeout(400)
        shot(visitor, world.shots, name)
        if found := visitor.overflow():
            bad.append(f"{name} is wider than the window: {found}")
        bad += [f"{name}: {one}" for one in visitor.violations()]
    assert not bad, "\n  ".join(bad)


def every_page_in_light(world):
    look_at_every_page(world, "light")


def every_page_in_dark(world):
    look_at_every_page(world, "dark")


def every_page_on_a_phone(world):
    look_at_every_page(world, "narrow")


def a_dialog_and_the_menu_on_a_phone(world):
    visitor = world.visitor("narrow")
    page = visitor.open("/services")
    page.get_by_role("button", name="Menu").click()
    page.wait_for_selector(".app.is-open .side")
    shot(visitor, world.shots, "menu")
    page.get_by_role("link", name="Tokens").click()
    page.wait_for_selector("h1:has-text('Tokens')")
    assert page.locator(".app.is-open").count() == 0
    page.get_by_role("button", name="New token").click()
    page.wait_for_selector("dialog[open]")
    assert not visitor.violations()


def ten_thousand_rows(world):
    lines = "\n".join(f"- {{name: many-{n:05}, paths: [/many/{n}]}}" for n in range(10_000))
    world.api.apply(f'_format_version: "3.0"\nroutes:\n{lines}\n')
    visitor = world.visitor()
    page = visitor.open("/routes")
    visitor.until("document.querySelector('[role=grid]').getAttribute('aria-rowcount') > 10000", seconds=30)
    assert page.locator(".grid-body .grid-row").count() < 100
    page.locator("[role=grid]").focus()
    page.keyboard.press("End")
    page.wait_for_selector(".grid-row[aria-selected=true]:has-text('payments')")
    page.keyboard.press("/")
    page.keyboard.type("many-07777")
    page.wait_for_selector(".grid-row:has-text('many-07777')")
    visitor.until("document.querySelectorAll('.grid-body .grid-row').length === 1")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('many-07777')")


ALL = [
    files_are_served_with_a_policy_and_may_be_kept, nothing_inline_and_no_other_host_in_the_files, every_page_wants_a_login,
    a_crafted_link_leads_nowhere_else, empty_pages_say_what_to_do, a_file_is_compared_then_applied,
    a_service_is_created_edited_deleted, a_route_with_lists_and_headers, an_upstream_with_targets, a_consumer_with_credentials,
    a_plugin_from_its_schema, a_form_for_every_plugin, a_certificate_and_its_name, tokens_are_shown_once_and_revoked,
    mistakes_stand_at_their_fields, a_name_that_is_taken, a_conflict_is_explained_and_both_changes_kept,
    unsaved_work_is_not_lost_by_a_click, a_viewer_is_offered_nothing_to_change, the_keyboard_alone, filters_stand_in_the_address,
    tables_are_exported, what_a_form_says_is_copied, revisions_are_compared_and_rolled_back, a_list_follows_what_others_do,
    the_audit_log_is_filtered, the_route_tester_names_route_and_reasons, every_page_in_light, every_page_in_dark,
    every_page_on_a_phone, a_dialog_and_the_menu_on_a_phone, ten_thousand_rows,
]
