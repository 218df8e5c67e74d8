"""The servers that are measured side by side, and how to have those that others made."""

import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import urllib.request

from machine import free_port

HERE = pathlib.Path(__file__).resolve().parent
PEERS = HERE / "peers"
SECRET = "benchmark-secret-of-at-least-32-bytes"
BUILD_SECONDS = 1800


class NotHere(Exception):
    """A server cannot be had on this machine; says why."""


@dataclasses.dataclass
class Server:
    name: str
    title: str
    command: callable  # (build directory, port, Redis' port) -> list
    options: tuple = ()  # for the load generator
    polling: bool = False
    tls: bool = False
    recovery: bool = False
    is_floor: bool = False
    prepare: callable = lambda: None  # raises NotHere


def _tool(name, why):
    if shutil.which(name) is None:
        raise NotHere(f"{name} is not installed ({why})")
    return name


def _build(command, directory):
    print(f"{' '.join(command)} in {directory.relative_to(HERE)}", file=sys.stderr, flush=True)
    try:
        done = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=BUILD_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise NotHere(f"{command[0]} took longer than {BUILD_SECONDS} s") from error
    if done.returncode != 0:
        raise NotHere(f"{' '.join(command[:2])}: {done.stdout.strip().splitlines()[-1]}")


def _npm_packages():
    _tool("node", "Debian's nodejs")
    locked, installed = PEERS / "package-lock.json", PEERS / "node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < locked.stat().st_mtime:
        _build([_tool("npm", "Debian's npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
               PEERS)


def _bun():
    """The program comes in a package for each kind of machine; the first that runs is it."""
    for program in sorted(PEERS.glob("node_modules/@oven/bun-*/bin/bun")):
        if subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0:
            return program
    raise NotHere("npm has no Bun that runs on this machine")


def _prepare_bun():
    _npm_packages()
    _bun()


OXIDE = PEERS / "socketioxide/target/release/guesslyfe-bench-socketioxide"


def _prepare_socketioxide():
    _build([_tool("cargo", "Rust 1.94 or later"), "build", "--release", "--locked"],
           PEERS / "socketioxide")


def _floor(batch):
    def command(build, port, redis_port):
        return [build / "tests/bench/floor", "--port", str(port), "--redis-port", str(redis_port),
                "--batch", str(batch)]
    return command


SCRIPT = HERE.parents[1] / "common/bus/publish.lua"

SERVERS = [
    Server("gateway", "gateway", lambda build, *_: [build / "gateway/guesslyfe-gateway"],
           options=("--script", str(SCRIPT)), polling=True, recovery=True, tls=True),
    Server("floor-1", "floor: one `send` a delivery", _floor(1), is_floor=True),
    Server("floor-16", "floor: 16 messages a `send`", _floor(16), is_floor=True),
    Server("bun", "Bun (uWebSockets)", lambda *_: [_bun(), PEERS / "bun.mjs"], tls=True,
           prepare=_prepare_bun),
    Server("socketioxide", "socketioxide", lambda *_: [OXIDE], polling=True,
           prepare=_prepare_socketioxide),
    Server("socket.io", "Socket.IO on Node", lambda *_: ["node", PEERS / "socketio.mjs"],
           options=("--socketio",), polling=True, tls=True, prepare=_npm_packages),
]
BY_NAME = {server.name: server for server in SERVERS}


def environment(port, redis_port, clients, rooms, settings):
    """One for all: the gateway's settings, of which the others read some."""
    result = {
        "PATH": os.environ.get("PATH", ""),
        "PORT": str(port),
        "OPS_PORT": str(free_port()),
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis_port),
        "JWT_SECRET": SECRET,
        "ROOMS": str(rooms),  # for servers that have to name the channels beforehand
        "MAX_CONNECTIONS": str(clients + 100),
        "HANDSHAKE_RATE": "0",
        "TOKEN_CACHE": "0",  # no token comes twice, and the memory is to be the clients'
        "DRAIN_DELAY": "0",
        "DRAIN_WINDOW": "0",
        "NODE_ENV": "production",
    }
    result.update(setting.split("=", 1) for setting in settings)
    return result


def certificate(directory):
    """Of ECDSA P-256, as most servers have today; the settings that name its files."""
    files = {"TLS_CERTIFICATE": directory / "server.crt", "TLS_KEY": directory / "server.key"}
    if not files["TLS_KEY"].exists():
        subprocess.run([_tool("openssl", "Debian's openssl"), "req", "-x509", "-newkey", "ec",
                        "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=bench", "-keyout", files["TLS_KEY"],
                        "-out", files["TLS_CERTIFICATE"]], check=True, capture_output=True)
    return [f"{name}={path}" for name, path in files.items()]


def longest_turn(ops_port):
    """What the gateway says of its loop: (longest turn in ms, turns of 20 ms or more)."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ops_port}/metrics", timeout=5) as response:
        lines = dict(line.rsplit(" ", 1) for line in response.read().decode().splitlines()
                     if not line.startswith("#"))
    return (float(lines["guesslyfe_gateway_loop_longest_turn_seconds"]) * 1000,
            int(lines["guesslyfe_gateway_loop_long_turns_total"]))


def versions():
    """What was measured, as the programs say themselves."""
    def said(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True,
                                  timeout=20).stdout.strip().splitlines()[0]
        except (OSError, subprocess.SubprocessError, IndexError):
            return None
    try:
        bun = said(_bun(), "--version")
    except NotHere:
        bun = None
    return {"redis": said("redis-server", "--version"), "node": said("node", "--version"),
            "bun": bun, "rust": said("rustc", "--version")}
