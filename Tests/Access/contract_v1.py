"""schemathesis from PyPI against the Resource API's own description: no 5xx, no answer that it does not describe."""

import os
import pathlib
import subprocess
import sys
import tempfile

from api import API

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test(program, check, seed=1, examples=10):
    tool = pathlib.Path(sys.executable).parent / "schemathesis"
    print(f"contract: seed {seed}, {examples} examples for each operation")
    # It keeps notes where it stands.
    with API(program) as plane, tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [str(tool) if tool.exists() else "schemathesis", "run", f"http://{plane.api}/v1/openapi.json",
             "--header", f"Authorization: Bearer {plane.token}", "--checks", CHECKS, "--max-examples", str(examples),
             # A stream of events has no end.
             "--exclude-path", "/v1/watch", "--seed", str(seed), "--generation-deterministic",
             "--phases", "examples,fuzzing,stateful", "--workers", "1", "--no-color"],
            capture_output=True, text=True, cwd=folder, env={**os.environ, "COLUMNS": "200"})
        tail = "\n".join(run.stdout.splitlines()[-150:])
        check("schemathesis finds nothing", run.returncode == 0, tail + run.stderr[-2000:])
        check("the control plane is still there", plane.process.poll() is None, "".join(plane.lines[-20:]))
