"""Staged rollouts: some gateways first, then all of them, or back again by what those saw."""

import contextlib
import json
import threading
import time

from fleet import LOCAL, Fleet, free_port, kong, wait_for


def two_zones(fleet, upstream, plane):
    eu = fleet.gateway("eu-1", [plane.stream], plane.token("eu", ["gateway"], labels={"zone": "eu"}))
    us = fleet.gateway("us-1", [plane.stream], plane.token("us", ["gateway"], labels={"zone": "us"}))
    plane.apply(kong(upstream.port, {"base": []}))
    eu.serves("/base")
    us.serves("/base")
    return eu, us


def newest(plane):
    return plane.get("/v1/rollouts")["items"][0]


def promoted(program, check):
    with Fleet(program) as fleet:
        upstream, plane = fleet.upstream(), fleet.plane()
        eu, us = two_zones(fleet, upstream, plane)
        answer = plane.apply(kong(upstream.port, {"base": [], "new": []}), "?canary=zone%3Deu")
        eu.serves("/new", seconds=5)
        check("the chosen gateways have it first", us.ask("/new") == 404)
        check("the rollout is known", newest(plane)["revision"] == answer["revision"], newest(plane))
        us.serves("/new", seconds=40)
        check("a rollout without errors is promoted", newest(plane)["state"] == "promoted", newest(plane))


def by_hand(program, check):
    with Fleet(program) as fleet:
        upstream, plane = fleet.upstream(), fleet.plane()
        eu, us = two_zones(fleet, upstream, plane)
        plane.apply(kong(upstream.port, {"base": [], "new": []}), "?canary=zone%3Deu")
        eu.serves("/new", seconds=5)
        status, problem = plane.request("POST", f"/v1/rollouts/{newest(plane)['id']}/revert")
        check("a rollout can be reverted by hand", status in (200, 204), (status, problem))
        eu.serves("/new", 404, seconds=5)
        check("then nobody has it", us.ask("/new") == 404 and us.ask("/base") == 200)


def reverted(program, check):
    with Fleet(program) as fleet:
        upstream, plane = fleet.upstream(), fleet.plane()
        eu, us = two_zones(fleet, upstream, plane)
        stop = threading.Event()

        def visit():
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    eu.ask("/base")
                time.sleep(0.01)

        thread = threading.Thread(target=visit, daemon=True)
        thread.start()
        # The service leads to a port where nobody listens: every request becomes a 5xx.
        broken = json.loads(kong(upstream.port, {"base": []}))
        broken["services"][0]["url"] = f"http://{LOCAL}:{free_port()}"
        plane.apply(json.dumps(broken), "?canary=zone%3Deu")
        wait_for("reverted", lambda: newest(plane)["state"] == "reverted", 60, 0.2)
        eu.serves("/base", seconds=10)
        stop.set()
        thread.join()
        check("a rollout with errors is reverted, and says why", bool(newest(plane)["reason"]), newest(plane))
        check("the others never had it", us.ask("/base") == 200)


STEPS = ("promoted", "by_hand", "reverted")
