"""A CA of a test's own, what it signed for a server and a client, and a CA that signed neither."""
import subprocess
from pathlib import Path

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class Certificates:
    """The server's is for "redis.test" and 127.0.0.1."""

    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("ca", "other-ca"):
            self._openssl("req", "-x509", *KEY, "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
                          "-out", f"{name}.crt")
        self.renew("server")
        self._leaf("client", "extendedKeyUsage=clientAuth")

    def renew(self, name: str) -> None:
        """Another certificate for a server, with another key, in the place of the one before."""
        self._leaf(name, "subjectAltName=DNS:redis.test,IP:127.0.0.1")

    def _leaf(self, name: str, extension: str) -> None:
        (self.directory / f"{name}.ext").write_text(extension)
        self._openssl("req", *KEY, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self._openssl("x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                      "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.crt")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

    def path(self, name: str) -> str:
        return str(self.directory / name)

    def server_options(self) -> list[str]:
        """Flags of redis-server, which are a sentinel's settings too."""
        return ["--tls-cert-file", self.path("server.crt"), "--tls-key-file", self.path("server.key"),
                "--tls-ca-cert-file", self.path("ca.crt"), "--tls-auth-clients", "yes", "--tls-replication", "yes"]

    def client_settings(self) -> dict:
        """For redis.Redis."""
        return {"ssl": True, "ssl_ca_certs": self.path("ca.crt"), "ssl_certfile": self.path("client.crt"),
                "ssl_keyfile": self.path("client.key")}

    def gateway_settings(self) -> dict:
        """Of a gateway whose clients speak TLS."""
        return {"TLS_CERTIFICATE": self.path("server.crt"), "TLS_KEY": self.path("server.key")}

    def settings(self) -> dict:
        """Of our programs."""
        return {"REDIS_TLS": "true", "REDIS_TLS_CA": self.path("ca.crt"),
                "REDIS_TLS_CERT": self.path("client.crt"), "REDIS_TLS_KEY": self.path("client.key")}
