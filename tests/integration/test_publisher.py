"""guesslyfe-publish as a cron job or an administrator runs it, against a real Redis."""
import contextlib
import json
import socket
import subprocess
import threading

import pytest

from harness.publishing import PUBLISH, examples, run_publish
from harness.gateway import environment
from harness.redis_server import RedisServer
from harness.wait import until

EVENTS = examples()
CONFIRMED, USAGE, DATA, UNREACHABLE, REFUSED, UNKNOWN = 0, 2, 3, 4, 5, 6
LOG = "guesslyfe:{0}:log:"
NEWS = ["system:announcement", "--id", "1", "--title", "Hello", "--message", "We are back"]
HIGH = [*NEWS, "--priority", "high"]


@pytest.fixture(autouse=True)
def empty(redis):
    redis.command("FLUSHALL")


@pytest.fixture
def own_redis(tmp_path):
    """One that may be paused, stopped and filled."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop()


def log_of(redis, room: str) -> list[dict]:
    """The payloads that a room's log holds."""
    return [json.loads(entry.split(b"\n", 1)[1]) for entry in redis.command("LRANGE", LOG + room, 0, -1)]


def as_flags(data: dict, name=lambda field: field) -> list[str]:
    flags = []
    for field, value in data.items():
        flags += ["--" + name(field), value if isinstance(value, str) else json.dumps(value)]
    return flags


def kebab(field: str) -> str:
    return "".join("-" + c.lower() if c.isupper() else c for c in field)


def refused(done, code: int, words: str) -> None:
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert words in done.stderr


# What goes in comes out


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("way", ["operand", "--data", "stdin", "flags", "kebab"])
def test_every_event_is_written_from_every_source(redis, name, way):
    data = EVENTS[name]["example"]
    arguments = {
        "operand": [json.dumps(data)],
        "--data": ["--data", json.dumps(data)],
        "stdin": [],
        "flags": as_flags(data),
        "kebab": as_flags(data, kebab),
    }[way]
    done = run_publish(redis, "--json", name, *arguments, stdin=json.dumps(data))
    assert done.returncode == CONFIRMED, done.stderr
    result = json.loads(done.stdout)
    assert result["event"] == name and not result["duplicate"]
    assert len(result["rooms"]) == len(EVENTS[name]["rooms"])
    for room in result["rooms"]:
        [payload] = log_of(redis, room)
        assert payload["type"] == name and payload["data"] == data


def test_one_line_says_what_happened(redis):
    done = run_publish(redis, *HIGH)
    assert done.stderr == ""
    assert done.stdout.startswith("system:announcement id=1")
    assert done.stdout.endswith(" rooms=global:all receivers=0 duplicate=no\n")


def test_receivers_are_counted(redis):
    with contextlib.closing(redis.client.pubsub()) as subscriber:
        subscriber.subscribe("guesslyfe:{0}:room:global:all")
        until(lambda: redis.subscribers("guesslyfe:{0}:room:global:all") == 1, "subscribed")
        assert " receivers=1 " in run_publish(redis, *HIGH).stdout


@pytest.mark.parametrize("message", ["Grüße, 世界 🎲", "\u2028\u0000\"\\", "x" * 100_000, ""])
def test_text_arrives_as_it_is(redis, message):
    data = {"id": "1", "title": "t", "message": message, "priority": "low"}
    done = run_publish(redis, "system:announcement", stdin=json.dumps(data, ensure_ascii=False))
    assert done.returncode == CONFIRMED, done.stderr
    assert log_of(redis, "global:all")[0]["data"] == data


def test_text_of_100_kilobytes_fits_into_a_flag(redis):
    done = run_publish(redis, "system:announcement", "--id", "1", "--title", "t", "--message", "x" * 100_000,
                       "--priority", "low")
    assert done.returncode == CONFIRMED, done.stderr
    assert log_of(redis, "global:all")[0]["data"]["message"] == "x" * 100_000


def test_data_stays_the_callers_bytes(redis):
    data = EVENTS["notification"]["example"] | {"data": {}}
    text = json.dumps(data).replace('"data": {}', '"data": {"__proto__":1, "n":123456789012345678901234567890.10}')
    assert run_publish(redis, "notification", text).returncode == CONFIRMED
    [entry] = redis.command("LRANGE", LOG + "user:" + data["userId"], 0, -1)
    assert text.encode() in entry


def test_a_field_called_data_is_a_field_beside_others(redis):
    data = EVENTS["notification"]["example"]
    flags = as_flags({key: value for key, value in data.items() if key != "data"})
    done = run_publish(redis, "notification", *flags, "--data", json.dumps(data["data"]))
    assert done.returncode == CONFIRMED, done.stderr
    assert log_of(redis, "user:" + data["userId"])[0]["data"] == data


# What is refused leaves no trace


@pytest.mark.parametrize("arguments, words", [
    ([*HIGH, "--tittle", "x"], "data.tittle: unknown field of system:announcement"),
    ([*NEWS, "--priority", "urgent"], 'data.priority: expected one of "low"'),
    (NEWS, "data.priority: expected one of"),
    ([*HIGH, "--title", "again"], "data.title: given twice"),
    (["system:announcement", "--data", '{"id":1}'], "data.id: expected a string, got 1"),
    (["system:announcement", "--data", "{'id':1}"], "data: expected a JSON object"),
    (["system:announcement"], "data: expected a JSON object"),
    (["market:trade", "--outcome", "yes"], 'data.outcome: expected 0 or 1, got "yes"'),
    ([*HIGH, "--idempotency-key", "two words"], "idempotency key: expected"),
])
def test_bad_data_is_refused_by_field(redis, arguments, words):
    refused(run_publish(redis, *arguments), DATA, words)
    assert redis.command("DBSIZE") == 0


@pytest.mark.parametrize("arguments, words", [
    ([], "which event?"),
    (["system:anouncement", "--id", "1"], 'there is no event "system:anouncement"'),
    (["notification", "{}", "{}"], "one argument too many"),
    (["notification", "text"], "nothing but its data object"),
    (["system:announcement", "--id", "1", "--data", "{}"], "--data"),
    (["notification", "--title"], "--title"),
    (["--redis-port", "none", *HIGH], "REDIS_PORT"),
    (["--timeout", "soon", *HIGH], "PUBLISH_TIMEOUT"),
    (["--wait-replicas", "all", *HIGH], "PUBLISH_WAIT_REPLICAS"),
    ([*HIGH, "--wait-replicas"], "--wait-replicas needs a value"),
    (["--bulk", "notification"], "--bulk"),
    (["describe"], "describe needs"),
    (["events", "--verbose", "1"], "unknown option"),
])
def test_a_wrong_command_line_is_explained(redis, arguments, words):
    refused(run_publish(redis, *arguments), USAGE, words)
    assert redis.command("DBSIZE") == 0


def test_errors_in_json_go_to_both_streams(redis):
    done = run_publish(redis, "--json", *NEWS)
    error = json.loads(done.stdout)
    assert (error["event"], error["exitCode"]) == ("system:announcement", DATA)
    assert error["error"] in done.stderr


# Redis is away, or says no, or says nothing


def test_nobody_listening(own_redis):
    own_redis.stop()
    refused(run_publish(own_redis, *HIGH), UNREACHABLE, "Connection refused; nothing was written")


def test_a_redis_that_does_not_even_greet(own_redis):
    own_redis.pause()
    refused(run_publish(own_redis, "--timeout", "300", *HIGH), UNREACHABLE, "nothing was written")
    own_redis.resume()
    assert own_redis.command("DBSIZE") == 0


def test_a_full_redis(own_redis):
    own_redis.command("CONFIG", "SET", "maxmemory", "1")
    refused(run_publish(own_redis, *HIGH), REFUSED, "OOM")


def test_a_replica(own_redis):
    own_redis.command("REPLICAOF", "127.0.0.1", "1")
    refused(run_publish(own_redis, *HIGH), REFUSED, "Redis refused")


def test_a_password(own_redis, tmp_path):
    own_redis.command("ACL", "SETUSER", "publisher", "on", ">secret", "allkeys", "allchannels", "+@all")
    own_redis.command("ACL", "SETUSER", "reader", "on", ">secret", "allkeys", "allchannels", "+@read", "+@connection")
    refused(run_publish(own_redis, *HIGH, REDIS_USER="publisher", REDIS_PASSWORD="guess"), REFUSED, "WRONGPASS")
    refused(run_publish(own_redis, *HIGH, REDIS_USER="reader", REDIS_PASSWORD="secret"), REFUSED, "NOPERM")
    (tmp_path / "password").write_text("secret\n")
    for way in ({"REDIS_PASSWORD": "secret"}, {"REDIS_PASSWORD_FILE": tmp_path / "password"}):
        assert run_publish(own_redis, *HIGH, REDIS_USER="publisher", **way).returncode == CONFIRMED


class Eavesdropper:
    """A TCP relay before Redis that cuts the connection where the answer to a script passes by."""

    def __init__(self, redis: RedisServer, cuts: int):
        self.host, self.redis, self.cuts = redis.host, redis, cuts
        self.listener = socket.create_server((self.host, 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept)
        self.thread.start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.relay(self.listener.accept()[0])

    def relay(self, client: socket.socket) -> None:
        """One connection; the publisher never has two."""
        with client, socket.create_connection((self.redis.host, self.redis.port)) as server:
            back = threading.Thread(target=self.copy, args=(client, server, False))
            back.start()
            self.copy(server, client, True)
            back.join()

    def copy(self, source: socket.socket, to: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if answers and self.cuts > 0 and b"*3\r\n$16\r\n" in data:
                    self.cuts -= 1
                    break
                to.sendall(data)
        for end in (source, to):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


@pytest.fixture
def eavesdrop(redis):
    relays = []

    def start(cuts: int) -> Eavesdropper:
        relays.append(Eavesdropper(redis, cuts))
        return relays[-1]

    yield start
    for relay in relays:
        relay.close()


def test_a_lost_answer_leaves_it_unknown(redis, eavesdrop):
    done = run_publish(eavesdrop(cuts=1), *HIGH)
    refused(done, UNKNOWN, "may be written or not: repeat it with an idempotency key")
    assert len(log_of(redis, "global:all")) == 1


def test_a_lost_answer_with_a_key_is_asked_for_again(redis, eavesdrop):
    done = run_publish(eavesdrop(cuts=3), *HIGH, "--idempotency-key", "k")
    assert done.returncode == CONFIRMED, done.stderr
    assert " duplicate=yes" in done.stdout
    assert len(log_of(redis, "global:all")) == 1


def test_repeating_by_hand_with_a_key_is_safe(redis):
    first, second = (json.loads(run_publish(redis, "--json", *HIGH, "--idempotency-key", "k").stdout) for _ in range(2))
    assert (first["id"], first["duplicate"], second["duplicate"]) == (second["id"], False, True)
    assert len(log_of(redis, "global:all")) == 1


# Without contacting anybody


def test_dry_run_shows_and_writes_nothing(redis):
    data = EVENTS["market:trade"]["example"]
    clients = redis.command("INFO", "clients"), redis.command("INFO", "stats")["total_connections_received"]
    done = run_publish(redis, "--dry-run", "--json", "market:trade", json.dumps(data))
    assert done.returncode == CONFIRMED
    shown = json.loads(done.stdout)
    assert shown["rooms"] == [f"market:{data['marketId']}", f"user:{data['trader'].lower()}"]
    assert shown["payload"]["data"] == data
    assert redis.command("INFO", "stats")["total_connections_received"] == clients[1]
    assert redis.command("DBSIZE") == 0


def test_dry_run_refuses_too(redis):
    refused(run_publish(redis, "--dry-run", *NEWS), DATA, "data.priority")


def test_the_settings_are_shown_without_secrets(redis):
    done = run_publish(redis, "--check-config", REDIS_PASSWORD="hunter2", REDIS_PREFIX="other:")
    assert done.returncode == CONFIRMED
    assert "REDIS_PREFIX=other:\n" in done.stdout and "REDIS_PASSWORD=***\n" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


def test_help_names_every_setting_and_exit_code(redis):
    text = run_publish(redis, "--help").stdout
    settings = run_publish(redis, "--check-config").stdout.splitlines()
    assert len(settings) > 10
    assert all(f"[{line.partition('=')[0]}" in text for line in settings)
    assert all(f"\n  {code}  " in text for code in range(8))


def test_the_catalogue_is_listed_and_described(redis):
    listed = [line.split()[0] for line in run_publish(redis, "events").stdout.splitlines()]
    assert sorted(listed) == sorted(EVENTS)
    for name, event in EVENTS.items():
        text = run_publish(redis, "describe", name).stdout
        assert all(f"--{kebab(field)} " in text for field in event["fields"])
        assert all(room in text for room in event["rooms"])


# Many


def line(number: int, **more) -> str:
    data = {"id": str(number), "title": "t", "message": "m", "priority": "low"}
    return json.dumps({"event": "system:announcement", "data": data} | more) + "\n"


def test_ten_thousand_lines(redis):
    stdin = "".join(line(number) for number in range(10_000))
    done = run_publish(redis, "--bulk", "--json", stdin=stdin, HISTORY_GLOBAL_LENGTH=10_000)
    assert done.returncode == CONFIRMED, done.stderr
    results = [json.loads(text) for text in done.stdout.splitlines()]
    assert [result["line"] for result in results] == list(range(1, 10_001))
    ids = [result["id"] for result in results]
    assert ids == sorted(set(ids))
    assert [payload["data"]["id"] for payload in log_of(redis, "global:all")] == [str(n) for n in range(10_000)]


def test_a_bad_line_does_not_stop_the_others(redis):
    lines = [line(1), "\n", "not json\n", line(2, data={}), line(3, event="nothing"), line(4, extra=1), line(5).strip()]
    done = run_publish(redis, "--lines", stdin="".join(lines))
    assert done.returncode == DATA
    assert done.stdout == "2 published, 0 duplicates, 4 failed\n"
    errors = done.stderr.splitlines()
    assert [error.split(": ")[1] for error in errors] == ["line 3", "line 4", "line 5", "line 6"]
    assert "data.id: expected a string, got nothing" in errors[1]
    assert [payload["data"]["id"] for payload in log_of(redis, "global:all")] == ["1", "5"]


def test_bulk_lines_have_keys(redis):
    done = run_publish(redis, "--bulk", stdin=line(1, idempotencyKey="k") + line(2, idempotencyKey="k"))
    assert (done.returncode, done.stdout) == (CONFIRMED, "2 published, 1 duplicates, 0 failed\n")
    assert len(log_of(redis, "global:all")) == 1


def test_bulk_without_redis_stops_soon(own_redis):
    own_redis.stop()
    done = run_publish(own_redis, "--bulk", stdin="".join(line(number) for number in range(5000)))
    assert done.returncode == UNREACHABLE
    assert done.stdout.startswith("0 published") and "stopped before the end" in done.stdout


def test_bulk_dry_run(redis):
    done = run_publish(redis, "--bulk", "--dry-run", "--json", stdin=line(1) + line(2, data={}))
    assert done.returncode == DATA
    assert json.loads(done.stdout.splitlines()[0])["payload"]["data"]["id"] == "1"
    assert redis.command("DBSIZE") == 0


def test_a_line_is_published_while_the_next_is_awaited(redis):
    settings = environment(REDIS_HOST=redis.host, REDIS_PORT=redis.port)
    with subprocess.Popen([PUBLISH, "--bulk"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env=settings) as process:
        for number in range(1, 4):
            process.stdin.write(line(number))
            process.stdin.flush()
            until(lambda: len(log_of(redis, "global:all")) == number, f"line {number} is published")
        out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (CONFIRMED, "3 published, 0 duplicates, 0 failed\n")


def test_bulk_tells_each_result_when_it_is_there(redis):
    """Also into a pipe, while the input stays open."""
    with subprocess.Popen([PUBLISH, "--bulk", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env=environment(REDIS_PORT=redis.port)) as process:
        for number in range(2):
            process.stdin.write(line(number))
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"]
        process.stdin.close()
        assert process.wait(10) == 0
