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
    "test_an_upgrade_of_a_websocket_session_is_refused",
)
# What each server counts for itself.
ABOUT_ONE_SERVER = ("test_one_session_too_many_is_told_to_wait",
                    "test_places_that_nobody_connected_on_go_to_newcomers")


# A session that went to another gateway is known to its first one for a while: a late poll is told "wrong transport".
ABOUT_THE_END = ("test_the_end_of_the_websocket_is_the_end_of_the_session",)

# The public suites know one address and one set of times: those that the echo server has by itself.
PUBLIC_PORT = 3000
PUBLIC = {"engine.io-protocol": ("--engine", "--path", "/engine.io/"), "socket.io-protocol": ()}
# Their tests that one server alone does not pass either: they lose the second of two frames that come at once. And one
# that counts on the order of two requests at once, which different servers do not keep.
PUBLIC_LEFT_OUT = ("should allow connection to", "should disconnect from the main", "should connect then disconnect",
                   "HTTP long-polling (should )?forcefully close")


def count(word: str, line: str) -> int:
    found = re.search(rf"(\d+) {word}", line)
    return int(found[1]) if found else 0


def run(command: list, log: Path, **more) -> tuple[int, list[str]]:
    """Its exit code and what it said."""
    with open(log, "wb") as out:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                timeout=TIMEOUT, **more).returncode
    return status, log.read_text(errors="replace").splitlines()


def our_suite(show: Show) -> None:
    names = [*ABOUT_ONE_CONNECTION, *ABOUT_ONE_SERVER, *ABOUT_THE_END]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "fleet.echo", "--tb=short",
               SUITE, "-k", " and ".join(f"not {name}" for name in names)]
    if not show.full:  # the noise takes its time, and a WebSocket is a tunnel
        command += ["--ignore", SUITE / "test_noise.py", "--ignore", SUITE / "test_websocket.py"]
    paths = [TESTS / "fleet", TESTS / "faults", TESTS / "integration", SUITE]
    environment = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1",
                   "FLEET_PROXY": show.wishes.proxy, "FLEET_SCRATCH": str(show.directory)}
    log = show.directory / "pytest.log"
    status, lines = run(command, log, env=os.environ | environment)
    last = lines[-1] if lines else ""
    show.promise("tests passed", count("passed", last), count("passed", last) > 100, "hardly any")
    show.promise("tests failed", count("failed", last) + count("error", last), status == 0, f"see {log}")
    show.tell("tests left out", count("deselected", last))
    for line in [line for line in lines if line.startswith(("FAILED", "ERROR "))][:10]:
        show.tell("failed", line.split(" ")[1].split("::")[-1])


def public_suite(show: Show, name: str, flags: tuple[str, ...]) -> None:
    sys.path.append(str(SUITE))
    os.environ |= {"FLEET_PROXY": show.wishes.proxy, "FLEET_SCRATCH": str(show.directory)}
    from fleet import echo
    log = show.directory / f"{name}.log"
    servers = echo.EchoFleet(log, *flags, port=PUBLIC_PORT)
    try:
        command = ["npx", "mocha", "test-suite.js", "--invert", "--grep", "|".join(PUBLIC_LEFT_OUT)]
        status, lines = run(command, log, cwd=show.wishes.public / name / "test-suite")
    finally:
        servers.stop()
        echo.pytest_unconfigure()
    text = "\n".join(lines)
    passed = count("passing", text)
    show.promise(f"{name} passed", passed, passed > 10, "hardly any")
    show.promise(f"{name} failed", count("failing", text), status == 0, f"see {log}")


@scenario("suites")
def suites(show: Show) -> None:
    """Protocol suites, through the proxy onto three echo servers that share sessions."""
    show.directory.mkdir(parents=True, exist_ok=True)
    our_suite(show)
    for name, flags in PUBLIC.items():
        if show.wishes.public:
            public_suite(show, name, flags)
        else:
            show.tell(name, "not run: no package holds it, see --public")
