"""guesslyfe-publish doctor: it finds what is wrong around the gateways, and nothing where all is well."""
import json
import time

import pytest

from harness.publishing import run_publish
from harness.redis_server import RedisServer
from harness.tokens import mint
from harness.wait import until
from test_redis_security import ADMIN, acl_file, login

UNREACHABLE, REFUSED, UNSOUND = 4, 5, 10
QUICK = {"HEARTBEAT": 200}


@pytest.fixture
def start_ready(redis, start_gateway):
    """A gateway that is ready for the registry, too, which is told with the next heartbeat."""
    def start(redis=redis, **settings):
        gateway = start_gateway(redis=redis, **(QUICK | settings))
        entries = [f"guesslyfe:gateway:{name.decode()}" for name in redis.command("ZRANGE", "guesslyfe:gateways", 0, -1)]
        until(lambda: all(json.loads(redis.command("GET", entry) or '{"ready":true}')["ready"] for entry in entries), "ready")
        return gateway
    return start


@pytest.fixture
def own_redis(tmp_path):
    """One whose settings may be changed."""
    server = RedisServer(tmp_path / "own")
    yield server
    server.stop()


def examine(redis, *arguments, status=0, **settings) -> dict[str, dict]:
    """What it says to each check; the last one where a check says several things."""
    done = run_publish(redis, "doctor", "--json", *arguments, **settings)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert done.stderr == ""
    return {line["check"]: line for line in map(json.loads, done.stdout.splitlines())}


def worst(found: dict[str, dict]) -> set[str]:
    return {name for name, said in found.items() if said["status"] != "ok"}


def expect(found: dict[str, dict], check: str, status: str, words: str) -> None:
    assert found[check]["status"] == status, found
    assert words in found[check]["text"]
    assert status == "ok" or found[check]["advice"]


def test_all_is_well(redis, start_ready, connect, fresh):
    gateways = [start_ready() for _ in range(2)]
    connect(gateways[0], mint(fresh.user))
    until(lambda: "2, with 1 clients" in examine(redis)["gateways"]["text"], "the client is told of")
    found = examine(redis)
    assert worst(found) == set()
    expect(found, "channel", "ok", "1 gateways listen to guesslyfe:{0}:room:global:all")
    expect(found, "publish", "ok", "comes back after")
    for check in ("version", "role", "eviction", "persistence", "output-limit", "clock", "epoch", "scripts", "answers"):
        assert found[check]["status"] == "ok"
    lines = run_publish(redis, "doctor").stdout.splitlines()
    assert lines[0].startswith("OK    version          Redis ")
    assert lines[-1].endswith(" ok, 0 warnings, 0 failures, 0 not checked")


def test_it_writes_nothing(own_redis):
    examine(own_redis)
    assert own_redis.command("DBSIZE") == 0


def test_without_gateways_it_doubts_the_settings(own_redis):
    found = examine(own_redis)
    expect(found, "gateways", "warn", "none is registered")
    expect(found, "epoch", "warn", "no gateway was ever connected here")


def test_a_wrong_eviction_policy_is_found(own_redis):
    own_redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    expect(examine(own_redis), "eviction", "warn", "only as long as there is no maxmemory")
    own_redis.command("CONFIG", "SET", "maxmemory", "1gb")
    expect(examine(own_redis, status=UNSOUND), "eviction", "fail", "allkeys-lru: logs, sessions and revocations vanish")


def test_full_memory_is_found(own_redis):
    used = own_redis.command("INFO", "memory")["used_memory"]
    own_redis.command("CONFIG", "SET", "maxmemory", int(used * 1.1))
    expect(examine(own_redis), "memory", "warn", "MiB are in use")


@pytest.mark.parametrize("limit, status, words", [
    ("16777216 8388608 60", "warn", "in a burst"),
    ("33554432 1048576 60", "warn", "in a burst"),
    ("1048576 1048576 60", "fail", "less than two large events"),
    ("0 0 0", "ok", ""),
])
def test_a_small_output_limit_is_found(own_redis, limit, status, words):
    own_redis.command("CONFIG", "SET", "client-output-buffer-limit", f"pubsub {limit}")
    found = examine(own_redis, status=UNSOUND if status == "fail" else 0)
    expect(found, "output-limit", status, words)


def test_missing_persistence_is_found(own_redis):
    own_redis.command("CONFIG", "SET", "appendonly", "no")
    expect(examine(own_redis), "persistence", "warn", "no append-only file")


def test_a_replica_is_found(own_redis, tmp_path):
    replica = RedisServer(tmp_path / "replica")
    replica.follow(own_redis)
    try:
        expect(examine(replica, status=REFUSED), "connection", "fail", "no primary, but a slave")
        found = examine(own_redis, PUBLISH_WAIT_REPLICAS=2, status=UNSOUND)
        expect(found, "role", "ok", "primary with 1 replicas")
        expect(found, "replicas", "fail", "PUBLISH_WAIT_REPLICAS is 2, but there are 1")
        expect(found, "min-replicas", "warn", "a failover then loses")
        own_redis.command("CONFIG", "SET", "min-replicas-to-write", "2")
        expect(examine(own_redis, status=UNSOUND), "min-replicas", "fail", "1 of 2 replicas keep up")
    finally:
        replica.stop()


def test_more_partitions_and_longer_logs_are_found(own_redis):
    own_redis.command("SET", "guesslyfe:{1}:clock", "1")
    for _ in range(11):
        own_redis.command("RPUSH", "guesslyfe:{0}:log:global:all", "x")
    found = examine(own_redis, status=UNSOUND)
    expect(found, "partitions", "fail", "more partitions than REDIS_PARTITIONS=1")
    expect(found, "history", "warn", "holds 11 events, HISTORY_GLOBAL_LENGTH here is 10")
    examine(own_redis, REDIS_PARTITIONS=2)


# Rights


@pytest.fixture(scope="module")
def acl_redis(tmp_path_factory):
    path = acl_file(tmp_path_factory.mktemp("acl") / "users.acl", "gateway", "publisher", "operator")
    server = RedisServer(path.parent, "--aclfile", str(path), **ADMIN)
    yield server
    server.stop()


@pytest.mark.parametrize("user", ["gateway", "publisher", "operator"])
def test_the_documented_rights_are_enough(acl_redis, user):
    found = examine(acl_redis, "--for", user, **login(user))
    expect(found, f"rights/{user}", "ok", "all that is needed")
    admin = {"REDIS_USER": ADMIN["username"], "REDIS_PASSWORD": ADMIN["password"]}
    expect(examine(acl_redis, "--for", user, "--acl-user", user, **admin), f"rights/{user}", "ok", "all that is needed")


def test_nothing_is_tried_that_the_operator_may_not(acl_redis):
    acl_redis.command("ACL", "LOG", "RESET")
    found = examine(acl_redis, **login("operator"))
    assert worst(found) == {"epoch", "gateways"}
    assert acl_redis.command("ACL", "LOG") == []


def test_what_a_user_may_not_see_is_no_failure(acl_redis):
    found = examine(acl_redis, **login("publisher"))
    for check in ("version", "persistence", "eviction", "output-limit", "publish", "gateways"):
        assert found[check]["status"] == "unknown" and "can't be checked" in found[check]["text"]
    assert found["rights/publisher"]["text"] == "all that is needed"
    assert found["rights/gateway"]["text"].startswith("not a user for this program, lacking: SUBSCRIBE")


@pytest.mark.parametrize("by", ["itself", "admin"])
def test_a_missing_right_is_found(acl_redis, by):
    acl_redis.command("ACL", "SETUSER", "gateway", "-subscribe")
    who = login("gateway") if by == "itself" else {"REDIS_USER": ADMIN["username"], "REDIS_PASSWORD": ADMIN["password"]}
    arguments = [] if by == "itself" else ["--acl-user", "gateway"]
    try:
        found = examine(acl_redis, "--for", "gateway", *arguments, status=UNSOUND, **who)
        expect(found, "rights/gateway", "fail", "SUBSCRIBE guesslyfe:{0}:room:global:all")
        assert "LRANGE" not in found["rights/gateway"]["text"]
    finally:
        acl_redis.command("ACL", "SETUSER", "gateway", "+subscribe")


def test_without_scripts_what_does_no_harm_is_tried(acl_redis):
    """As with Redis 6, which cannot be asked."""
    acl_redis.command("ACL", "SETUSER", "poor", "on", ">x", "allkeys", "allchannels", "+ping", "+role", "+time", "+get",
                      "+lindex", "+client|setname")
    found = examine(acl_redis, "--for", "publisher", status=UNSOUND, REDIS_USER="poor", REDIS_PASSWORD="x")
    text = found["rights/publisher"]["text"]
    assert "EVALSHA" in text and "LINDEX" not in text and "RPUSH" not in text


def test_a_user_without_rights_can_be_nothing(acl_redis):
    acl_redis.command("ACL", "SETUSER", "nobody", "on", ">x", "+ping", "+role", "+client|setname")
    found = examine(acl_redis, status=UNSOUND, REDIS_USER="nobody", REDIS_PASSWORD="x")
    expect(found, "rights", "fail", "too few rights for any program")


def test_a_wrong_password_ends_it(acl_redis):
    found = examine(acl_redis, REDIS_USER="gateway", REDIS_PASSWORD="wrong", status=REFUSED)
    expect(found, "connection", "fail", "WRONGPASS")


def test_where_there_is_no_redis_it_ends(own_redis):
    own_redis.stop()
    expect(examine(own_redis, status=UNREACHABLE), "connection", "fail", "Connection refused")


# The fleet


def test_pings_that_a_proxy_does_not_wait_for_are_found(redis, start_ready):
    start_ready(PING_INTERVAL=56_000)
    expect(examine(redis), "ping-interval", "warn", "pings every 56000 ms, a proxy gives up after 60000 ms")
    assert "ping-interval" not in examine(redis, "--proxy-idle", "120")


def test_gateways_that_differ_are_found(redis, start_ready):
    for interval in (20_000, 30_000):
        start_ready(PING_INTERVAL=interval)
    expect(examine(redis), "settings", "warn", "ping differently")


def entry(redis, **changed) -> dict:
    """A gateway that only stands in the registry: nothing of it is ours to change otherwise."""
    now = int(time.time() * 1000)
    fields = {"id": "fakegateway1", "host": "h", "version": "0.0.9", "started": now - 60_000, "time": now, "maxConnections": 100,
              "connections": {"polling": 0, "websocket": 0}, "pingInterval": 25000, "pingTimeout": 60000,
              "draining": False, "ready": True} | changed
    redis.command("SET", "guesslyfe:gateway:fakegateway1", json.dumps(fields))
    redis.command("ZADD", "guesslyfe:gateways", now, "fakegateway1")
    return fields


@pytest.mark.parametrize("changed, check, status, words", [
    ({"ready": False}, "gateway", "fail", "fakegateway1 on h is not ready"),
    ({"connections": {"polling": 30, "websocket": 60}}, "capacity", "warn", "has 90 of 100 clients"),
    ({"time": 1}, "gateway-clock", "warn", "ms behind Redis'"),
    ({"clients": 5}, "channel", "fail", "gateways have clients, but none listens"),
    ({}, "answers", "fail", "fakegateway1 on h does not answer"),
])
def test_what_ails_a_gateway_is_found(own_redis, changed, check, status, words):
    entry(own_redis, **changed)
    expect(examine(own_redis, "--wait", "200", status=UNSOUND), check, status, words)


def test_different_versions_are_found(own_redis, start_ready):
    start_ready(redis=own_redis)
    entry(own_redis)
    expect(examine(own_redis, "--wait", "200", status=UNSOUND), "versions", "warn", "is version 0.")


def test_a_silent_gateway_is_found(own_redis):
    own_redis.command("ZADD", "guesslyfe:gateways", int(time.time() * 1000), "fakegateway1")
    expect(examine(own_redis), "gateway", "warn", "fakegateway1 is silent")


@pytest.mark.parametrize("arguments, words", [
    (["--for", "everybody"], "--for: expected"),
    (["--proxy-idle", "0"], "--proxy-idle: expected a number"),
    (["now"], "one argument too many"),
])
def test_a_wrong_wish_is_said(redis, arguments, words):
    done = run_publish(redis, "doctor", *arguments)
    assert done.returncode == 2 and words in done.stderr
