"""What happens when something dies: no request through the gateways fails, and nothing committed is lost."""

import contextlib
import http.client
import threading
import time

from fleet import Fleet, Load, kong, wait_for


def names(plane, kind="routes"):
    return {one["name"] for one in plane.get(f"/v1/{kind}?limit=1000")["items"]}


def change(plane, name, upstream):
    """Whether the control plane said that the change is stored."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        status, _ = plane.request("POST", "/v1/apply", kong(upstream, {name: []}).encode(), "application/yaml", timeout=10)
        return status == 200
    return False


def writer(planes, upstream, stop, stored, prefix):
    """Adds routes one by one, through whichever control plane answers, and notes those that were confirmed."""
    number = 0
    while not stop.is_set():
        name = f"{prefix}{number}"
        for plane in planes:
            if change(plane, name, upstream):
                stored.append((name, time.monotonic()))
                break
        else:
            time.sleep(0.05)
        number += 1


@contextlib.contextmanager
def writing(planes, upstream, prefix="w"):
    stop, stored = threading.Event(), []
    thread = threading.Thread(target=writer, args=(planes, upstream, stop, stored, prefix), daemon=True)
    thread.start()
    try:
        yield stored
    finally:
        stop.set()
        thread.join(30)


def control_plane_killed(program, check):
    with Fleet(program) as fleet:
        upstream = fleet.upstream()
        plane = fleet.plane()
        token = plane.token("gateways", ["gateway"])
        gateway = fleet.gateway("one", [plane.stream], token)
        plane.apply(kong(upstream.port, {"base": []}))
        gateway.serves("/base")
        with Load(gateway, "/base") as load, writing([plane], upstream.port) as stored:
            for _ in range(3):
                before = len(stored)
                wait_for("changes", lambda: len(stored) > before + 3)
                plane.kill()
                time.sleep(0.3)
                plane.start()
                plane.ready()
        check("killed control plane: no request failed", not load.failures and load.done > 100,
              f"{load.done} done, {load.failures[:3]}")
        lost = {name for name, _ in stored} - names(plane)
        check("killed control plane: nothing stored is lost", not lost, sorted(lost)[:5])
        gateway.serves(f"/{stored[-1][0]}")
        revisions = plane.get("/v1/revisions?limit=1000")["items"]
        numbers = [one["number"] for one in revisions]
        check("killed control plane: revisions have no gap", numbers == list(range(len(numbers), 0, -1)), numbers[:5])


def database_stopped(program, check):
    with Fleet(program) as fleet:
        upstream, database = fleet.upstream(), fleet.postgres()
        plane = fleet.plane(store=database.url)
        gateway = fleet.gateway("one", [plane.stream], plane.token("gateways", ["gateway"]))
        plane.apply(kong(upstream.port, {"base": []}))
        gateway.serves("/base")
        with Load(gateway, "/base") as load, writing([plane], upstream.port) as stored:
            wait_for("changes", lambda: len(stored) > 3)
            database.stop()
            status, problem = plane.request("POST", "/v1/apply", kong(upstream.port, {"no": []}).encode(), "application/yaml")
            check("database stopped: a change is refused as unavailable", status == 503, (status, problem))
            time.sleep(1)
            before = len(stored)
            database.restart()
            wait_for("changes again", lambda: len(stored) > before + 3, 30)
        check("database stopped: no request failed", not load.failures and load.done > 100,
              f"{load.done} done, {load.failures[:3]}")
        lost = {name for name, _ in stored} - names(plane)
        check("database stopped: nothing stored is lost", not lost, sorted(lost)[:5])
        gateway.serves(f"/{stored[-1][0]}")


def partitioned(program, check, seconds=60):
    with Fleet(program) as fleet:
        upstream = fleet.upstream()
        plane = fleet.plane()
        cable = fleet.cable(plane.stream)
        gateway = fleet.gateway("far", [cable.port], plane.token("gateways", ["gateway"]))
        plane.apply(kong(upstream.port, {"base": []}))
        gateway.serves("/base")
        with Load(gateway, "/base") as load:
            cable.cut()
            plane.apply(kong(upstream.port, {"meanwhile": []}))
            wait_for("the control plane notices", lambda: plane.gateway("far")["state"] != "connected", 30)
            time.sleep(seconds / 2)
            check("partitioned: still the old configuration", gateway.ask("/meanwhile") == 404)
        check("partitioned: no request failed", not load.failures and load.done > 100, load.failures[:3])
        gateway.stop()
        gateway.start()
        gateway.serves("/base")
        with Load(gateway, "/base") as load:
            time.sleep(seconds / 2)
            cable.mend()
            took = gateway.serves("/meanwhile", seconds=30)
        check("partitioned and restarted: no request failed", not load.failures and load.done > 100, load.failures[:3])
        check("partitioned: the change arrives once the network is back", took < 15, f"{took:.1f} s")


def leader_killed(program, check):
    with Fleet(program) as fleet:
        upstream, database = fleet.upstream(), fleet.postgres()
        first = fleet.plane("first", database.url)
        second = fleet.plane("second", database.url)
        token = first.token("gateways", ["gateway"])
        gateways = [fleet.gateway("one", [first.stream, second.stream], token),
                    fleet.gateway("two", [second.stream, first.stream], token)]
        first.apply(kong(upstream.port, {"base": []}))
        for gateway in gateways:
            gateway.serves("/base")
        with Load(gateways[0], "/base") as load, Load(gateways[1], "/base") as other, \
                writing([first, second], upstream.port) as stored:
            wait_for("changes", lambda: len(stored) > 3)
            first.kill()
            killed = time.monotonic()
            wait_for("changes through the other", lambda: stored[-1][1] > killed)
            after = stored[-1][0]
            for gateway in gateways:
                gateway.serves(f"/{after}", seconds=20)
            pushed = time.monotonic() - killed
            before = len(stored)
            wait_for("more changes", lambda: len(stored) > before + 5)
        check("leader killed: no request failed", not load.failures and not other.failures, (load.failures[:3], other.failures[:3]))
        check("leader killed: changes arrive everywhere within 5 s", pushed < 5, f"{pushed:.1f} s")
        lost = {name for name, _ in stored} - names(second)
        check("leader killed: nothing stored is lost", not lost, sorted(lost)[:5])
        first.start()
        first.ready()
        check("the one that was killed has everything again", names(first) == names(second))


STEPS = ("control_plane_killed", "database_stopped", "partitioned", "leader_killed")
