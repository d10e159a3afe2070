"""T-17 to T-19: the path that a rule is asked about is the path that the upstream receives."""

import re

from bench import ask_h2, exchange, head, item, statuses

# Spellings of /admin and of /admin/users, honest and not. Bytes as they go into the request line.
SPELLINGS = [
    "/admin", "/admin/", "/admin/users", "/admin?x=1", "/admin?", "/admin/?x", "//admin", "///admin", "/admin//",
    "//admin//users",
    "/./admin", "/././admin", "/admin/.", "/admin/./users", "/x/../admin", "/x/y/../../admin", "/x/./../admin", "/x//../admin",
    "/admin/../admin", "/admin/x/..", "/admin/..", "/admin/../x", "/../admin", "/../../admin", "/..//admin", "/.//admin",
    "/x/../../admin",
    "/%61dmin", "/%61%64%6d%69%6e", "/admi%6e", "/%61dmin/users", "/x/../%61dmin", "/%2e/admin", "/%2E/admin",
    "/x/%2e%2e/admin",
    "/x/%2E%2E/admin", "/x/.%2e/admin", "/x/%2e./admin", "/x/%2e%2e/%61dmin", "/%2e%2e/admin", "/admin%2f", "/admin%2fusers",
    "/admin%2Fusers", "/%2fadmin", "/%2Fadmin", "/x%2f..%2fadmin", "/x/..%2fadmin", "/x%2f../admin", "/%2e%2e%2fadmin",
    "/x%2f%2e%2e%2fadmin",
    "/admin%5cusers", "/%5cadmin", "/x%5c..%5cadmin", "/x/..%5cadmin", "\\admin", "/\\admin", "/admin\\users", "/x\\..\\admin",
    "/x/..\\admin",
    "/admin;", "/admin;x", "/admin;x=y/users", "/;/admin", "/;x/admin", "/x/..;/admin", "/x/..;a=b/admin", "/admin%3b",
    "/admin%3bx",
    "/admin#", "/admin#x", "/#/admin", "/x#/../admin", "/admin%23", "/admin%3f", "/admin%3fx", "/x?/../admin", "/x?a=/../admin",
    "/admin%00", "/%00/admin", "/admin%00/x", "/x%00/../admin", "/admin%0a", "/admin%0d%0a", "/admin%20", "/admin%09",
    "/%20admin", "/admin+",
    "/%2561dmin", "/%25%36%31dmin", "/x/%252e%252e/admin", "/%252fadmin", "/admin%252fusers", "/%2%35%65/admin",
    "/%c0%afadmin", "/x/%c0%ae%c0%ae/admin", "/%e0%80%afadmin", "/%c1%a1dmin", "/x/%c0%2e%c0%2e/admin", "/%uff0fadmin",
    "/%u002fadmin",
    "/%ef%bc%8fadmin", "/ADMIN", "/Admin", "/aDmIn/users", "/%41dmin", "/%41DMIN", "/admin.", "/admin./users", "/admin..",
    "/admin/...",
    "/.../admin", "/x/.../admin", "/admin%", "/admin%6", "/admin%zz", "/%", "/%/admin", "/admin%u0000", "*", "admin",
    "http:/admin",
    "http://a.example/admin", "http://a.example//admin", "http://a.example/x/../admin", "http://a.example/%61dmin",
    "HTTP://A.EXAMPLE/admin",
    "http://a.example./admin", "/admin,", "/admin:80", "/admin@x", "/admin~", "/admin*", "/adminx", "/xadmin", "/x/admin",
    "/admin%ff", "/%ffadmin",
    "/ad%6Din/%75sers", "/a%64min%2e", "/admin/%2e%2e/admin", "/x/../x/../admin", "/x/./.././admin", "/./%2e/./admin/",
    "/admin/%2e",
]
# A path that is not UTF-8 matches no route at all.
REFUSED = (400, 403, 404)
PLAIN = {"name": "all", "paths": ["/"], "strip_path": False, "preserve_host": True}
DENY = {"name": "request-termination", "config": {"status_code": 403}}


def normal(path) -> str:
    """RFC 3986, 6.2.2: unreserved octets decoded, dot segments removed; and slashes merged."""
    path = re.sub(r"%([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16))
                  if re.fullmatch(r"[A-Za-z0-9\-._~]", chr(int(m[1], 16))) else m[0], path.partition("?")[0])
    path = re.sub("/{2,}", "/", path)
    kept = []
    parts = path.split("/")[1:]
    for number, part in enumerate(parts):
        if part == "..":
            kept[-1:] = []
        elif part != ".":
            kept.append(part)
        if part in (".", "..") and number == len(parts) - 1:
            kept.append("")
    return re.sub("/{2,}", "/", "/" + "/".join(kept))


def protected(path, prefix="/admin") -> bool:
    return normal(path).startswith(prefix)


class Asking:
    """What the gateway does with a target: its status, and the target that the origin saw, if any."""

    def __init__(self, t, gateway, version=1):
        self.origin, self.port, self.version = t.world.origin, gateway.port, version

    def __call__(self, target, fields=(), host="a.example"):
        mark = self.origin.mark()
        if self.version == 2:
            status = ask_h2(self.port, target, host=host)
            seen = [r.target for r in self.origin.since(mark)]
            return status, seen[-1] if seen else None
        raw = target if isinstance(target, bytes) else target.encode("latin-1")
        request = b"GET " + raw + b" HTTP/1.1\r\n" + head(host=host, fields=[*fields, "Connection: close"]).split(b"\r\n", 1)[1]
        data, _ = exchange(self.port, request)
        seen = [r.target for r in self.origin.since(mark)]
        return (statuses(data) or [0])[-1], seen[-1] if seen else None


@item("T-17", "spellings of a denied path: what is let through means the same when it is asked for again")
def spellings(t):
    origin = f"http://127.0.0.1:{t.world.origin.port}"
    admin = {"name": "admin", "paths": ["/admin"], "strip_path": False, "plugins": [DENY]}
    public = {"name": "public", "hosts": ["walled.example"], "paths": ["/public"], "strip_path": False}
    wall = {"name": "wall", "hosts": ["walled.example"], "paths": ["/"], "strip_path": False, "plugins": [{"name": "key-auth"}]}
    services = [{"name": "one", "url": origin, "routes": [PLAIN, admin]},
                {"name": "two", "url": origin, "routes": [public, wall]}]
    with t.world.start({"_format_version": "3.0", "services": services}) as gateway:
        for version in (1, 2):
            asking, let, denied, refused = Asking(t, gateway, version), 0, 0, 0
            for spelling in SPELLINGS:
                status, seen = asking(spelling)
                t.check((status == 200) == (seen is not None), f"{spelling}: {status}, yet the origin saw {seen}")
                if seen is not None:
                    let += 1
                    again, twice = asking(seen)
                    t.check((again, twice) == (200, seen),
                            f"{spelling}: let through as {seen}, which alone gets {again} as {twice}")
                    t.check(not protected(seen), f"{spelling}: reached the origin as {seen}")
                else:
                    denied, refused = denied + (status == 403), refused + (status != 403)
                    t.check(status in (400, 403, 404, 405) or version == 2 and status == 0, f"{spelling}: {status}")
            # The other way round: all is walled but /public.
            for spelling in SPELLINGS + ["/public/.." + s for s in SPELLINGS if s.startswith("/")]:
                status, seen = asking(spelling, host="walled.example")
                t.check(seen is None or protected(seen, "/public"), f"{spelling}: passed the wall as {seen}")
                t.check(status in (200, 400, 401, 404) or version == 2 and status == 0, f"{spelling} before the wall: {status}")
            for spelling in ("/public", "/public/x", "/./public", "/%70ublic", "/public/../public"):
                status, seen = asking(spelling, host="walled.example")
                t.check(status == 200 and protected(seen, "/public"), f"{spelling}: {status} as {seen}")
            for host in ("walled.example.", "WALLED.example", "walled.example:8000", "Walled.Example.:80"):
                status, seen = asking("/secret", host=host)
                t.check(status == 401 and seen is None, f"host {host} over HTTP/{version}: {status} as {seen}")
            t.figure(f"of {len(SPELLINGS)} spellings over HTTP/{version}",
                     f"{let} let through, {denied} denied, {refused} refused as malformed")
    t.note("an encoded slash stays encoded on its way to the upstream: it separates nothing for the gateway's rules")


@item("T-18", "stripped, prefixed and rewritten paths stay below what the rule allows")
def rewrites(t):
    origin = f"http://127.0.0.1:{t.world.origin.port}"
    strip = {"name": "strip", "paths": ["/api"], "strip_path": True}
    capture = {"name": "capture", "paths": ["~/files/(?<name>.+)$"], "strip_path": False, "plugins": [
        {"name": "request-transformer", "config": {"replace": {"uri": "/private/$(uri_captures['name'])"}}}]}
    query = {"name": "query", "paths": ["/query"], "plugins": [
        {"name": "request-transformer", "config": {"replace": {"uri": "/private/$(query_params['q'])"}}}]}
    services = [{"name": "one", "url": origin + "/v1/", "routes": [strip]},
                {"name": "two", "url": origin, "routes": [capture, query]}]
    climbs = ["/..", "/../", "/../admin", "/%2e%2e/admin", "/.%2e/admin", "/x/../../admin", "//../admin",
              "/x%2f..%2f..%2fadmin", "/..%2fadmin",
              "/..%2f..%2fadmin", "/..;/admin", "/..\\admin", "/..%5cadmin", "/%252e%252e/admin", "/x/../../../../admin",
              "/./../admin", "x/../admin",
              "..", "/%00/../admin", "/x?/../../admin", "//evil.example/x", "/%2f%2fevil.example", "/..%00/admin",
              "/%2e%2e%2fadmin", "/%2E%2E%2Fadmin"]
    with t.world.start({"_format_version": "3.0", "services": services}) as gateway:
        asking = Asking(t, gateway)
        t.check(asking("/api/x") == (200, "/v1/x"), f"/api/x arrives as {asking('/api/x')}")
        t.check(asking("/files/x") == (200, "/private/x"), f"/files/x arrives as {asking('/files/x')}")
        for climb in climbs:
            _, seen = asking("/api" + climb)
            t.check(seen is None or protected(seen, "/v1"), f"/api{climb} arrives as {seen}")
            for before in ("/files", "/files/x"):
                status, seen = asking(before + climb)
                t.check(seen is None or protected(seen, "/private/"), f"{before}{climb} arrives as {seen}")
            status, seen = asking("/query?q=" + climb.replace("?", "%3F"))
            t.check(seen is None or protected(seen, "/private"), f"q={climb} arrives as {seen}")
            t.check(status in (200, 400, 404), f"q={climb}: {status}")


@item("T-19", "patterns on bytes above 127, on bad UTF-8, on long and on repeated values still deny")
def patterns(t):
    origin = f"http://127.0.0.1:{t.world.origin.port}"
    secret = {"name": "secret", "paths": ["~/secret/.*"], "strip_path": False, "plugins": [DENY], "regex_priority": 10}
    exact = {"name": "word", "paths": [r"~/[a-z]+\.cgi$"], "strip_path": False, "plugins": [DENY]}
    debug = {"name": "debug", "paths": ["/"], "headers": {"x-debug": ["~*.+"]}, "strip_path": False, "plugins": [DENY]}
    role = {"name": "role", "paths": ["/"], "headers": {"x-role": ["admin", "root"]}, "strip_path": False, "plugins": [DENY]}
    services = [{"name": "one", "url": origin, "routes": [PLAIN, secret, exact, debug, role]}]
    with t.world.start({"_format_version": "3.0", "services": services}) as gateway:
        asking = Asking(t, gateway)
        t.check(asking("/open")[0] == 200, "the open path is not open")
        for tail in (b"x", b"", b"%ff", b"%c0%af", b"\xff", b"\xc3\xa9", b"%e2%82", b"\xed\xa0\x80", b"%00", b"a" * 8000,
                     b"%0a", b"x%0ay",
                     b"%80" * 2000, b"?q", b"./x", b"%2e/x", b"y/../x"):
            status, seen = asking(b"/secret/" + tail)
            t.check(status in REFUSED and seen is None, f"/secret/{tail[:20]!r}: {status} as {seen}")
        for path in (b"/abc.cgi", b"/abc.cg%69", b"/%61bc.cgi", b"/x/../abc.cgi", b"/abc%2ecgi", b"/./abc.cgi", b"//abc.cgi"):
            status, seen = asking(path)
            t.check(status in REFUSED and seen is None, f"{path!r}: {status} as {seen}")
        for values in (["1"], ["\xff"], ["\xc3\xa9"], ["", "1"], ["1", ""], ["a" * 8000], ["\x80"] * 20, ["x\ty"], ["0", "0"],
                       ["\xed\xa0\x80"]):
            status, seen = asking("/", [b"X-Debug: " + v.encode("latin-1") for v in values])
            t.check(status in REFUSED and seen is None, f"X-Debug {values!r:.60}: {status}")
        for values in (["admin"], ["root"], ["user", "admin"], ["admin", "user"], ["root", "admin"], ["user", "x", "root"]):
            for name in ("X-Role", "x-role", "X-ROLE"):
                status, seen = asking("/", [f"{name}: {v}" for v in values])
                t.check(status == 403 and seen is None, f"{name} {values}: {status}")
