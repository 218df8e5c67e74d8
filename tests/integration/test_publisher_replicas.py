"""guesslyfe-publish --wait-replicas against a primary with replicas that come, rest and go."""
import json
import subprocess
import time

import pytest

from harness.gateway import environment
from harness.publishing import PUBLISH, run_publish
from harness.redis_server import RedisServer
from harness.wait import until

CONFIRMED, REFUSED, NOT_REPLICATED = 0, 5, 7
LOG = "guesslyfe:{0}:log:global:all"
NEWS = ["system:announcement", "--id", "1", "--title", "Hello", "--message", "We are back", "--priority", "high"]
SHORT = ["--timeout", "700"]


@pytest.fixture
def servers(tmp_path):
    """start(): one more server; all are stopped after the test, replicas before those they follow."""
    started = []

    def start() -> RedisServer:
        # A replica that writes its first append-only file, as after each catching up, does not let itself be ended.
        started.append(RedisServer(tmp_path / f"redis{len(started)}", "--appendonly", "no"))
        return started[-1]

    yield start
    for server in reversed(started):
        server.stop()


@pytest.fixture
def primary(servers):
    return servers()


@pytest.fixture
def replicas(primary, servers):
    pair = servers(), servers()
    for replica in pair:
        replica.follow(primary)
    return pair


def length(server: RedisServer) -> int:
    return server.command("LLEN", LOG)


def not_replicated(done, words: str) -> None:
    assert done.returncode == NOT_REPLICATED, done.stderr
    assert words in done.stderr


def test_two_replicas_have_it_at_once(primary, replicas):
    done = run_publish(primary, "--wait-replicas", "2", *NEWS)
    assert (done.returncode, done.stderr) == (CONFIRMED, "")
    assert [length(server) for server in (primary, *replicas)] == [1, 1, 1]
    assert done.stdout.endswith(" duplicate=no replicas=2\n")


def test_json_counts_replicas(primary, replicas):
    result = json.loads(run_publish(primary, "--json", "--wait-replicas", "1", *NEWS).stdout)
    assert result["replicas"] in (1, 2)
    assert json.loads(run_publish(primary, "--json", *NEWS).stdout)["replicas"] == 0


def test_the_setting_may_come_from_the_environment(primary, replicas):
    done = run_publish(primary, *NEWS, PUBLISH_WAIT_REPLICAS=2)
    assert done.returncode == CONFIRMED and " replicas=2" in done.stdout
    not_replicated(run_publish(primary, *SHORT, *NEWS, PUBLISH_WAIT_REPLICAS=3), "only 2 of 3 replicas")


def test_a_third_is_missing_and_joins(primary, replicas, servers):
    command = ["--wait-replicas", "3", "--idempotency-key", "k", *NEWS]
    done = run_publish(primary, "--json", *SHORT, *command)
    not_replicated(done, "written to the primary, but only 2 of 3 replicas confirmed it in time; "
                         "repeat it with the same idempotency key")
    assert json.loads(done.stdout)["exitCode"] == NOT_REPLICATED
    assert [length(server) for server in (primary, *replicas)] == [1, 1, 1]
    third = servers()
    third.follow(primary)
    again = run_publish(primary, *command)
    assert again.returncode == CONFIRMED, again.stderr
    assert " duplicate=yes replicas=3" in again.stdout
    assert [length(server) for server in (primary, *replicas, third)] == [1, 1, 1, 1]


def test_the_event_is_delivered_nevertheless(primary, replicas):
    subscriber = primary.client.pubsub()
    subscriber.subscribe("guesslyfe:{0}:room:global:all")
    until(lambda: primary.subscribers("guesslyfe:{0}:room:global:all") == 1, "subscribed")
    not_replicated(run_publish(primary, *SHORT, "--wait-replicas", "3", *NEWS), "with an idempotency key")
    message = until(lambda: subscriber.get_message(ignore_subscribe_messages=True), "the event is delivered")
    assert b" system:announcement global:all\n" in message["data"]
    subscriber.close()


def test_a_replica_that_hangs(primary, replicas):
    command = ["--wait-replicas", "2", "--idempotency-key", "k", *NEWS]
    replicas[0].pause()
    for _ in range(2):  # the retry, too, waits for what the replica does not have
        not_replicated(run_publish(primary, *SHORT, *command), "only 1 of 2 replicas")
    replicas[0].resume()
    done = run_publish(primary, *command)
    assert done.returncode == CONFIRMED, done.stderr
    assert " duplicate=yes replicas=2" in done.stdout
    assert [length(server) for server in (primary, *replicas)] == [1, 1, 1]


def test_the_event_waits_for_a_replica_that_hangs_for_a_while(primary, replicas):
    replicas[0].pause()
    lines = "".join(line(number) for number in range(100))
    publisher = start_bulk(primary, lines, "--wait-replicas", "2")
    until(lambda: length(primary) == 100, "all is written")
    time.sleep(0.3)
    assert publisher.poll() is None
    replicas[0].resume()
    out, _ = publisher.communicate(timeout=15)
    assert (publisher.returncode, out) == (CONFIRMED, "100 published, 0 duplicates, 0 failed\n")


def test_the_time_limit_holds(primary, replicas):
    before = time.monotonic()
    not_replicated(run_publish(primary, "--timeout", "1000", "--wait-replicas", "3", *NEWS), "2 of 3")
    assert 0.9 < time.monotonic() - before < 3


def test_a_wait_longer_than_the_patience_with_silence(primary, replicas):
    done = run_publish(primary, "--timeout", "1500", "--wait-replicas", "3", *NEWS, REDIS_REPLY_TIMEOUT=300)
    not_replicated(done, "2 of 3")


def test_without_any_replica(primary):
    not_replicated(run_publish(primary, *SHORT, "--wait-replicas", "1", *NEWS), "only 0 of 1 replicas")
    assert length(primary) == 1


def test_a_primary_that_wants_more_replicas_refuses(primary, replicas):
    primary.command("CONFIG", "SET", "min-replicas-to-write", "3")
    done = run_publish(primary, "--wait-replicas", "2", *NEWS)
    assert done.returncode == REFUSED and "NOREPLICAS" in done.stderr
    assert length(primary) == 0


def test_a_user_that_may_not_wait(primary, replicas):
    primary.command("ACL", "SETUSER", "hasty", "on", ">secret", "allkeys", "allchannels", "+@all", "-wait")
    done = run_publish(primary, "--wait-replicas", "2", *NEWS, REDIS_USER="hasty", REDIS_PASSWORD="secret")
    assert done.returncode == REFUSED
    assert "Redis refused to wait for replicas, the event is written: NOPERM" in done.stderr


# Many


def line(number: int, **more) -> str:
    data = {"id": str(number), "title": "t", "message": "m", "priority": "low"}
    return json.dumps({"event": "system:announcement", "data": data} | more) + "\n"


def start_bulk(redis: RedisServer, lines: str, *options: str):
    settings = environment(REDIS_HOST=redis.host, REDIS_PORT=redis.port, HISTORY_GLOBAL_LENGTH=10_000)
    process = subprocess.Popen([PUBLISH, "--bulk", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True, env=settings)
    process.stdin.write(lines)
    process.stdin.flush()
    return process


def test_ten_thousand_lines(primary, replicas):
    lines = "".join(line(number) for number in range(10_000))
    done = run_publish(primary, "--bulk", "--json", "--wait-replicas", "2", stdin=lines, HISTORY_GLOBAL_LENGTH=10_000)
    assert done.returncode == CONFIRMED, done.stderr
    results = [json.loads(text) for text in done.stdout.splitlines()]
    assert [result["line"] for result in results] == list(range(1, 10_001))
    assert all(result["replicas"] == 2 for result in results)
    assert [length(server) for server in (primary, *replicas)] == [10_000] * 3
    assert primary.command("INFO", "commandstats")["cmdstat_wait"]["calls"] < 1000


def test_each_line_is_reported_where_replicas_are_missing(primary, replicas):
    lines = "".join(line(number, idempotencyKey=f"k{number}") for number in range(50))
    done = run_publish(primary, "--bulk", *SHORT, "--wait-replicas", "3", stdin=lines)
    assert (done.returncode, done.stdout) == (NOT_REPLICATED, "0 published, 0 duplicates, 50 failed\n")
    assert done.stderr.count("only 2 of 3 replicas") == 50
    again = run_publish(primary, "--bulk", "--wait-replicas", "2", stdin=lines)
    assert (again.returncode, again.stdout) == (CONFIRMED, "50 published, 50 duplicates, 0 failed\n")
