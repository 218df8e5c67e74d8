"""Several workers behind one port, and the supervisor that keeps them."""
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness.clients import settle
from harness.gateway import GATEWAY, REPOSITORY, SECRET, environment
from harness.metrics import PREFIX
from harness.raw import Http
from harness.tokens import mint
from harness.wait import free_port, until

WEBSOCKET = ["websocket"]
# So many connections never all come to one of two workers.
MANY = 40


@pytest.fixture
def start_workers(start_gateway):
    """start_workers(2, PING_INTERVAL=300, …): a supervisor whose workers all are ready."""
    def start(count: int = 2, **settings):
        return start_gateway(WORKERS=count, **settings)
    return start


def pids(gateway) -> dict[int, int]:
    """The process of each worker, by its index, as the log has them."""
    return {int(worker): int(pid) for worker, pid in
            re.findall(r'msg="worker started" worker=(\d+) pid=(\d+)', gateway.log())}


def is_running(pid: int) -> bool:
    """A corpse that nobody has waited for is not."""
    try:
        return not re.search(r"^State:\s+[ZX]", Path(f"/proc/{pid}/status").read_text(), re.M)
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_gone(processes) -> None:
    until(lambda: not any(is_running(pid) for pid in processes), "no worker is left")


def kill_worker(gateway, worker: int) -> int:
    """SIGKILL; returns the process that comes after it, when that serves."""
    before = pids(gateway)[worker]
    os.kill(before, signal.SIGKILL)
    until(lambda: pids(gateway)[worker] != before, "another worker has come")
    return pids(gateway)[worker]


def connections(gateway) -> dict[int, float]:
    """Of each worker that answers."""
    return {worker: numbers["connections"] for worker, numbers in gateway.metrics().worker.items()
            if "connections" in numbers}


def connect_to_each(gateway, connect, at_least: int = 2) -> list:
    """Clients, until every worker has some of them."""
    clients = []
    while min(numbers["clients"] for numbers in gateway.metrics().worker.values()) < at_least:
        assert len(clients) < MANY
        clients.append(connect(gateway, mint("alice"), transports=WEBSOCKET))
    return clients


# One port


def test_connections_are_spread_over_the_workers(start_workers):
    gateway = start_workers()
    connected = [Http(gateway) for _ in range(MANY)]
    until(lambda: sum(connections(gateway).values()) == MANY, "all connections were accepted")
    assert all(count > 0 for count in connections(gateway).values())
    assert connections(gateway).keys() == {0, 1}
    for http in connected:
        http.socket.close()


def test_a_port_of_ones_own(start_workers):
    port = free_port()
    gateway = start_workers(PORT=port)
    assert gateway.port == port
    with Http(gateway) as http:
        assert http.request("GET", "/socket.io/?EIO=4&transport=polling")[0] == 200


def test_events_reach_the_clients_of_all_workers(start_workers, connect, fresh, trade):
    gateway = start_workers()
    clients = connect_to_each(gateway, connect)
    for client in clients:
        assert client.subscribe("market", fresh.market)["success"]
    trade()
    for client in clients:
        client.wait_event("market:trade")
        settle(client)
        assert len(client.events("market:trade")) == 1


def run(**settings) -> subprocess.CompletedProcess:
    return subprocess.run([GATEWAY], env=environment(**({"JWT_SECRET": SECRET, "OPS_PORT": 0} | settings)),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_is_taken_is_said_once(start_workers, start_gateway, workers):
    """Also where whoever has it would share it."""
    gateway = start_workers() if workers == 2 else start_gateway()
    done = run(PORT=gateway.port, WORKERS=2)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f'why="cannot listen on * port {gateway.port}: Address already in use"' in done.stderr


def test_an_operations_port_that_is_taken_is_said_once(start_gateway):
    gateway = start_gateway()
    done = run(PORT=0, OPS_PORT=gateway.ops_port, WORKERS=2)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"port {gateway.ops_port}: Address already in use" in done.stderr


# How many


def test_auto_means_the_cpus_that_may_be_used(start_gateway):
    """As many as this process may use, which the gateway inherits; one needs no supervisor."""
    usable = os.sched_getaffinity(0)
    gateway = start_gateway(WORKERS="auto")
    if len(usable) > 1:
        assert f" workers={len(usable)}\n" in gateway.log()
    os.sched_setaffinity(0, {min(usable)})
    try:
        alone = start_gateway(WORKERS="auto")
    finally:
        os.sched_setaffinity(0, usable)
    assert "workers=" not in alone.log()
    assert alone.metrics()["clients"] == 0


def test_one_worker_has_no_supervisor(start_gateway):
    gateway = start_gateway(WORKERS=1)
    assert Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text() == ""
    assert gateway.health().keys() == {"status", "redis", "probeAgeMs", "sessions"}


@pytest.mark.parametrize("value", ["0", "129", "many"])
def test_wrong_numbers_are_refused(value):
    done = run(PORT=0, WORKERS=value)
    assert done.returncode == 2
    assert f'WORKERS (from the environment): "{value}" is refused; expected a number from 1 to 128, or auto' in done.stderr


# A worker ends


def test_a_killed_worker_takes_only_its_clients_with_it(start_workers, connect, fresh, trade):
    gateway = start_workers()
    clients = connect_to_each(gateway, connect)
    mine = int(gateway.metrics().worker[0]["clients"])
    for client in clients:
        assert client.subscribe("market", fresh.market)["success"]
    os.kill(pids(gateway)[0], signal.SIGKILL)
    until(lambda: sum(bool(client.all("disconnect")) for client in clients) == mine, "its clients have lost it")
    trade()
    others = [client for client in clients if not client.all("disconnect")]
    assert len(others) == len(clients) - mine > 0
    for client in others:
        client.wait_event("market:trade")
    gateway.wait_log('msg="worker ended" worker=0 pid=')
    assert "signal=SIGKILL" in gateway.log()


def test_a_killed_worker_comes_back_and_takes_connections(start_workers):
    gateway = start_workers()
    kill_worker(gateway, 0)
    gateway.wait_ready()
    connected = [Http(gateway) for _ in range(MANY)]
    until(lambda: sum(connections(gateway).values()) == MANY, "all connections were accepted")
    assert all(count > 0 for count in connections(gateway).values())
    metrics = gateway.metrics()
    assert metrics["workers"] == 2
    assert [metrics.worker[i]["worker_restarts_total"] for i in (0, 1)] == [1, 0]
    assert [metrics.worker[i]["worker_up"] for i in (0, 1)] == [1, 1]
    for http in connected:
        http.socket.close()


def test_who_ends_again_and_again_waits_longer(start_workers):
    gateway = start_workers()
    for _ in range(3):
        kill_worker(gateway, 1)
    waits = re.findall(r'msg="worker is started again" worker=1 after_ms=(\d+)', gateway.log())
    assert waits == ["100", "200", "400"]
    assert "worker=0 after_ms" not in gateway.log()


def test_a_worker_that_ends_orderly_is_started_again_too(start_workers):
    gateway = start_workers()
    before = pids(gateway)[1]
    os.kill(before, signal.SIGTERM)
    until(lambda: pids(gateway)[1] != before, "another worker has come")
    assert re.search(rf'msg="worker ended" worker=1 pid={before} status=0', gateway.log())


# A worker hangs


@pytest.fixture
def stop_worker():
    """stop_worker(pid): it does nothing any more, until the test is over or it is told to go on."""
    stopped = []

    def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        stopped.append(pid)

    yield stop
    for pid in stopped:
        if is_running(pid):
            os.kill(pid, signal.SIGCONT)


def test_a_stuck_worker_is_told_as_down(start_workers, stop_worker):
    gateway = start_workers()
    stuck = pids(gateway)[1]
    stop_worker(stuck)
    for path, expected in [("/readyz", 503), ("/healthz", 200), ("/metrics", 200), ("/stats", 200)]:
        began = time.monotonic()
        assert gateway.get(path)[0] == expected
        assert time.monotonic() - began < 3
    assert gateway.readiness() == (503, {"status": "not ready", "why": "worker 1: it does not answer"})
    assert gateway.health() == {"status": "ok", "workers": 2, "workersUp": 1}
    metrics = gateway.metrics()
    assert [metrics.worker[i]["worker_up"] for i in (0, 1)] == [1, 0]
    assert "clients" in metrics.worker[0] and "clients" not in metrics.worker[1]
    assert (gateway.stats()["workers"], gateway.stats()["workersUp"]) == (2, 1)
    os.kill(stuck, signal.SIGCONT)
    gateway.wait_ready()
    assert gateway.health()["workersUp"] == 2


def test_an_operator_may_leave_before_the_answer(start_workers, stop_worker):
    gateway = start_workers()
    stuck = pids(gateway)[0]
    stop_worker(stuck)
    with Http(gateway, port=gateway.ops_port) as http:
        http.send("GET /metrics HTTP/1.1\r\nHost: ops\r\n\r\n")
    os.kill(stuck, signal.SIGCONT)
    gateway.wait_ready()


def test_a_worker_that_dies_while_it_is_asked_is_told_as_ended(start_workers, stop_worker):
    gateway = start_workers()
    stuck = pids(gateway)[0]
    stop_worker(stuck)
    with Http(gateway, port=gateway.ops_port) as http:
        http.send("GET /readyz HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n")
        os.kill(stuck, signal.SIGKILL)
        answer = http.wait_closed().decode()
    assert answer.startswith("HTTP/1.1 503 ")
    assert "worker 0: it has ended" in answer


# The end


def test_sigterm_ends_all(start_workers):
    gateway = start_workers()
    workers = pids(gateway).values()
    gateway.stop()
    assert gateway.process.returncode == 0
    assert not any(is_running(pid) for pid in workers)
    assert gateway.log().count("msg=stopped") == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_passed_on(start_workers, number):
    gateway = start_workers()
    gateway.process.send_signal(number)
    assert gateway.process.wait(20) == 0
    for worker in (0, 1):
        assert re.search(rf"msg=stopping worker={worker} signal={number.name}", gateway.log())


def test_a_worker_that_dies_while_all_stop_is_not_started_again(start_workers, stop_worker):
    gateway = start_workers()
    stuck, other = pids(gateway)[0], pids(gateway)[1]
    stop_worker(stuck)
    gateway.process.send_signal(signal.SIGTERM)
    wait_gone([other])
    assert gateway.process.poll() is None
    gateway.process.send_signal(signal.SIGTERM)
    gateway.wait_log("msg=stopping signal=SIGTERM workers=1")
    os.kill(stuck, signal.SIGKILL)
    assert gateway.process.wait(20) == 0
    assert "started again" not in gateway.log()


def test_a_stop_while_a_worker_is_down(start_workers):
    """It waits to be started again, which then is not to be."""
    gateway = start_workers()
    for _ in range(3):
        kill_worker(gateway, 0)
    os.kill(pids(gateway)[0], signal.SIGKILL)
    gateway.wait_log("worker=0 after_ms=800")
    gateway.stop()
    assert gateway.process.returncode == 0


def test_no_worker_outlives_its_supervisor(start_workers):
    gateway = start_workers()
    workers = pids(gateway).values()
    gateway.kill()
    wait_gone(workers)


def test_not_even_one_that_was_started_again_or_hangs(start_workers, stop_worker):
    gateway = start_workers()
    kill_worker(gateway, 0)
    workers = pids(gateway).values()
    for pid in workers:
        stop_worker(pid)
    gateway.kill()
    wait_gone(workers)


def test_sighup_ends_nobody(start_workers):
    gateway = start_workers()
    before = pids(gateway)
    gateway.process.send_signal(signal.SIGHUP)
    kill_worker(gateway, 0)
    gateway.wait_ready()
    assert pids(gateway)[1] == before[1] and is_running(before[1])
    gateway.wait_log("msg=reloaded worker=1")
    gateway.wait_log("msg=reloaded worker=0")  # one that was forked later reads what was changed, too


# Operators


def test_ready_when_all_are(start_workers):
    gateway = start_workers(3)
    assert gateway.readiness() == (200, {"status": "ready", "workers": 3})
    assert gateway.health() == {"status": "ok", "workers": 3, "workersUp": 3}


def test_not_ready_for_the_reason_of_each(start_gateway):
    gateway = start_gateway(WORKERS=2, ready=False, REDIS_PORT=free_port())
    gateway.wait_not_ready("worker 0: Redis is not connected; worker 1: Redis is not connected")


def test_metrics_of_all_workers_are_those_of_the_document(start_workers):
    metrics = start_workers().metrics()
    documented = {name.partition("{")[0] for name in
                  re.findall(r"^\| `([^`]+)`", (REPOSITORY / "docs/metrics.md").read_text(encoding="utf-8"), re.M)}
    assert set(metrics.types) == documented
    families = {key if isinstance(key, str) else key[0] for key in metrics.worker[0]}
    elsewhere = {PREFIX + "workers", PREFIX + "tls_certificate_expires_seconds"}  # of the supervisor; only with TLS
    assert families == {name.removeprefix(PREFIX) for name in documented - elsewhere}
    assert metrics.worker[0].keys() == metrics.worker[1].keys()
    assert metrics.numbers.keys() == {"workers"}


def test_statistics_are_added_up(start_workers, connect, fresh):
    gateway = start_workers()
    clients = connect_to_each(gateway, connect)
    for client in clients:
        client.subscribe("market", fresh.market)
    stats = gateway.stats()
    assert stats["connectedClients"] == len(clients) == gateway.metrics().total("clients")
    assert sorted(stats["activeRooms"]) == sorted(["global:all", f"market:{fresh.market}", "user:alice"])
    assert stats["roomCount"] == 3
    assert (stats["workers"], stats["workersUp"]) == (2, 2)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/stats"])
def test_methods(start_workers, path):
    gateway = start_workers()
    with Http(gateway, port=gateway.ops_port) as http:
        assert http.request("GET", path)[0] == 200
        status, headers, _ = http.request("POST", path)
        assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_several_questions_at_once(start_workers):
    """Each gets its own answer."""
    gateway = start_workers()
    asked = [(Http(gateway, port=gateway.ops_port), path) for path in ("/stats", "/healthz", "/readyz", "/metrics") * 4]
    for http, path in asked:
        http.send(f"GET {path} HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n")
    words = {"/stats": "connectedClients", "/healthz": "workersUp", "/readyz": "ready", "/metrics": "# HELP"}
    for http, path in asked:
        assert words[path] in http.wait_closed().decode()
        http.socket.close()


def test_lines_of_a_worker_name_it(start_workers):
    gateway = start_workers()
    for worker in (0, 1):
        gateway.wait_log(f'msg="redis connected" worker={worker} ')
    assert gateway.log().count("msg=listening ") == 1
    assert f" pid={gateway.pid} workers=2\n" in gateway.log()
