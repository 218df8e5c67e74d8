"""The operator's verbs of guesslyfe-publish: a fleet, its clients, revocations, events as they pass, tokens."""
import json
import signal
import subprocess
import time
from datetime import datetime, timezone

import pytest

from conftest import trade_data
from harness.gateway import SECRET, environment
from harness.publishing import PUBLISH, Running, plain_event, plain_publish, publish, run_publish
from harness.redis_server import RedisServer
from harness.tokens import mint
from harness.wait import until

OK, USAGE, UNREACHABLE, REFUSED, NOT_REPLICATED, INCOMPLETE, NO_GATEWAY = 0, 2, 4, 5, 7, 8, 9
QUICK = {"HEARTBEAT": 200}
NEWS = ["system:announcement", "--id", "1", "--title", "t", "--message", "m", "--priority", "low"]
TRADE = "market:trade"


@pytest.fixture(scope="module")
def fleet(redis, module_gateway):
    gateways = [module_gateway(**QUICK) for _ in range(2)]
    until(lambda: [one["state"] for one in ask(redis, "fleet")] == ["ready"] * 2, "the registry knows that they are ready")
    return gateways


@pytest.fixture(autouse=True)
def as_it_was(redis, fleet):
    """Of the gateways that a test started itself nothing is left."""
    yield
    redis.command("DEL", "guesslyfe:revoked")
    until(lambda: redis.command("ZCARD", "guesslyfe:gateways") == len(fleet) or forget_dead(redis), "the fleet is alone")


def forget_dead(redis) -> None:
    for name in redis.command("ZRANGE", "guesslyfe:gateways", 0, -1):
        if not redis.command("EXISTS", b"guesslyfe:gateway:" + name):
            redis.command("ZREM", "guesslyfe:gateways", name)


@pytest.fixture
def empty_redis(tmp_path):
    server = RedisServer(tmp_path / "empty")
    yield server
    server.stop()


@pytest.fixture
def running(redis):
    """running("tail", …): a verb that goes on; ended by the test, or killed after it."""
    started = []

    def start(*arguments, redis=redis, **settings) -> Running:
        started.append(Running(redis, *arguments, **settings))
        return started[-1]

    yield start
    for program in started:
        program.process.kill()


def verb(redis, *arguments, status=OK, **settings):
    done = run_publish(redis, *arguments, **settings)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done


def ask(redis, *arguments, status=OK, **settings) -> list[dict]:
    """What it says with --json."""
    return [json.loads(line) for line in verb(redis, *arguments, "--json", status=status, **settings).stdout.splitlines()]


def ids_of(redis) -> set[str]:
    return {name.decode() for name in redis.command("ZRANGE", "guesslyfe:gateways", 0, -1)}


def id_of(redis, gateway) -> str:
    entries = [json.loads(redis.command("GET", f"guesslyfe:gateway:{name}")) for name in ids_of(redis)]
    [found] = [entry["id"] for entry in entries if entry["port"] == gateway.port]
    return found


# fleet


def test_the_fleet_is_shown(redis, fleet, connect, fresh):
    connect(fleet[0], mint(fresh.user), transports=["websocket"])
    until(lambda: sum(one["clients"] for one in ask(redis, "fleet")) == 1, "its heartbeat tells of the client")
    gateways = {one["port"]: one for one in ask(redis, "fleet")}
    assert set(gateways) == {gateway.port for gateway in fleet}
    assert gateways[fleet[0].port]["connections"] == {"polling": 0, "websocket": 1}
    assert all(one["state"] == "ready" and one["version"] for one in gateways.values())
    head, *rows, total = verb(redis, "fleet").stdout.splitlines()
    assert head.split()[:3] == ["GATEWAY", "HOST", "WORKER"]
    assert {row.split()[0] for row in rows} == ids_of(redis)
    assert total.split()[:6] == ["all", "2", "gateways", "0", "1", "20000"]


def test_it_is_watched(redis, fleet, connect, fresh, running):
    """Every second anew, with deliveries per second from the second time on."""
    connect(fleet[0], mint(fresh.user))
    program = running("fleet", "--watch", "1")
    program.wait_lines(4)
    publish(redis, "system:maintenance", {"enabled": True, "message": "m"})
    program.wait_lines(12)
    assert program.end(signal.SIGINT) == OK
    column = program.lines[0].split().index("SENT/S")
    paces = [line.split()[column] for line in program.lines if line.split()[0] in ids_of(redis)]
    assert paces[:2] == ["-", "-"] and "0" in paces[2:]
    assert any(pace not in ("-", "0") for pace in paces), paces


def test_a_silent_gateway_is_told_by_the_status(redis, fleet, start_gateway):
    gateway = start_gateway(**QUICK)
    name = id_of(redis, gateway)
    gateway.kill()
    until(lambda: not redis.command("EXISTS", f"guesslyfe:gateway:{name}"), "its entry expires")
    states = {one["id"]: one["state"] for one in ask(redis, "fleet", status=INCOMPLETE)}
    assert states.pop(name) == "silent" and set(states.values()) == {"ready"}
    assert f"{name}  ?" in verb(redis, "fleet", status=INCOMPLETE).stdout


def test_no_gateway_is_told_by_the_status(empty_redis, fresh):
    assert "no gateway is there" in verb(empty_redis, "fleet", status=NO_GATEWAY).stderr
    for arguments in (["user", fresh.user], ["room", "global:all"], ["disconnect", fresh.user]):
        assert "no gateway is there" in verb(empty_redis, *arguments, status=NO_GATEWAY).stderr


def test_what_was_forgotten_is_not_shown(empty_redis):
    old = int(time.time() * 1000) - 61_000
    empty_redis.command("ZADD", "guesslyfe:gateways", old, "oldgateway12", old + 30_000, "newgateway12")
    assert [one["id"] for one in ask(empty_redis, "fleet", status=INCOMPLETE)] == ["newgateway12"]


# room and user


def test_a_room_is_shown(redis, fleet, connect, fresh):
    name = f"market:{fresh.market}"
    for gateway, user in zip(fleet, ("ann", "ben")):
        connect(gateway, mint(user, fresh.address)).subscribe("market", fresh.market)
    publish(redis, TRADE, trade_data(fresh))
    [room] = ask(redis, "room", name, "--list")
    assert (room["room"], room["members"], room["subscribers"], room["logLength"]) == (name, 2, 2, 1)
    assert redis.command("LINDEX", f"guesslyfe:{{0}}:log:{name}", -1).startswith(str(room["lastId"]).encode())
    assert {answer["gateway"]: answer["count"] for answer in room["answers"]} == dict.fromkeys(ids_of(redis), 1)
    listed = [member for answer in room["answers"] for member in answer["members"]]
    assert {member["user"] for member in listed} == {"ann", "ben"}
    text = verb(redis, "room", name, "--list").stdout
    assert f"{name}: 2 members; 2 gateways are subscribed\nlog: 1 events, the last {room['lastId']} at 20" in text
    assert all(member["socket"] in text and fresh.address in text for member in listed)
    assert listed[0]["socket"] not in verb(redis, "room", name).stdout


def test_as_many_members_are_listed_as_wanted(redis, fleet, connect, fresh):
    for user in "abc":
        connect(fleet[0], mint(user + fresh.user)).subscribe("market", fresh.market)
    [room] = ask(redis, "room", f"market:{fresh.market}", "--list", "--limit", "2")
    assert room["members"] == 3
    assert sorted(len(answer["members"]) for answer in room["answers"]) == [0, 2]


def test_a_user_is_shown_by_either_name(redis, fleet, connect, fresh):
    connect(fleet[0], mint(fresh.user, fresh.address), transports=["polling"])
    client = connect(fleet[1], mint(fresh.user, fresh.address), transports=["websocket"])
    client.subscribe("market", fresh.market)
    for name in (fresh.user, fresh.address.upper().replace("X", "x")):
        [shown] = ask(redis, "user", name)
        found = {answer["gateway"]: answer["connections"] for answer in shown["answers"]}
        [one], [two] = found[id_of(redis, fleet[0])], found[id_of(redis, fleet[1])]
        assert (one["transport"], two["transport"]) == ("polling", "websocket")
        assert f"market:{fresh.market}" in two["rooms"] and shown["missing"] == []
        text = verb(redis, "user", name).stdout
        assert one["socket"] in text and f"market:{fresh.market}" in text and ": 2 connections\n" in text


def test_whoever_does_not_answer_is_named(redis, fleet, start_gateway, fresh):
    gateway = start_gateway(**QUICK | {"HEARTBEAT": 10_000})
    name = id_of(redis, gateway)
    gateway.process.send_signal(signal.SIGSTOP)
    try:
        done = verb(redis, "user", fresh.user, "--wait", "300", status=INCOMPLETE)
        assert f"gateway {name} on " in done.stderr and "has not answered" in done.stderr
        [room] = ask(redis, "room", "global:all", "--wait", "300", status=INCOMPLETE)
        assert room["missing"] == [name]
    finally:
        gateway.process.send_signal(signal.SIGCONT)


# disconnect


def test_a_user_is_disconnected_everywhere(redis, fleet, connect, fresh):
    clients = [connect(gateway, mint(fresh.user)) for gateway in fleet]
    other = connect(fleet[0], mint("other" + fresh.user))
    [done] = ask(redis, "disconnect", fresh.user)
    assert done["user"] == fresh.user and done["disconnected"] == 2
    for client in clients:
        assert client.wait("disconnect")["reason"] == "io server disconnect"
    assert other.call("ping")["pong"]
    assert f"user {fresh.user}: 0 disconnected" in verb(redis, "disconnect", fresh.user).stdout


def test_one_socket_or_one_token_is_disconnected(redis, fleet, connect, fresh):
    token = verb_token("--sub", fresh.user, "--jti", "stolen")
    first, second = connect(fleet[0], token), connect(fleet[1], mint(fresh.user))
    assert ask(redis, "disconnect", "--token", "stolen")[0]["disconnected"] == 1
    first.wait("disconnect")
    answers = ask(redis, "user", fresh.user)[0]["answers"]
    [socket] = [one["socket"] for answer in answers for one in answer["connections"]]
    assert ask(redis, "disconnect", "--socket", socket)[0]["disconnected"] == 1
    second.wait("disconnect")


@pytest.mark.parametrize("arguments", [[], ["a", "--socket", "b"], ["--token", "a", "--socket", "b"], ["two words"]])
def test_it_must_be_clear_who_is_meant(redis, arguments):
    assert "one of them" in verb(redis, "disconnect", *arguments, status=USAGE).stderr


# revoke, unrevoke, revocations


def refused(connect, gateway, token) -> None:
    assert connect(gateway, token, wait=False).wait_event("error") == {"message": "Token revoked"}


def test_a_revoked_user_is_out_until_it_is_taken_back(redis, fleet, connect, fresh):
    client = connect(fleet[0], mint(fresh.user))
    [done] = ask(redis, "revoke", fresh.user)
    assert (done["revoked"], done["before"], done["disconnected"], done["missing"]) == (fresh.user, "-", 1, [])
    assert len(done["answers"]) == 2
    assert client.wait_event("error") == {"message": "Token revoked"}
    refused(connect, fleet[1], mint(fresh.user))
    assert ask(redis, "revocations") == [{"user": fresh.user, "before": "-"}]
    assert "all tokens" in verb(redis, "revocations").stdout
    assert "taken back" in verb(redis, "unrevoke", fresh.user).stdout
    connect(fleet[1], mint(fresh.user))
    assert ask(redis, "revocations") == []
    assert "nothing was revoked" in verb(redis, "unrevoke", fresh.user).stdout


def test_an_address_is_written_in_lower_case(redis, fleet):
    verb(redis, "revoke", "0x" + "AB" * 20)
    assert redis.command("HKEYS", "guesslyfe:revoked") == [b"0x" + b"ab" * 20]


def test_older_tokens_are_refused_and_younger_ones_good(redis, fleet, connect, fresh):
    now = int(time.time())
    old, young = (connect(fleet[0], mint(fresh.user, iat=now - age)) for age in (7200, 60))
    [done] = ask(redis, "revoke", fresh.user, "--before", "-1h")
    assert done["disconnected"] == 1 and abs(done["before"] - (now - 3600)) < 60
    old.wait("disconnect")
    assert young.call("ping")["pong"]
    date = datetime.fromtimestamp(now - 30, timezone.utc).isoformat()
    assert ask(redis, "revoke", fresh.user, "--before", date)[0]["before"] == now - 30
    young.wait("disconnect")
    assert "issued before 20" in verb(redis, "revocations").stdout


def test_everybody_may_have_to_log_in_anew(redis, fleet, connect, fresh):
    client = connect(fleet[1], mint(fresh.user, iat=int(time.time()) - 100))
    assert ask(redis, "revoke", "--before", "now")[0]["disconnected"] == 1
    client.wait("disconnect")
    assert "(everybody)" in verb(redis, "revocations").stdout
    verb(redis, "unrevoke", "--all-before")
    connect(fleet[1], mint(fresh.user, iat=int(time.time()) - 100))


def test_whoever_did_not_hear_of_it_applies_it_later(redis, fleet, start_gateway, connect, fresh):
    gateway = start_gateway(**QUICK | {"HEARTBEAT": 10_000})
    client = connect(gateway, mint(fresh.user))
    gateway.process.send_signal(signal.SIGSTOP)
    try:
        done = verb(redis, "revoke", fresh.user, "--wait", "300", status=INCOMPLETE)
        assert "1 of 3 gateways: it is written, and a gateway that comes back applies it" in done.stderr
        assert ask(redis, "revocations") == [{"user": fresh.user, "before": "-"}]
    finally:
        gateway.process.send_signal(signal.SIGCONT)
    assert client.wait_event("error") == {"message": "Token revoked"}


def test_it_is_written_where_there_is_no_gateway(empty_redis):
    assert "it is written" in verb(empty_redis, "revoke", "alice", status=NO_GATEWAY).stderr
    assert empty_redis.command("HGETALL", "guesslyfe:revoked") == {b"alice": b"-"}


def test_replicas_are_waited_for(redis, fleet, tmp_path, fresh):
    done = verb(redis, "revoke", fresh.user, "--wait-replicas", "1", "--timeout", "300", status=NOT_REPLICATED)
    assert "0 of 1 replicas" in done.stderr
    replica = RedisServer(tmp_path / "replica")
    replica.follow(redis)
    try:
        verb(redis, "revoke", fresh.user, "--wait-replicas", "1")
        assert replica.command("HGET", "guesslyfe:revoked", fresh.user) == b"-"
    finally:
        replica.stop()


@pytest.mark.parametrize("arguments, words", [
    ([], "revoke what?"),
    (["alice", "--before", "1h"], "in the future"),
    (["alice", "--before", "yesterday"], "--before: expected now, -2h"),
    (["two words"], "USER: expected"),
    (["alice", "bob"], '"bob" is one argument too many'),
])
def test_a_wrong_revocation_changes_nothing(redis, arguments, words):
    assert words in verb(redis, "revoke", *arguments, status=USAGE).stderr
    assert redis.command("EXISTS", "guesslyfe:revoked") == 0


def test_a_replica_takes_no_revocations(redis, tmp_path):
    replica = RedisServer(tmp_path / "replica")
    replica.follow(redis)
    try:
        assert "no primary" in verb(replica, "revoke", "alice", status=REFUSED).stderr
    finally:
        replica.stop()


def test_nobody_can_be_asked_without_redis(empty_redis):
    empty_redis.stop()
    for arguments in (["fleet"], ["user", "a"], ["revoke", "a"], ["revocations"], ["tail"]):
        assert "Connection refused" in verb(empty_redis, *arguments, status=UNREACHABLE).stderr


# tail


def listening(redis, channel: str) -> None:
    until(lambda: redis.subscribers(channel) >= 1, f"somebody listens to {channel}")


def test_events_are_told_as_they_pass(redis, running, fresh, trade):
    program = running("tail", f"market:{fresh.market}", f"user:{fresh.address.upper().replace('X', 'x')}")
    listening(redis, f"guesslyfe:{{0}}:room:user:{fresh.address}")
    trade(1)
    plain_event(redis, f"market:{fresh.market}", "market:trade", {"a": 1})
    first, second = program.wait_lines(2)
    event_id, at, event, rooms, payload = first.split(" ", 4)
    assert int(event_id) > 0 and event == TRADE
    assert rooms == f"market:{fresh.market},user:{fresh.address}", "once, although both rooms are followed"
    assert datetime.fromisoformat(at).timestamp() == pytest.approx(int(event_id) / 1e6, abs=0.001)
    assert json.loads(payload)["data"]["tradeId"] == "trade1"
    assert second.startswith("0 20")
    assert program.end(signal.SIGINT) == OK
    assert len(program.lines) == 2 and program.words == []


def test_the_past_comes_before_the_present_and_nothing_twice(redis, running, fresh, trade):
    for number in range(5):
        trade(number)
    room = f"market:{fresh.market}"
    ids = [entry.split(b" ")[0].decode() for entry in redis.command("LRANGE", f"guesslyfe:{{0}}:log:{room}", 0, -1)]
    last = running("tail", room, f"user:{fresh.address}", "--last", "2", "--json")
    since = running("tail", room, "--since", ids[1], "--count", "4", "--json")
    last.wait_lines(2), since.wait_lines(3)
    trade(5)
    assert [json.loads(line)["payload"]["data"]["tradeId"] for line in last.wait_lines(3)] == ["trade3", "trade4", "trade5"]
    assert since.end() == OK
    assert [json.loads(line)["payload"]["data"]["tradeId"] for line in since.lines] == [f"trade{n}" for n in (2, 3, 4, 5)]
    assert last.end(signal.SIGTERM) == OK


def test_a_log_that_is_too_short_is_told(redis, running, fresh, trade):
    trade(0)
    redis.command("LTRIM", f"guesslyfe:{{0}}:log:market:{fresh.market}", 1, 0)
    for number in (1, 2):
        trade(number)
    redis.command("LTRIM", f"guesslyfe:{{0}}:log:market:{fresh.market}", -1, -1)
    program = running("tail", f"market:{fresh.market}", "--since", "1", "--count", "1")
    assert program.end() == OK
    assert "no longer holds what is older" in program.words[0]


def test_it_goes_on_after_a_loss(running, tmp_path, fresh):
    server = RedisServer(tmp_path / "redis")
    try:
        program = running("tail", "global:all", "--json", redis=server, REDIS_BACKOFF_MAX=200)
        listening(server, "guesslyfe:{0}:room:global:all")
        verb(server, *NEWS)
        program.wait_lines(1)
        server.stop()
        program.wait_words("trying again")
        server.start()
        verb(server, *NEWS)
        verb(server, *NEWS)
        ids = [json.loads(line)["id"] for line in program.wait_lines(3)]
        assert ids == sorted(set(ids))
        assert program.end(signal.SIGINT) == OK
        assert len([line for line in program.words if "trying again" in line]) <= 2
    finally:
        server.stop()


def test_only_the_wanted_events_are_told(redis, running):
    program = running("tail", "--event", "system:maintenance,market:created", "--count", "1")
    listening(redis, "guesslyfe:{0}:room:global:all")
    verb(redis, *NEWS)
    publish(redis, "system:maintenance", {"enabled": True, "message": "m"})
    assert program.end() == OK
    assert program.lines[0].split()[2] == "system:maintenance"


def test_all_rooms_can_be_followed_by_a_pattern(redis, running, fresh, trade):
    program = running("tail", "--all", "--count", "2", "--event", TRADE)
    until(lambda: redis.command("PUBSUB", "NUMPAT") == 1, "the pattern is subscribed")
    trade(1)
    trade(2)
    assert program.end() == OK
    assert [line.split()[3] for line in program.lines] == [f"market:{fresh.market},user:{fresh.address}"] * 2


def test_what_is_no_message_is_told_aside(redis, running, fresh):
    room = f"market:{fresh.market}"
    program = running("tail", room, "--count", "1")
    listening(redis, f"guesslyfe:{{0}}:room:{room}")
    plain_publish(redis, room, b"\x1b[2Jrubbish")
    plain_publish(redis, room, f"0 0 odd {room}\n\x1b[2J\nrubbish")
    assert program.end() == OK
    assert program.lines[0].endswith(' "\\u001b[2J\\nrubbish"')
    assert program.words == [f"guesslyfe-publish: {room}: not a message of ours, 11 bytes"]


def test_it_ends_well_when_nobody_reads(redis):
    for number in range(3):
        verb(redis, *NEWS)
    settings = environment(REDIS_HOST=redis.host, REDIS_PORT=redis.port)
    tail = subprocess.Popen([PUBLISH, "tail", "--last", "1"], env=settings, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    tail.stdout.readline()
    tail.stdout.close()
    verb(redis, *NEWS)
    assert tail.wait(15) == OK
    assert tail.stderr.read() == b""
    tail.stderr.close()


@pytest.mark.parametrize("arguments, words", [
    (["nowhere:1"], '"nowhere:1" is no room'),
    (["--event", "market:tarde"], "there is no event"),
    (["--last", "0"], "--last: expected a number from 1"),
    (["--all", "global:all"], "--all takes no rooms"),
    (["--all", "--last", "1"], "--all takes no rooms"),
    (["--sicne", "1"], "unknown option --sicne"),
])
def test_a_wrong_wish_is_said(redis, arguments, words):
    assert words in verb(redis, "tail", *arguments, status=USAGE).stderr


# token


def verb_token(*arguments, status=OK, **settings) -> str:
    defaults = {"JWT_SECRET": SECRET}
    done = subprocess.run([PUBLISH, "token", *arguments], capture_output=True, text=True, timeout=30,
                          env=environment(**(defaults | settings)))
    assert done.returncode == status, done.stderr
    return done.stdout.strip() if status == OK else done.stderr


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_minted_token_is_taken(start_gateway, connect, tmp_path, fresh, algorithm):
    names = {"JWT_ALGORITHM": algorithm, "JWT_ISSUER": "us \"quoted\"", "JWT_AUDIENCE": "them"}
    gateway = start_gateway(**names)
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    token = verb_token("--sub", fresh.user, "--address", fresh.address, "--jwt-secret-file", str(secret), JWT_SECRET=None,
                       **names)
    hello = connect(gateway, token).wait_event("connected")
    assert hello["userId"] == fresh.user and f"user:{fresh.address}" in hello["rooms"]
    other = verb_token("--sub", fresh.user, **names | {"JWT_AUDIENCE": "others"})
    assert connect(gateway, other, wait=False).wait_event("error") == {"message": "Authentication failed"}


def test_an_expired_token_is_refused(fleet, connect, fresh):
    token = verb_token("--sub", fresh.user, "--expires", "-1m")
    assert connect(fleet[0], token, wait=False).wait_event("error") == {"message": "Authentication failed"}
    connect(fleet[0], verb_token("--sub", fresh.user, "--expires", "never"))


@pytest.mark.parametrize("arguments, settings, words", [
    ([], {}, "--sub USER is needed"),
    (["--sub", "two words"], {}, "--sub: expected"),
    (["--sub", "a", "--expires", "soon"], {}, "--expires: expected"),
    (["--sub", "a"], {"JWT_SECRET": None}, "JWT_SECRET_FILE or JWT_SECRET is needed"),
    (["--sub", "a"], {"JWT_ALGORITHM": "RS256"}, "JWT_ALGORITHM"),
    (["--sub", "a", "--redis-host", "x"], {}, "unknown option --redis-host"),
])
def test_what_cannot_be_signed_is_said(arguments, settings, words):
    assert words in verb_token(*arguments, status=USAGE, **settings)


def test_a_short_secret_is_warned_of(fresh):
    done = subprocess.run([PUBLISH, "token", "--sub", fresh.user], capture_output=True, text=True, timeout=30,
                          env=environment(JWT_SECRET="short"))
    assert done.returncode == OK and done.stdout.count(".") == 2 and "shorter than 32 bytes" in done.stderr
