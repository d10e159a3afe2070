"""README's first section, run as it stands: every command in it, in order, with what it promises."""

import os
import re
import signal
import subprocess
import tempfile

from fleet import ROOT, LOCAL, free_port, wait_for


def commands() -> list[str]:
    """Lines that begin with `$ ` in the README's first section."""
    section = (ROOT / "README.md").read_text().split("\n## ")[1]
    return [line.strip()[2:] for line in section.splitlines() if line.strip().startswith("$ ")]


def test(program, check):
    lines = commands()
    check("the section begins with make up", lines[0] == "make up", lines[:1])
    ports = {name: str(free_port()) for name in ("HTTP", "HTTPS", "STATUS", "ADMIN", "API", "STREAM")}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **{f"{name}_PORT": port for name, port in ports.items()}, "DATA": f"{folder}/data",
                       "SEAWAY_API": f"http://{LOCAL}:{ports['API']}", "NO_COLOR": "1"}
        up = subprocess.Popen(["bash", "scripts/up.sh"], cwd=ROOT, env=environment, text=True, start_new_session=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            out = ""
            for line in up.stdout:
                out += line
                if "Ctrl-C stops all of it." in line and "Seaway is up;" in out:
                    break
            check("make up says what to do next", "apply -f Examples/quickstart/kong.yml" in out, out)
            token = open(f"{folder}/data/admin-token").read().strip()
            environment["SEAWAY_TOKEN"] = token
            for line in lines[1:]:
                run(line, ports, environment, program, check)
            page = subprocess.run(["curl", "-fsS", f"http://{LOCAL}:{ports['API']}/ui/"], capture_output=True, text=True)
            check("the web UI opens", "<html" in page.stdout.lower(), page.stdout[:200] + page.stderr)
        finally:
            os.killpg(up.pid, signal.SIGTERM)
            up.wait(60)


def run(line, ports, environment, program, check):
    """One command of the README on the test's ports; the README says in a comment what it answers."""
    wanted = re.search(r"#\s*(\d{3})", line)
    for name, usual in {"HTTP": 8000, "ADMIN": 8001, "API": 5681, "STATUS": 8007}.items():
        line = line.replace(f":{usual}", f":{ports[name]}")
    line = line.replace(".build/release/seaway", program).replace("data/admin-token", environment["DATA"] + "/admin-token")

    def once():
        done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
        return done if done.returncode == 0 and (not wanted or f" {wanted.group(1)} " in done.stdout) else None

    try:
        # A change is in effect on the gateway within moments of the command's end.
        done = wait_for(line, once, 3, 0.1)
        check(f"README: {line}", bool(done))
    except AssertionError as error:
        done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=environment, capture_output=True, text=True)
        check(f"README: {line}", False, f"{error}: {done.stdout[-500:]} {done.stderr[-500:]}")
