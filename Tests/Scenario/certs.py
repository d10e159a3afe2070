"""Certificates made by the openssl command, once for all tests of a run."""

import pathlib
import shutil
import subprocess
import tempfile


class Authority:
    """A certificate authority in a directory of its own."""

    def __init__(self, name="Test Authority", parent=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="seaway-certs-"))
        self.parent = parent
        self.serial = 0
        self.certificate, self.key = self._issue(name, ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"], parent)

    def _run(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def _issue(self, name, extensions, signer):
        self.serial += 1
        stem = f"c{self.serial}"
        extension = self.folder / f"{stem}.ext"
        extension.write_text("\n".join(extensions) + "\n")
        self._run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{stem}.key")
        self._run("req", "-new", "-key", f"{stem}.key", "-subj", f"/CN={name}", "-out", f"{stem}.csr")
        sign = ["x509", "-req", "-in", f"{stem}.csr", "-days", "30", "-extfile", str(extension), "-out", f"{stem}.pem"]
        if signer is None:
            self._run(*sign, "-signkey", f"{stem}.key")
        else:
            self._run(*sign, "-CA", str(signer.certificate), "-CAkey", str(signer.key), "-CAcreateserial")
        return self.folder / f"{stem}.pem", self.folder / f"{stem}.key"

    def issue(self, name, *alternatives):
        """A leaf for these names (`DNS:x`, `IP:y`): the paths of certificate and key."""
        extensions = ["basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth,clientAuth"]
        names = alternatives or (f"DNS:{name}",)
        return self._issue(name, extensions + ["subjectAltName=" + ",".join(names)], self)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
