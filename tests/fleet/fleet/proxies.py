"""The proxies before a fleet: ours, and nginx as most people would set it up. Both give each request to the next gateway."""
import json
import os
import shutil
import signal
import socket
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from harness.gateway import BUILD_DIR, SANITIZER_REPORTS
from harness.wait import free_port, until

PROGRAM = BUILD_DIR / "tests/fleet/proxy/proxy"
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/sbin")


@dataclass
class Counts:
    requests: Counter  # port → how many it was sent
    tunnels: Counter  # port → WebSockets; of nginx, those that are over
    tried_again: int  # requests that a second gateway got


class Proxy:
    """Listens on 127.0.0.1, on a free port where none is given, before gateways on `ports`, which point() changes."""

    def __init__(self, directory: Path, ports: list[int], port: int = 0):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.log = directory, directory / "proxy.log"
        self.port = port or free_port()
        self.start(ports)
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """It must still be there, and end well."""
        alive = self.process.poll() is None
        self.process.terminate()
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        report = self.log.read_text(errors="replace")
        assert alive and status == 0, f"the proxy ended with {status}: {report[-2000:]}"
        assert not any(sign in report for sign in SANITIZER_REPORTS), report


class Ours(Proxy):
    name = "ours"

    def start(self, ports: list[int]) -> None:
        self._list(ports)
        with open(self.log, "wb") as errors:
            self.process = subprocess.Popen([PROGRAM, self.directory / "gateways", str(self.port)],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        assert self.process.stdout.readline() == f"listening on port {self.port}\n".encode(), self.log.read_text()

    def _list(self, ports: list[int]) -> None:
        (self.directory / "gateways").write_text("".join(f"127.0.0.1:{port}\n" for port in ports))

    def point(self, ports: list[int]) -> None:
        self._list(ports)
        self.process.send_signal(signal.SIGHUP)
        said = self.process.stdout.readline()
        assert said == f"{len(ports)} servers\n".encode(), (said, self.log.read_text())

    def counts(self) -> Counts:
        self.process.send_signal(signal.SIGUSR1)
        servers = {int(name.rsplit(":")[1]): one for name, one in json.loads(self.process.stdout.readline()).items()}
        return Counts(Counter({port: one["requests"] for port, one in servers.items()}),
                      Counter({port: one["tunnels"] for port, one in servers.items()}),
                      sum(one["refused"] + one["cut"] for one in servers.values()))


NGINX_CONF = """
{user}
daemon off; worker_processes 1; worker_rlimit_nofile {files};
pid {scratch}/pid; error_log {scratch}/proxy.log error;
events {{ worker_connections {files}; }}
http {{
    log_format gateways '$status $upstream_addr';
    access_log {scratch}/requests.log gateways;
    client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/kept; fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi; scgi_temp_path {scratch}/scgi;
    include {scratch}/gateways.conf;
    map $http_upgrade $connection_header {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://gateways;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_header;
            proxy_read_timeout 120s;
            proxy_send_timeout 120s;
            proxy_buffering off;
            client_max_body_size 4m;
            keepalive_timeout 120s;
            keepalive_requests 100000;
        }}
    }}
}}
"""


class Nginx(Proxy):
    """Round-robin is what it does where nothing else is said; a gateway that refuses is left alone for a second."""

    name = "nginx"

    def start(self, ports: list[int]) -> None:
        self._list(ports)
        user = "user root;" if os.geteuid() == 0 else ""  # the files are root's then
        (self.directory / "nginx.conf").write_text(
            NGINX_CONF.format(scratch=self.directory, port=self.port, user=user, files=20000))
        command = [NGINX, "-p", self.directory, "-e", self.log, "-c", self.directory / "nginx.conf"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        until(self._listens, f"nginx listens; see {self.log}")

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _list(self, ports: list[int]) -> None:
        servers = "".join(f"    server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;\n" for port in ports)
        (self.directory / "gateways.conf").write_text(
            f"upstream gateways {{\n    zone gateways 1m;\n{servers}    keepalive 256;\n    keepalive_timeout 30s;\n}}\n")

    def point(self, ports: list[int]) -> None:
        """Its old worker serves the connections that it has until they end."""
        self._list(ports)
        self.process.send_signal(signal.SIGHUP)

    def counts(self) -> Counts:
        requests, tunnels, again = Counter(), Counter(), 0
        for line in (self.directory / "requests.log").read_text().splitlines():
            status, *tried = line.replace(",", "").split(" ")
            ports = [int(one.rsplit(":")[1]) for one in tried if ":" in one]
            requests.update(ports)
            tunnels.update(ports[-1:] if status == "101" else [])
            again += len(ports) > 1
        return Counts(requests, tunnels, again)


ALL = {one.name: one for one in (Ours, Nginx)}


def missing(name: str) -> str | None:
    if name == "nginx" and not NGINX:
        return "nginx is not installed (deploy/install-dependencies test)"
    if name == "ours" and not PROGRAM.exists():
        return f"{PROGRAM} is not built"
    return None
