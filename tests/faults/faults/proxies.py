"""The proxy's process, seen from the campaign."""
import json
import subprocess
import sys
import threading
from pathlib import Path

PROXY = Path(__file__).with_name("proxy.py")


class Route:
    """One port of the proxy; what a fault does to it is told in proxy.py."""

    def __init__(self, proxies: "Proxies", name: str, targets: list[tuple[str, int]]):
        self.proxies, self.name = proxies, name
        self.port = self._do("open", targets=targets)["port"]
        self.host, self.url = "127.0.0.1", f"http://127.0.0.1:{self.port}"

    def _do(self, do: str, **arguments) -> dict:
        return self.proxies.ask({"do": do, "route": self.name, **arguments})

    def targets(self, targets: list[tuple[str, int]]) -> None:
        """For connections to come."""
        self._do("targets", targets=targets)

    def cut(self, how: str = "rst", share: float = 1.0) -> int:
        return self._do("cut", how=how, share=share)["cut"]

    def stall(self) -> None:
        self._do("stall")

    def swallow(self, way: str = "both") -> None:
        self._do("swallow", **{"with": way})

    def delay(self, milliseconds: int) -> None:
        self._do("delay", **{"with": milliseconds})

    def refuse(self) -> None:
        self._do("refuse", **{"with": True})

    def trap(self, step: str) -> None:
        self._do("trap", **{"with": step})

    def trapped(self) -> bool:
        return self._do("trapped")["trapped"]

    def heal(self) -> None:
        self._do("heal")

    def count(self) -> int:
        return self._do("count")["count"]


class Proxies:
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, PROXY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lock = threading.Lock()
        self.number = 0

    def ask(self, command: dict) -> dict:
        with self.lock:
            self.number += 1
            self.process.stdin.write(json.dumps({"id": self.number} | command).encode() + b"\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        assert line, "the proxy ended"
        return json.loads(line)

    def open(self, name: str, targets: list[tuple[str, int]]) -> Route:
        return Route(self, name, targets)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)
