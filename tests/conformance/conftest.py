import pytest
from peer.client import connect
from peer.echo import PROGRAM, EchoServer
from peer.engine import INTERVAL, PATIENCE, TRANSPORTS

# So long that no heartbeat falls into a test that is not about heartbeats.
CALM = ("--ping-interval", "25000", "--ping-timeout", "20000", "--connect-timeout", "20000")


def pytest_sessionstart():
    if not PROGRAM.exists():
        pytest.exit(f"{PROGRAM} is not built", 3)


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """Starts echo servers; all are stopped at the end, and have to end well."""
    started = []

    def start_one(*flags: str) -> EchoServer:
        log = tmp_path_factory.mktemp("echo") / "log"
        started.append(EchoServer(log, *flags))
        return started[-1]

    yield start_one
    problems = []
    for server in started:
        try:
            server.stop()
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, "\n".join(problems)


@pytest.fixture(scope="session")
def engine(start):
    """Echoes Engine.IO messages; no heartbeat within a test's time."""
    return start("--engine", *CALM)


@pytest.fixture(scope="session")
def quick(start):
    """The same with quick heartbeats."""
    interval, patience = (str(int(seconds * 1000)) for seconds in (INTERVAL, PATIENCE))
    return start("--engine", "--ping-interval", interval, "--ping-timeout", patience)


@pytest.fixture(scope="session")
def server(start):
    """Echoes Socket.IO events; no heartbeat and no missing CONNECT within a test's time."""
    return start(*CALM)


@pytest.fixture(scope="session")
def hasty(start):
    """The same with 400 ms for CONNECT."""
    return start(*CALM[:4], "--connect-timeout", "400")


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    """A session's class, once for each transport."""
    return TRANSPORTS[request.param]


@pytest.fixture
def fresh(server, transport):
    """A session without a socket."""
    return transport(server)


@pytest.fixture
def client(fresh):
    """A session with a socket in the main namespace."""
    connect(fresh)
    return fresh
