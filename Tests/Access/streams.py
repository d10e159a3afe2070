"""The event stream: what it tells, from where, and that it ends with the right to it."""

import http.client
import json
import threading
import time

from api import API


class Events:
    """Reads server-sent events on a thread of its own."""

    def __init__(self, plane, query="", headers=None, token=None):
        self.connection = http.client.HTTPConnection(plane.api, timeout=60)
        fields = {"Authorization": f"Bearer {token or plane.token}"} if token != "" else {}
        self.connection.request("GET", "/v1/watch" + query, headers={**fields, **(headers or {})})
        self.response = self.connection.getresponse()
        self.events = []
        self.ended = None
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        kind, number = None, None
        try:
            for line in self.response:
                line = line.decode().rstrip("\n")
                if line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("id: "):
                    number = int(line[4:])
                elif line.startswith("data: "):
                    self.events.append((kind, number, json.loads(line[6:]), time.monotonic()))
                    kind, number = None, None
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            pass
        self.ended = time.monotonic()

    def kinds(self, wanted):
        return [data for kind, _, data, _ in list(self.events) if kind == wanted]

    def close(self):
        self.connection.sock and self.connection.sock.close()


def test(program, check):
    with API(program) as plane:
        telling(plane, check)
        ending(plane, check)


def telling(plane, check):
    events = Events(plane)
    check("it is a stream of events", events.response.getheader("content-type") == "text/event-stream")
    started = time.monotonic()
    plane.ask("POST", "/v1/services", {"name": "one", "spec": {"host": "one.test"}})
    check("a revision is told", plane.wait(lambda: events.kinds("revision")), events.events)
    check("within a second", events.events and events.events[-1][3] - started < 1, events.events)
    change = (events.kinds("change") or [{}])[0]
    check("so is each change", (change.get("action"), change.get("type"), change.get("name")) == ("create", "services", "one"), change)
    check("the revision has the id", events.events[-1][:2] == ("revision", 1), events.events)
    plane.ask("PATCH", "/v1/services/one", {"spec": {"retries": 1}})
    plane.ask("POST", "/v1/routes", {"name": "r", "spec": {"paths": ["/r"], "service": {"name": "one"}}})
    check("every one in turn", plane.wait(lambda: [one["revision"] for one in events.kinds("revision")] == [1, 2, 3]), events.events)
    fields = [one["fields"] for one in events.kinds("change") if one["action"] == "update"][0]
    check("with fields", fields == [{"path": "retries", "before": 5, "after": 1}], fields)
    events.close()

    later = Events(plane, "?since=1")
    check("it begins where it is told", plane.wait(lambda: [one["revision"] for one in later.kinds("revision")] == [2, 3]), later.events)
    later.close()
    back = Events(plane, headers={"Last-Event-ID": "2"})
    check("a browser goes on where it was", plane.wait(lambda: [one["revision"] for one in back.kinds("revision")] == [3]), back.events)
    back.close()
    ahead = Events(plane, "?since=99")
    check("another history is said so", plane.wait(lambda: ahead.kinds("resync")), ahead.events)
    ahead.close()
    only = Events(plane, "?since=0&types=routes")
    check("types are chosen", plane.wait(lambda: len(only.kinds("revision")) == 3) and
          [one["type"] for one in only.kinds("change")] == ["routes"], only.events)
    only.close()
    check("a type is suggested", b"routes" in plane.ask("GET", "/v1/watch?types=routs").body)

    plane.ask("POST", "/v1/roles", {"name": "routes-only", "spec": {"rules": [{"verbs": ["read"], "types": ["routes"]}]}})
    token = plane.make_token("routes-only", "routes-only")["token"]
    filtered = Events(plane, "?since=0", token=token)
    check("only what may be read is told", plane.wait(lambda: len(filtered.kinds("revision")) == 4) and
          {one["type"] for one in filtered.kinds("change")} == {"routes"}, filtered.events)
    filtered.close()


def ending(plane, check):
    def ends(name, events, end):
        time.sleep(0.3)
        check(f"{name}: the stream is open before", events.ended is None)
        started = time.monotonic()
        end()
        check(f"{name}: the stream ends within a second", plane.wait(lambda: events.ended, 3)
              and events.ended - started <= 1.05, events.ended and events.ended - started)

    token = plane.make_token("watcher", "viewer")["token"]
    ends("a revoked token", Events(plane, token=token), lambda: plane.ask("DELETE", "/v1/tokens/watcher"))
    check("and opens no new one", plane.ask("GET", "/v1/watch", token=token).status == 401)

    token = plane.make_token("page", "viewer")["token"]
    def cookie():
        return plane.ask("POST", "/v1/session", {"token": token}, token="").headers["set-cookie"].split(";")[0]
    jar = {"Cookie": cookie()}
    ends("logging out", Events(plane, headers=jar, token=""),
         lambda: plane.ask("DELETE", "/v1/session", headers={**jar, "X-Seaway-Request": "1"}, token=""))
    ends("a session of a revoked token", Events(plane, headers={"Cookie": cookie()}, token=""),
         lambda: plane.ask("DELETE", "/v1/tokens/page"))

    short = plane.make_token("short", "viewer", expiresIn=2)
    events = Events(plane, token=short["token"])
    check("an expired token: the stream ends", plane.wait(lambda: events.ended, 5), events.events)
