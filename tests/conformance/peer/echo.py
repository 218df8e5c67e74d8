"""One echo server as a process."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("BUILD_DIR", ROOT / "build"))
PROGRAM = Path(os.environ.get("ECHO_SERVER", BUILD / "tests/conformance/echo_server"))


class EchoServer:
    def __init__(self, log: Path, *flags: str):
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [PROGRAM, "--port", "0", *flags], stdout=subprocess.PIPE, stderr=errors
            )
        said = self.process.stdout.readline().decode()
        found = re.fullmatch(r"listening on (\S+):(\d+)\n", said)
        assert found, f"{said!r}\n{log.read_text(errors='replace')}"
        self.address = (found[1], int(found[2]))

    def stop(self) -> None:
        """Ends it by its own process; a leak or a sanitizer's report is a failure."""
        alive = self.process.poll() is None
        if alive:
            self.process.terminate()
        self.process.stdout.close()
        code = self.process.wait(timeout=20)
        report = self.log.read_text(errors="replace")
        assert alive, f"it ended by itself with {code}\n{report}"
        assert code == 0, f"it ended with {code}\n{report}"
