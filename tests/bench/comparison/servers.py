"""The servers that are measured side by side, and how to have those that others made."""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys

from shared import gateway

PEERS = pathlib.Path(__file__).resolve().parents[1] / "peers"
BUILD_SECONDS = 1800


class NotHere(Exception):
    """A program cannot be had on this machine; says why."""


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
    is_peer: bool = False  # others made it: what it does not get through is no fault of ours
    prepare: callable = lambda: None  # raises NotHere


def _tool(name, why):
    if shutil.which(name) is None:
        raise NotHere(f"{name} is not installed ({why})")
    return name


def _build(command, directory):
    print(f"{' '.join(command)} in {directory.name}", file=sys.stderr, flush=True)
    try:
        done = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=BUILD_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise NotHere(f"{command[0]} took longer than {BUILD_SECONDS} s") from error
    if done.returncode != 0:
        raise NotHere(f"{' '.join(command[:2])}: {done.stdout.strip().splitlines()[-1]}")


def npm_has_installed(directory):
    """Whether all that the lock file names is there; what is optional may be for other machines."""
    try:
        locked, there = (json.loads((directory / name).read_text())["packages"]
                         for name in ("package-lock.json", "node_modules/.package-lock.json"))
    except FileNotFoundError:
        return False
    return all(there.get(name, {}).get("version") == package["version"]
               for name, package in locked.items() if name and not package.get("optional"))


def npm_packages():
    _tool("node", "Debian's nodejs")
    if npm_has_installed(PEERS):
        return
    folder = PEERS / "node_modules"
    if folder.is_symlink():
        raise NotHere(f"{folder} leads to {folder.resolve()}, which holds other packages, and npm "
                      "would empty it for all who use it: run npm ci there, or remove the link")
    _build([_tool("npm", "Debian's npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
           PEERS)


def _bun():
    """The program comes in a package for each kind of machine; the first that runs is it."""
    for program in sorted(PEERS.glob("node_modules/@oven/bun-*/bin/bun")):
        if subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0:
            return program
    raise NotHere("npm has no Bun that runs on this machine")


def _prepare_bun():
    npm_packages()
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


SERVERS = [
    Server("gateway", "gateway", lambda build, *_: [build / gateway.PROGRAM],
           options=("--script", str(gateway.SCRIPT)), polling=True, recovery=True, tls=True),
    Server("floor-1", "floor: one `send` a delivery", _floor(1), is_floor=True),
    Server("floor-16", "floor: 16 messages a `send`", _floor(16), is_floor=True),
    Server("bun", "Bun (uWebSockets)", lambda *_: [_bun(), PEERS / "bun.mjs"], tls=True,
           is_peer=True, prepare=_prepare_bun),
    Server("socketioxide", "socketioxide", lambda *_: [OXIDE], polling=True, is_peer=True,
           prepare=_prepare_socketioxide),
    Server("socket.io", "Socket.IO on Node", lambda *_: ["node", PEERS / "socketio.mjs"],
           options=("--socketio",), polling=True, tls=True, is_peer=True,
           prepare=npm_packages),
]
BY_NAME = {server.name: server for server in SERVERS}


def certificate(directory):
    """Makes one of ECDSA P-256, as most servers have today; the settings that name its files."""
    files = {"TLS_CERTIFICATE": directory / "server.crt", "TLS_KEY": directory / "server.key"}
    subprocess.run([_tool("openssl", "Debian's openssl"), "req", "-x509", "-newkey", "ec",
                    "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=bench", "-keyout", files["TLS_KEY"],
                    "-out", files["TLS_CERTIFICATE"]], check=True, capture_output=True)
    return [f"{name}={path}" for name, path in files.items()]


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
