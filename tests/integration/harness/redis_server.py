"""A real Redis of a test's own."""
import signal
import subprocess
from pathlib import Path

import redis

from harness.wait import free_port, until


class RedisServer:
    """redis-server on a free port; what it holds survives stop() and start() unless start(fresh=True)."""

    host = "127.0.0.1"

    def __init__(self, directory: Path, *options: str):
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.options = options
        self.process = None
        self.start()

    def start(self, fresh: bool = False) -> None:
        assert self.process is None
        if fresh:
            for path in self.directory.rglob("*.aof*"):
                path.unlink()
        command = ["redis-server", "--bind", self.host, "--port", str(self.port),
                   "--dir", str(self.directory), "--save", "", "--appendonly", "yes",
                   "--logfile", str(self.directory / "redis.log"), *self.options]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        self.client = redis.Redis(self.host, self.port, socket_timeout=10)
        until(self._answers, f"redis-server answers on port {self.port}")

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.directory / "redis.log").read_text()
        try:
            return self.client.ping()
        except redis.RedisError:
            return False

    def stop(self) -> None:
        if self.process is None:
            return
        self.client.close()
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(10)
        self.process = None

    def kill(self) -> None:
        """SIGKILL, like a machine that dies."""
        self.client.close()
        self.process.kill()
        self.process.wait(10)
        self.process = None

    def pause(self) -> None:
        """It keeps its connections and answers nothing: the worst kind of outage."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def command(self, *args):
        return self.client.execute_command(*args)

    def subscribers(self, channel: str) -> int:
        return self.command("PUBSUB", "NUMSUB", channel)[1]
