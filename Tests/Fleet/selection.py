"""Which gateway gets what: labels, secrets, signed snapshots, revocation, rejection."""

import json
import pathlib
import re
import time

from fleet import Fleet, kong, wait_for

LOCAL = "127.0.0.1"


def state_of(gateway) -> bytes:
    """All that a gateway has on its disk."""
    return b"".join(path.read_bytes() for path in pathlib.Path(gateway.folder / "state").rglob("*") if path.is_file())


def labels_and_secrets(program, check):
    with Fleet(program) as fleet:
        upstream, plane = fleet.upstream(), fleet.plane()
        eu = fleet.gateway("eu-1", [plane.stream], plane.token("eu", ["gateway"], labels={"zone": "eu"}))
        us = fleet.gateway("us-1", [plane.stream], plane.token("us", ["gateway"], labels={"zone": "us"}))
        plane.apply(json.dumps({
            "_format_version": "3.0",
            "services": [{"name": "up", "url": f"http://{LOCAL}:{upstream.port}", "routes": [
                {"name": "all", "paths": ["/all"]},
                {"name": "eu", "paths": ["/eu"], "tags": ["seaway.gateways.zone=eu"], "plugins": [{"name": "key-auth"}]},
                {"name": "both", "paths": ["/both"], "tags": ["seaway.gateways.zone=eu", "seaway.gateways.zone=us"]}]}],
            "consumers": [{"username": "ada", "keyauth_credentials": [{"key": "the-key-of-ada-0123456789"}]}]}))
        eu.serves("/all")
        us.serves("/all")
        check("a route for one zone is there", eu.serves("/eu", 401) >= 0)
        check("and not in the other", us.ask("/eu") == 404)
        check("alternatives of one label", eu.ask("/both") == 200 and us.ask("/both") == 200)
        wait_for("the state is written", lambda: b"/all" in state_of(us) and b"/all" in state_of(eu))
        check("credentials are where they are used", b"the-key-of-ada-0123456789" in state_of(eu))
        check("credentials are nowhere else", b"the-key-of-ada-0123456789" not in state_of(us))


def revoked(program, check):
    with Fleet(program) as fleet:
        upstream, plane = fleet.upstream(), fleet.plane()
        gateway = fleet.gateway("one", [plane.stream], plane.token("gateways", ["gateway"]))
        plane.apply(kong(upstream.port, {"base": []}))
        gateway.serves("/base")
        start = time.monotonic()
        status, _ = plane.request("DELETE", f"/v1/gateways/{plane.gateway('one')['id']}")
        check("a gateway can be revoked", status in (200, 204), status)
        wait_for("cut", lambda: "revoked" in gateway.tail().lower(), 5, 0.01)
        took = time.monotonic() - start
        check("revocation cuts the stream within 1 s", took < 1, f"{took:.2f} s")
        plane.apply(kong(upstream.port, {"later": []}))
        time.sleep(1)
        check("a revoked gateway gets nothing more, and serves on", gateway.ask("/later") == 404 and gateway.ask("/base") == 200)


def fallback(program, check):
    with Fleet(program) as fleet:
        upstream, plane = fleet.upstream(), fleet.plane()
        token = plane.token("gateways", ["gateway"])
        plane.apply(kong(upstream.port, {"base": []}))
        exported = plane.folder / "data/export/default.seaway"
        wait_for("the snapshot is exported", exported.exists)
        plane.apply(kong(upstream.port, {"base": [], "second": []}))
        wait_for("the next revision is exported", lambda: b"second" in exported.read_bytes())
        plane.stop()
        start = time.monotonic()
        gateway = fleet.gateway("new", [plane.stream], token, ["--fallback", f"file://{exported}"])
        gateway.serves("/second", seconds=30)
        check("a new gateway serves the signed snapshot while the control plane is down", True, time.monotonic() - start)
        damaged = bytearray(exported.read_bytes())
        damaged[len(damaged) // 3] ^= 1
        bad = fleet.folder / "damaged.seaway"
        bad.write_bytes(damaged)
        other = fleet.gateway("other", [plane.stream], token, ["--fallback", f"file://{bad}"])
        wait_for("it says why", lambda: re.search("fallback|snapshot", other.tail().split("state  ")[-1]), 30)
        time.sleep(2)
        status = None
        try:
            status = other.ask("/base", 1)
        except OSError:
            pass
        check("a damaged snapshot is not served", status != 200, status)
        plane.start()
        plane.ready()
        plane.apply(kong(upstream.port, {"third": []}))
        gateway.serves("/third", seconds=30)
        check("it follows the control plane once that is back", True)


STEPS = ("labels_and_secrets", "revoked", "fallback")
