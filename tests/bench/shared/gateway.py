"""The gateway as it is measured: its program, its settings, and what it says of itself."""

import os
import pathlib
import urllib.request

from shared.machine import free_port

PROGRAM = "gateway/guesslyfe-gateway"  # in Meson's build directory
SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "common/bus/publish.lua"
SECRET = "benchmark-secret-of-at-least-32-bytes"


def environment(port, redis_port, clients, settings):
    """One for all servers: others read some of the gateway's settings."""
    result = {
        "PATH": os.environ.get("PATH", ""),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "OPS_HOST": "127.0.0.1",
        "OPS_PORT": str(free_port()),
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis_port),
        "JWT_SECRET": SECRET,
        "MAX_CONNECTIONS": str(clients + 100),
        "HANDSHAKE_RATE": "0",
        "TOKEN_CACHE": "0",  # no token comes twice, and the memory is to be the clients'
        "DRAIN_DELAY": "0",
        "DRAIN_WINDOW": "0",
    }
    result.update(setting.split("=", 1) for setting in settings)
    return result


def longest_turn(ops_port):
    """What it says of its loop: (longest turn in ms, turns of 20 ms or more)."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ops_port}/metrics", timeout=5) as response:
        lines = dict(line.rsplit(" ", 1) for line in response.read().decode().splitlines()
                     if not line.startswith("#"))
    return (float(lines["guesslyfe_gateway_loop_longest_turn_seconds"]) * 1000,
            int(lines["guesslyfe_gateway_loop_long_turns_total"]))
