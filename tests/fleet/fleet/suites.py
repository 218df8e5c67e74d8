"""The protocol's conformance suite, with three servers behind the proxy where it thinks of one."""
import os
import re
import subprocess
import sys
from pathlib import Path

from fleet.scenarios import scenario
from fleet.show import Show

TESTS = Path(__file__).resolve().parents[2]
SUITE = TESTS / "conformance"
TIMEOUT = 500

# What a proxy answers for, because it passes on whole requests only, and keeps its own connections.
ABOUT_ONE_CONNECTION = (
    "test_a_second_post_ends_the_session", "test_a_second_post_ends_the_session_before_its_body_has_come",
    "test_a_post_that_failed_makes_room_for_another", "test_one_post_after_another_in_pieces",
    "test_a_body_that_nobody_wants_is_not_waited_for", "test_a_long_head_is_refused", "test_refused_websockets_end",
)
# What each server counts for itself.
ABOUT_ONE_SERVER = ("test_one_session_too_many_is_told_to_wait",
                    "test_places_that_nobody_connected_on_go_to_newcomers")


def count(word: str, line: str) -> int:
    found = re.search(rf"(\d+) {word}", line)
    return int(found[1]) if found else 0


@scenario("suites")
def suites(show: Show) -> None:
    """The conformance suite of tests/conformance, through the proxy onto three echo servers that share sessions."""
    show.directory.mkdir(parents=True, exist_ok=True)
    names = [*ABOUT_ONE_CONNECTION, *ABOUT_ONE_SERVER]
    chosen = " and ".join(f"not {name}" for name in names)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "fleet.echo", "--tb=short",
               SUITE, "-k", chosen]
    if not show.full:  # the noise takes its time, and is the same for every way in
        command += ["--ignore", SUITE / "test_noise.py", "--ignore", SUITE / "test_websocket.py"]
    paths = [TESTS / "fleet", TESTS / "faults", TESTS / "integration", SUITE]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1",
                                "FLEET_PROXY": show.wishes.proxy, "FLEET_SCRATCH": str(show.directory)}
    with open(show.directory / "pytest.log", "wb") as log:
        status = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                                stderr=subprocess.STDOUT, timeout=TIMEOUT).returncode
    lines = (show.directory / "pytest.log").read_text(errors="replace").splitlines()
    failed = [line.split(" ")[1] for line in lines if line.startswith(("FAILED", "ERROR "))]
    last = lines[-1] if lines else ""
    show.promise("tests passed", count("passed", last), count("passed", last) > 100, "hardly any")
    show.promise("tests failed", count("failed", last) + count("error", last), status == 0, f"see {log.name}")
    show.tell("tests left out", f"{count('deselected', last)}: about one connection or one server")
    for name in failed[:10]:
        show.tell("failed", name.split("::")[-1])
