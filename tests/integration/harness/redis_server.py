"""A real Redis of a test's own."""
import signal
import subprocess
from pathlib import Path

import redis

from harness.certificates import Certificates
from harness.wait import free_port, until


class RedisServer:
    """
    redis-server on a free port; what it holds survives stop() and start() unless start(fresh=True). With
    certificates it speaks TLS alone, and wants one of its clients; login is how the test itself gets in.
    """

    host = "127.0.0.1"

    def __init__(self, directory: Path, *options: str, certificates: Certificates | None = None, **login):
        self.directory = directory
        self.certificates, self.login = certificates, login
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
        listen = ["--port", str(self.port)]
        if self.certificates:
            listen = ["--port", "0", "--tls-port", str(self.port), *self.certificates.server_options()]
        command = ["redis-server", "--bind", self.host, *listen,
                   "--dir", str(self.directory), "--save", "", "--appendonly", "yes",
                   "--shutdown-timeout", "0",  # not waiting for replicas that may be gone
                   "--repl-diskless-sync-delay", "0", "--logfile", str(self.directory / "redis.log"), *self.options]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        self.client = self.connect(**self.login)
        until(self._answers, f"redis-server answers on port {self.port}")

    def connect(self, **login) -> redis.Redis:
        tls = self.certificates.client_settings() if self.certificates else {}
        return redis.Redis(self.host, self.port, socket_timeout=10, **tls, **login)

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
        until(self._ended_by_sigterm, "redis-server ends")
        self.process = None

    def _ended_by_sigterm(self) -> bool:
        """A replica that has just been synchronized refuses to end until its first AOF is written: ask again."""
        self.process.terminate()
        try:
            self.process.wait(1)
        except subprocess.TimeoutExpired:
            return False
        return True

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

    def follow(self, primary: "RedisServer") -> None:
        """Makes it a replica, and waits until it takes part: it is told of writes once it has confirmed catching up."""
        others = len(primary.command("ROLE")[2])
        self.command("REPLICAOF", primary.host, primary.port)
        until(lambda: len(primary.command("ROLE")[2]) == others + 1, "the replica has caught up")
        primary.command("PUBLISH", "harness", "a write that leaves no key")
        assert primary.command("WAIT", others + 1, 8000) == others + 1

    def subscribers(self, channel: str) -> int:
        return self.command("PUBSUB", "NUMSUB", channel)[1]
