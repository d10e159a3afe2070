"""schemathesis from PyPI against the served OpenAPI document: no 5xx, and no answer that the document does not describe."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test(plane, check, seed=1, examples=8):
    program = pathlib.Path(sys.executable).parent / "schemathesis"
    if not program.exists():
        program = "schemathesis"
    print(f"contract: seed {seed}, {examples} examples for each operation")
    # It keeps notes where it stands.
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [str(program), "run", f"{plane.url}/openapi.json", "--header", f"Authorization: Bearer {plane.token}",
             "--header", f"Kong-Admin-Token: {plane.token}",
             "--checks", CHECKS, "--max-examples", str(examples), "--seed", str(seed), "--generation-deterministic",
             "--phases", "examples,coverage,fuzzing,stateful", "--workers", "1", "--no-color"],
            capture_output=True, text=True, cwd=folder, env={**os.environ, "COLUMNS": "200"})
    summary = [line.strip() for line in run.stdout.splitlines()
               if re.search("generated,|Tested:|operations returned only|repeatedly returned", line)]
    print("contract: " + "; ".join(summary))
    tail = "\n".join(run.stdout.splitlines()[-400:])
    check("schemathesis finds nothing", run.returncode == 0, tail + run.stderr[-2000:])
