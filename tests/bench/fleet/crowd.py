"""The processes of a fleet on one machine: gateways, the load generators that have their clients,
and the one that asks the gateways all the time how they are."""

import dataclasses
import json
import os
import pathlib
import queue
import subprocess
import threading
import time
import urllib.request

from shared import gateway as measured
from shared.machine import tail, wait_for

LOOK_SECONDS = 0.2  # between two looks at how far it is
STOP_SECONDS = 30
PUBLISH_SECONDS = 60


@dataclasses.dataclass
class Setting:
    """What all processes of a run have in common."""
    machine: object
    build: pathlib.Path
    redis: object
    port: int  # of all gateways, each on an address of its own
    ops_port: int
    most: int  # clients of one gateway
    drain_ms: int


class Gateway:
    def __init__(self, number):
        self.host = f"127.2.{number // 250}.{number % 250 + 1}"
        self.process = None
        self.leaving = False

    def start(self, setting):
        environment = measured.environment(setting.port, setting.redis.port, setting.most, [
            f"HOST={self.host}", f"OPS_HOST={self.host}", f"OPS_PORT={setting.ops_port}",
            f"DRAIN_WINDOW={setting.drain_ms}"])
        self.process = setting.machine.start(
            f"gateway-{self.host}", [setting.build / measured.PROGRAM], None, environment)

    def wait_until_ready(self, setting):
        url = f"http://{self.host}:{setting.ops_port}/readyz"
        wait_for(lambda: _is_ready(url), self.process, self.host)

    def serves(self):
        """Unless it was not started or told to leave; fails where it ended all the same."""
        if self.process is None or self.leaving:
            return False
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.host} ended with {self.process.returncode}")
        return True

    def leave(self):
        self.leaving = True
        self.process.terminate()

    def wait_until_gone(self):
        """True where it ended by itself, and well."""
        try:
            return self.process.wait(STOP_SECONDS) == 0
        except subprocess.TimeoutExpired:
            return False


def _is_ready(url):
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return response.status == 200
    except OSError:
        return False


class Generator:
    """The clients of one gateway, of which the first `members` are to be in the market."""

    def __init__(self, gateway, clients, members, first_user):
        self.gateway, self.clients, self.members = gateway, clients, members
        self.first_user = first_user
        self.process = self.log = self.last = None
        self.lines = queue.Queue()  # of JSON as they come; None at the end

    def start(self, setting, works, next_host):
        name = f"load-{self.gateway.host}"
        self.log = setting.machine.directory / f"{name}.log"
        self.process = setting.machine.converse(name, [
            setting.build / "tests/bench/load", "--host", self.gateway.host,
            "--next-host", next_host, "--port", str(setting.port),
            "--redis-port", str(setting.redis.port), "--secret", measured.SECRET, "--recovery",
            "--clients", str(self.clients), "--first-user", str(self.first_user),
            "--patience", "120", *works], idle=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def next_line(self, end, what, look):
        """The next line, looking around while it does not come."""
        while True:
            try:
                line = self.lines.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                look()
                if time.monotonic() > end:
                    raise RuntimeError(f"{what} took too long at {self.gateway.host}") from None
                continue
            if line is None or line["work"] != what:
                raise RuntimeError(f"{what} failed at {self.gateway.host}: {json.dumps(self.last)}"
                                   f"\n{tail(self.log, 3)}")
            self.last = line
            return line


def gather(generators, what, seconds, look=lambda: None):
    """The next line of each generator, which are of one work."""
    end = time.monotonic() + seconds
    return [generator.next_line(end, what, look) for generator in generators]


def total(lines, name):
    return sum(line[name] for line in lines)


class Asker:
    """Asks all gateways, in a process of its own: health/health.c."""

    def __init__(self, setting):
        self.ops_port = setting.ops_port
        self.process = setting.machine.converse("health", [setting.build / "tests/bench/health"])

    def _say(self, command):
        self.process.stdin.write(command + "\n")

    def _ask(self, command):
        self._say(command)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("tests/bench/health ended")
        return json.loads(answer)

    def add(self, gateway):
        self._say(f"add {gateway.host}:{self.ops_port}")

    def drop(self, gateway):
        self._say(f"drop {gateway.host}:{self.ops_port}")

    def take(self):
        return self._ask("take")

    def sessions(self):
        return self._ask("sessions")["sessions"]


def publish(setting, *arguments):
    """By the command, as anybody would. Returns when it was called."""
    environment = {"PATH": os.environ.get("PATH", ""), "REDIS_PORT": str(setting.redis.port)}
    begin = time.monotonic()
    subprocess.run([setting.build / "publisher/guesslyfe-publish", *arguments], check=True,
                   env=environment, stdout=subprocess.DEVNULL, timeout=PUBLISH_SECONDS)
    return begin


def announce(setting, number):
    return publish(setting, "system:announcement", "--id", str(number), "--title", "Hello",
                   "--message", "To all of you", "--priority", "high")


def trade(setting, number):
    """Number `number` in market:1, as the load generator expects it; the trader is no client."""
    return publish(setting, "market:trade", "--market-id", "1", "--trade-id", f"{number:010}",
                   "--trader", "0xffffffffffffffffffffffffffffffffffffffff", "--direction", "buy",
                   "--outcome", "1", "--amount", "9", "--shares", "9", "--price", "65",
                   "--new-yes-price", "65", "--new-no-price", "35")
