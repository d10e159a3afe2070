"""Certificates for tests, made by openssl and kept for the length of the run."""

import functools
import pathlib
import subprocess
import tempfile


@functools.cache
def pair(name: str, ca: bool = False) -> tuple[str, str]:
    """PEM certificate and key."""
    with tempfile.TemporaryDirectory() as folder:
        key, cert = pathlib.Path(folder) / "key.pem", pathlib.Path(folder) / "cert.pem"
        extension = f"basicConstraints=critical,CA:{str(ca).upper()}"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", f"/CN={name}", "-addext", extension],
            check=True, capture_output=True)
        return cert.read_text(), key.read_text()
