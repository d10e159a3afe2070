"""T-20 to T-22: who asks is decided here, whatever the client says."""

import base64
import itertools

from bench import ask, ask_h2, exchange, head, item, statuses

NAMES = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Path",
         "X-Forwarded-Prefix",
         "X-Forwarded-Client-Cert", "X-Real-IP", "X-Consumer-ID", "X-Consumer-Username", "X-Consumer-Custom-ID",
         "X-Consumer-Groups",
         "X-Credential-Identifier", "X-Credential-Username", "X-Authenticated-Userid", "X-Authenticated-Groups",
         "X-Authenticated-Scope",
         "X-Anonymous-Consumer"]


def spellings(name):
    """Case and underscore variants, of which an upstream may take any for the real name."""
    words = name.split("-")
    yield from (name, name.lower(), name.upper(), name.swapcase(), name.replace("-", "_"), name.lower().replace("-", "_"))
    for gaps in itertools.product("-_", repeat=len(words) - 1):
        yield "".join(w + g for w, g in zip(words, (*gaps, "")))


def arrived(t, port, fields, target="/", host="a.example"):
    """Status and the fields that the origin saw."""
    mark = t.world.origin.mark()
    status, _ = ask(port, target, fields, host=host)
    seen = t.world.origin.since(mark)
    return status, seen[-1].fields if seen else []


@item("T-20", "identity and forwarding fields from outside, in every case and underscore spelling")
def forged(t):
    with t.world.start(t.world.config()) as gateway:
        for name in NAMES:
            for spelling in dict.fromkeys(spellings(name)):
                for extra in ([], [f"Connection: close, {name}"]):
                    status, fields = arrived(t, gateway.port, [f"{spelling}: 203.0.113.66", *extra])
                    carriers = [n for n, v in fields if "203.0.113.66" in v]
                    if name == "X-Forwarded-For" and "_" not in spelling:
                        value = ", ".join(v for n, v in fields if n.lower() == "x-forwarded-for")
                        t.check(value.endswith("127.0.0.1") and set(n.lower() for n in carriers) <= {"x-forwarded-for"},
                                f"{spelling}: arrives as {value!r} in {carriers}")
                    else:
                        t.check(status == 200 and not carriers, f"{spelling}: {status}, arrives in {carriers}")
        for name in NAMES:
            status, fields = arrived(t, gateway.port,
                                     [f"{name}: 203.0.113.66"] * 3 + [f"{name.lower()}: 203.0.113.66, 127.0.0.1"])
            t.check(name == "X-Forwarded-For" or not any("203.0.113.66" in v for _, v in fields),
                    f"{name} four times: {fields}")
        for name in NAMES:
            for spelling in dict.fromkeys(s.lower() for s in spellings(name)):
                mark = t.world.origin.mark()
                ask_h2(gateway.port, fields=[(spelling, "203.0.113.66")])
                fields = [f for r in t.world.origin.since(mark) for f in r.fields]
                carriers = [n.lower() for n, v in fields if "203.0.113.66" in v]
                t.check(fields and set(carriers) <= ({"x-forwarded-for"} if spelling == "x-forwarded-for" else set()),
                        f"{spelling} over HTTP/2: arrives in {carriers}")
    with t.world.start(t.world.config(), "--trusted-ips", "127.0.0.0/8") as gateway:
        status, fields = arrived(t, gateway.port, ["X-Forwarded-Proto: https", "X-Real-IP: 203.0.113.66"])
        values = dict((n.lower(), v) for n, v in fields)
        t.check(values.get("x-forwarded-proto") == "https" and values.get("x-real-ip") == "203.0.113.66",
                f"a trusted hop's fields did not arrive: {values}")


@item("T-21", "a private source address is not trust")
def private_addresses(t):
    rule = {"name": "ip-restriction", "config": {"allow": ["203.0.113.0/24", "10.0.0.0/8"]}}
    with t.world.start(t.world.config(route={"plugins": [rule]})) as gateway:
        for fields in ([], ["X-Forwarded-For: 203.0.113.66"], ["X-Real-IP: 203.0.113.66"], ["X-Forwarded-For: 10.0.0.1"],
                       ["X-Real-IP: 10.0.0.1"],
                       ["X-Forwarded-For: 10.0.0.1, 203.0.113.66"], ["Forwarded: for=10.0.0.1"], ["X_Real_IP: 10.0.0.1"],
                       ["True-Client-IP: 10.0.0.1"],
                       ["CF-Connecting-IP: 10.0.0.1"], ["X-Client-IP: 10.0.0.1"], ["X-Original-Forwarded-For: 10.0.0.1"]):
            status, seen = arrived(t, gateway.port, fields)
            t.check(status == 403 and not seen, f"{fields}: {status}")
    with t.world.start(t.world.config()) as gateway:
        status, fields = arrived(t, gateway.port, ["X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example",
                                                   "X-Real-IP: 10.0.0.1"])
        values = [v for n, v in fields if n.lower().startswith(("x-forwarded", "x-real"))]
        t.check("https" not in values and "evil.example" not in values and "10.0.0.1" not in values,
                f"believed from loopback: {values}")
    # Behind a trusted hop the last address that is not trusted counts, wherever private ones stand.
    flags = ("--trusted-ips", "127.0.0.0/8", "--real-ip-header", "X-Forwarded-For", "--real-ip-recursive")
    with t.world.start(t.world.config(route={"plugins": [rule]}), *flags) as gateway:
        for value, allowed in (("203.0.113.66", True), ("203.0.113.66, 198.51.100.1", False),
                               ("198.51.100.1, 203.0.113.66", True),
                               ("10.0.0.1, 198.51.100.1", False), ("10.0.0.1, 192.168.0.1", False),
                               ("203.0.113.66, 127.0.0.1", True),
                               ("203.0.113.66, garbage", False), ("garbage", False)):
            status, _ = arrived(t, gateway.port, [f"X-Forwarded-For: {value}"])
            t.check((status == 200) == allowed, f"X-Forwarded-For {value} behind a trusted hop: {status}")


def basic(user, password) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@item("T-22", "what was decided for one credential, route or consumer never answers for another")
def remembered(t):
    """Every decision is asked for twice and between each other, on one connection, so that anything kept must be keyed right."""
    people = [{"username": name, "basicauth_credentials": [{"username": name, "password": secret}],
               "keyauth_credentials": [{"key": key}],
               "acls": [{"group": group}]}
              for name, secret, key, group in (("ann", "pw", "key-ann", "staff"), ("ann:", "pw2", "key-ann:", "staff"),
                                               ("an", "n:pw", "key-an", "guests"),
                                                ("bob", "ann:pw", "key-bob", "guests"), ("ANN", "Pw", "KEY-ANN", "guests"),
                                                ("aa", "b", "a,b", "staff"))]
    def route(name, *plugins):
        return {"name": name, "paths": [f"/{name}"], "strip_path": False, "plugins": list(plugins)}
    hide = {"name": "basic-auth", "config": {"hide_credentials": False}}
    routes = [route("basic", hide), route("key", {"name": "key-auth"}),
              route("staff", hide, {"name": "acl", "config": {"allow": ["staff"]}}),
              route("keyguests", {"name": "key-auth", "config": {"key_names": ["token"]}},
                    {"name": "acl", "config": {"allow": ["guests"]}})]
    config = {"_format_version": "3.0", "consumers": people,
              "services": [{"name": "one", "url": f"http://127.0.0.1:{t.world.origin.port}", "routes": routes}]}
    asked = []
    for user, password, who in (("ann", "pw", "ann"), ("ann", "PW", None), ("ann", "", None), ("ann", "pw2", None),
                                ("an", "n:pw", "an"), ("ANN", "Pw", "ANN"),
                                ("ANN", "pw", None), ("bob", "ann:pw", "bob"), ("bob", "pw", None), ("", "ann:pw", None),
                                ("aa", "b", "aa"), ("a", "ab", None),
                                ("aab", "", None), ("ann", "pw\0", None), ("ann\0", "pw", None), ("ann", "pw ", None),
                                ("ann ", "pw", None)):
        asked.append(("/basic", basic(user, password), who, 200 if who else 401))
        staff = {"ann": 200, "aa": 200}.get(who, 403) if who else 401
        asked.append(("/staff", basic(user, password), who if staff == 200 else None, staff))
    for key, who in (("key-ann", "ann"), ("KEY-ANN", "ANN"), ("key-an", "an"), ("key-ann:", "ann:"), ("key-anx", None),
                     ("a,b", "aa"), ("a", None), ("pw", None)):
        asked.append(("/key", f"apikey: {key}", who, 200 if who else 401))
        asked.append(("/key", f"token: {key}", None, 401))
        guests = {"an": 200, "ANN": 200}.get(who, 403) if who else 401
        asked.append(("/keyguests", f"token: {key}", who if guests == 200 else None, guests))
    with t.world.start(config) as gateway:
        for order in (asked, asked[::-1], asked[::2] + asked[1::2]):
            for target, field, who, wanted in order:
                status, fields = arrived(t, gateway.port, [field], target)
                names = [v for n, v in fields if n.lower() == "x-consumer-username"]
                t.check(status == wanted and names == ([who] if who else []),
                        f"{target} with {field}: {status} as {names}, not {wanted} as {who}")
        # The same on one connection, all in a row.
        mark = t.world.origin.mark()
        data, _ = exchange(gateway.port, b"".join(head(target=target, fields=[field]) for target, field, _, _ in asked)
                           + head(target="/basic", fields=["Connection: close"]))
        wanted = [w for _, _, _, w in asked] + [401]
        t.check(statuses(data) == wanted, f"in a row: {statuses(data)}, not {wanted}")
        names = [v for r in t.world.origin.since(mark) for n, v in r.fields if n.lower() == "x-consumer-username"]
        t.check(names == [who for _, _, who, _ in asked if who], f"in a row the origin saw {names}")
        # Two credentials at once are not a way round either.
        status, fields = arrived(t, gateway.port, [basic("ann", "pw"), basic("bob", "no")], "/staff")
        t.check(status in (400, 401, 200) and [v for n, v in fields if n.lower() == "x-consumer-username"] in ([], ["ann"]),
                f"two credentials: {status}")
