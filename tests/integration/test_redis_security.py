"""Redis by TLS, and with the users that docs/operations.md recommends: what they can do, and what not."""
import json
import re

import pytest
import redis as redis_py

from conftest import trade_data
from harness.certificates import Certificates
from harness.clients import settle
from harness.fleet import Operator
from harness.gateway import REPOSITORY
from harness.publishing import run_publish
from harness.raw import Http
from harness.redis_server import RedisServer
from harness.sentinel import FAILOVER_SECONDS, SentinelWorld
from harness.tokens import mint
from harness.wait import until

POLL = "/socket.io/?EIO=4&transport=polling"
TRADE = "market:trade"
NEWS = ["system:maintenance", '{"enabled":true,"message":"m"}']
UNREACHABLE, REFUSED = 4, 5
ADMIN = {"username": "admin", "password": "of-admin"}
LOG = "guesslyfe:{0}:log:market:1"


def documented_users() -> dict[str, str]:
    """Every line "user NAME …" of the document, by NAME; each password is NAME's in capitals."""
    text = (REPOSITORY / "docs/operations.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\n((?:user .*\n)+)```$", text, re.M)
    return {line.split()[1]: line for block in blocks for line in block.splitlines()}


USERS = documented_users()


def password(user: str) -> str:
    return f"{user.upper()}-PASSWORD"


def login(user: str) -> dict:
    return {"REDIS_USER": user, "REDIS_PASSWORD": password(user)}


def acl_file(path, *users: str):
    """With these documented users, and one for the test itself."""
    lines = [USERS[user] for user in ("default", *users)]
    lines.append(f"user {ADMIN['username']} on >{ADMIN['password']} ~* &* +@all")
    path.write_text("".join(line + "\n" for line in lines))
    return path


def publish_trade(redis, fresh, number: int = 1, **settings) -> None:
    done = run_publish(redis, TRADE, stdin=json.dumps(trade_data(fresh, number)), **settings)
    assert done.returncode == 0, done.stderr


def member_of(connect, gateway, fresh):
    client = connect(gateway, mint("alice", fresh.address))
    client.subscribe("market", fresh.market)
    return client


# TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls_redis(tmp_path_factory, certificates):
    server = RedisServer(tmp_path_factory.mktemp("tls"), certificates=certificates)
    yield server
    server.stop()


@pytest.mark.parametrize("name", [None, "redis.test"], ids=["address", "name"])
def test_both_programs_speak_tls(tls_redis, certificates, start_gateway, connect, fresh, name):
    settings = certificates.settings() | {"REDIS_TLS_SERVER_NAME": name}
    client = member_of(connect, start_gateway(redis=tls_redis, **settings), fresh)
    publish_trade(tls_redis, fresh, **settings)
    client.wait_event(TRADE)


WRONG = [
    ({"REDIS_TLS_SERVER_NAME": "elsewhere.test"}, "TLS: hostname mismatch"),
    ({"REDIS_TLS_CA": "other-ca.crt"}, "TLS: self-signed certificate in certificate chain"),
    ({"REDIS_TLS_CA": None}, "TLS: self-signed certificate in certificate chain"),
    ({"REDIS_TLS_CA": "nowhere.crt"}, "TLS: cannot use the CA file"),
    ({"REDIS_TLS_KEY": "server.key"}, "TLS: cannot use the"),
    ({"REDIS_TLS_CERT": None, "REDIS_TLS_KEY": None}, "certificate required"),
]


@pytest.mark.parametrize("changed,words", WRONG, ids=lambda value: "" if isinstance(value, str) else "+".join(value))
def test_what_is_wrong_with_tls_is_said(tls_redis, certificates, start_gateway, changed, words):
    changed = {name: certificates.path(value) if value and "." in value and name != "REDIS_TLS_SERVER_NAME" else value
               for name, value in changed.items()}
    settings = certificates.settings() | changed
    done = run_publish(tls_redis, *NEWS, **settings)
    assert done.returncode == UNREACHABLE
    assert words in done.stderr
    gateway = start_gateway(redis=tls_redis, ready=False, **settings)
    gateway.wait_log(words)
    assert gateway.health()["redis"] == "down"


def test_a_plain_redis_is_not_spoken_to_by_tls(redis, certificates):
    done = run_publish(redis, *NEWS, **certificates.settings(), REDIS_CONNECT_TIMEOUT=500)
    assert done.returncode == UNREACHABLE
    assert "timed out in the TLS handshake; nothing was written" in done.stderr


# Users


@pytest.fixture(scope="module")
def acl_redis(tmp_path_factory):
    path = acl_file(tmp_path_factory.mktemp("acl") / "users.acl", "gateway", "publisher", "operator")
    server = RedisServer(path.parent, "--aclfile", str(path), **ADMIN)
    server.command("SET", "foreign", "secret")
    server.command("SET", "guesslyfe:session:1", "secret")
    yield server
    server.stop()


@pytest.fixture
def as_user(acl_redis):
    clients = []

    def connect_as(user: str) -> redis_py.Redis:
        clients.append(acl_redis.connect(username=user, password=password(user)))
        return clients[-1]

    yield connect_as
    for client in clients:
        client.close()


def test_the_default_user_is_off(acl_redis):
    done = run_publish(acl_redis, *NEWS)
    assert done.returncode == REFUSED
    assert "NOAUTH" in done.stderr


def test_least_rights_are_enough(acl_redis, start_gateway, connect, fresh):
    """Neither program tries anything that it may not."""
    acl_redis.command("ACL", "LOG", "RESET")
    gateway = start_gateway(redis=acl_redis, **login("gateway"), REDIS_DB=1, HEARTBEAT=100, MAX_CONNECTIONS_PER_USER=5)
    client = member_of(connect, gateway, fresh)
    for number in range(2):  # twice: the same key, and the script by its name
        done = run_publish(acl_redis, "--idempotency-key", "once", TRADE, stdin=json.dumps(trade_data(fresh)),
                           **login("publisher"), REDIS_DB=1)
        assert done.returncode == 0, done.stderr
    publish_trade(acl_redis, fresh, 2, **login("operator"), REDIS_DB=1)
    client.wait_event(TRADE, 2)
    recovers(connect, gateway, fresh, acl_redis)
    client.unsubscribe("market", fresh.market)
    settle(client)
    assert [data["tradeId"] for data in client.data(TRADE)] == ["trade0", "trade2", "trade3"]
    until(lambda: acl_redis.subscribers(f"guesslyfe:{{0}}:room:market:{fresh.market}") == 0, "the channel is left")
    operates(acl_redis, connect, gateway)
    gateway.stop()
    assert acl_redis.command("ACL", "LOG") == []


def test_asking_other_gateways_is_within_these_rights(acl_redis, start_gateway):
    """A poll that waits with another gateway for so long that it is looked whether that one is still there."""
    acl_redis.command("ACL", "LOG", "RESET")
    settings = {"redis": acl_redis, "PING_INTERVAL": 2500} | login("gateway")
    owner, other = start_gateway(**settings), start_gateway(**settings)
    with Http(owner) as http:
        sid = json.loads(http.request("GET", POLL)[2][1:])["sid"]
    with Http(other) as http:
        assert http.request("GET", f"{POLL}&sid={sid}")[2] == b"2"
        assert http.request("POST", f"{POLL}&sid={sid}", body=b"3")[2] == b"ok"
    with Http(other) as http:
        owner.kill()
        status, _, body = http.request("GET", f"{POLL}&sid={sid}")
        assert (status, json.loads(body)["code"]) == (400, 1)
    assert acl_redis.command("ACL", "LOG") == []


def operates(redis, connect, gateway) -> None:
    """The registry is written, an operator looks at the fleet, disconnects and revokes."""
    carol = connect(gateway, mint("carol"))
    with redis.connect(username="operator", password=password("operator"), db=1) as client:
        operator = Operator(client)
        assert operator.gateway_at(gateway.port)["ready"]
        assert operator.total("members", "count", room="user:carol") == 1
        assert operator.total("disconnect", user="carol") == 1
        carol.wait("disconnect")
        operator.revoke("carol", 5)
        operator.unrevoke("carol")
        assert client.hgetall("guesslyfe:revoked") == {}


def recovers(connect, gateway, fresh, redis) -> None:
    """Sessions are kept and found, logs are read."""
    client = connect(gateway, mint("bob"), auth={"recovery": True}, reconnection=True, reconnectionDelay=50)
    assert client.call("subscribe", {"room": "market", "id": fresh.market, "last": 10})["complete"]
    client.drop()
    assert client.wait("connect", 2)["recovered"]
    publish_trade(redis, fresh, 3, **login("publisher"), REDIS_DB=1)
    client.wait_event(TRADE)
    client.disconnect()
    with redis.connect(**ADMIN, db=1) as admin:
        until(lambda: not admin.keys("guesslyfe:session:*"), "its session is dropped")


def script(command: str, *arguments: str) -> tuple:
    words = ", ".join(f"'{word}'" for word in (command, *arguments))
    return "EVAL", f"return redis.call({words})", "1", LOG


ALLOWED = {
    "gateway": [
        ("PING",), ("SELECT", "0"), ("CLIENT", "SETNAME", "x"), ("ROLE",), ("TIME",),
        ("LRANGE", LOG, "0", "-1"), ("LINDEX", LOG, "-1"), script("LRANGE", LOG, "0", "-1"), script("TIME"),
        script("GET", "guesslyfe:{0}:epoch"), script("SET", "guesslyfe:{0}:epoch", "1"),
        ("GET", "guesslyfe:{0}:clock"),
        ("SET", "guesslyfe:session:2", "1", "PX", "1000"),
        ("GET", "guesslyfe:session:2"), ("DEL", "guesslyfe:session:2"),
        ("DEL", "guesslyfe:session:2"), ("PUBLISH", "guesslyfe:to:1", "x"), ("PUBLISH", "guesslyfe:answer:1", "x"),
        ("HGET", "guesslyfe:revoked", "x"), ("HSCAN", "guesslyfe:revoked", "0", "COUNT", "10"),
        ("SET", "guesslyfe:gateway:1", "x", "PX", "1000"), ("ZADD", "guesslyfe:gateways", "1", "1"),
        ("ZREM", "guesslyfe:gateways", "1"), ("HGETALL", "guesslyfe:connections:x"),
        ("EVAL", "return redis.call('GET', KEYS[2])", "2", LOG, "guesslyfe:{0}:clock"),
    ],
    "publisher": [("WAIT", "0", "1"), ("GET", "guesslyfe:{0}:once:k"), ("EXPIRE", LOG, "60"), ("PEXPIRE", LOG, "60000"),
                  ("PUBLISH", "guesslyfe:{0}:room:market:1", "x")],
    "operator": [
        ("INFO",), ("PING",), ("ROLE",), ("CLIENT", "LIST"), ("PUBSUB", "NUMSUB"), ("PUBSUB", "CHANNELS"),
        ("LRANGE", LOG, "0", "-1"), ("LLEN", LOG), ("GET", "guesslyfe:session:1"), ("TTL", LOG), ("SCAN", "0"),
        ("ACL", "WHOAMI"), ("LATENCY", "LATEST"), ("SLOWLOG", "GET"), ("CONFIG", "GET", "maxmemory"),
        ("MEMORY", "USAGE", LOG), ("WAIT", "0", "1"), ("PUBLISH", "guesslyfe:control", "x"),
        ("ZRANGE", "guesslyfe:gateways", "0", "-1"), ("MGET", "guesslyfe:gateway:1"),
        ("HSET", "guesslyfe:revoked", "x", "-"), ("HDEL", "guesslyfe:revoked", "x"), ("HGETALL", "guesslyfe:revoked"),
    ],
}
FOREIGN = [("GET", "foreign"), ("SET", "foreign", "x"), ("PUBLISH", "foreign", "x"),
           ("EVAL", "return redis.call('GET', 'foreign')", "0"), ("EVAL", "return 1", "1", "foreign")]
DESTRUCTIVE = [("FLUSHALL",), ("FLUSHDB",), ("SHUTDOWN",), ("CONFIG", "SET", "maxmemory", "1"), ("KEYS", "*"),
               ("ACL", "SETUSER", "x"), ("REPLICAOF", "NO", "ONE"), ("DEL", LOG), ("RENAME", LOG, LOG + "2"),
               ("CLIENT", "KILL", "ID", "1"), ("SCRIPT", "FLUSH"), ("MONITOR",), ("UNLINK", LOG),
               ("EVAL", f"return redis.call('DEL', '{LOG}')", "1", LOG), ("EVAL", "return redis.call('FLUSHALL')", "0")]
FORBIDDEN = {
    "gateway": [("SET", "guesslyfe:{0}:clock", "1"), ("RPUSH", LOG, "x"), ("LTRIM", LOG, "0", "0"), ("SET", LOG, "x"), ("PEXPIRE", LOG, "1"), ("GET", LOG),
                script("RPUSH", LOG, "x"), script("SET", LOG, "x"), ("CONFIG", "GET", "*"), ("INFO",), ("SCAN", "0"),
                ("SUBSCRIBE", "foreign"), ("PSUBSCRIBE", "*"), ("PSUBSCRIBE", "guesslyfe:*"),
                ("SET", "guesslyfe:{0}:once:k", "1"), ("LRANGE", "foreign", "0", "-1"),
                ("HSET", "guesslyfe:revoked", "x", "1"), ("HDEL", "guesslyfe:revoked", "x"), ("DEL", "guesslyfe:revoked"),
                ("HGETALL", "guesslyfe:revoked"), ("ZADD", "foreign", "1", "1")],
    "publisher": [("SUBSCRIBE", "guesslyfe:{0}:room:market:1"), ("PSUBSCRIBE", "guesslyfe:*"), ("LRANGE", LOG, "0", "-1"),
                  ("GET", "guesslyfe:session:1"), ("SET", "guesslyfe:session:1", "x"), ("INFO",), ("SCAN", "0"),
                  ("CLIENT", "LIST"), ("CONFIG", "GET", "*"), ("HSET", "guesslyfe:revoked", "x", "1"),
                  ("ZRANGE", "guesslyfe:gateways", "0", "-1")],
    "operator": [("SUBSCRIBE", "foreign"), ("SLOWLOG", "RESET"), ("CLIENT", "PAUSE", "1"), ("ACL", "LIST")],
}


def cases(table: dict):
    return [pytest.param(user, command, id=f"{user} {' '.join(command)}")
            for user, commands in table.items() for command in commands]


@pytest.mark.parametrize("user,command", cases(ALLOWED))
def test_allowed(as_user, user, command):
    as_user(user).execute_command(*command)


@pytest.mark.parametrize("user,command", cases({user: [*some, *FOREIGN, *DESTRUCTIVE]
                                                for user, some in FORBIDDEN.items()}))
def test_forbidden(as_user, user, command):
    with pytest.raises(redis_py.ResponseError, match="permission|can't (run|access)"):
        as_user(user).execute_command(*command)


# All of it together


def test_least_rights_by_tls_behind_sentinel(tmp_path, certificates, start_gateway, connect, fresh):
    """Replication, sentinels and both programs, each with its documented user; and then a failover."""
    users = acl_file(tmp_path / "users.acl", "gateway", "publisher", "replica", "sentinel")
    world = SentinelWorld(
        tmp_path, "--aclfile", str(users), "--masteruser", "replica", "--masterauth", password("replica"),
        certificates=certificates, login=ADMIN,
        sentinel_config=[USERS["realtime"], "sentinel auth-user mymaster sentinel",
                         f"sentinel auth-pass mymaster {password('sentinel')}"])
    try:
        follow_a_failover(world, start_gateway, connect, fresh)
    finally:
        world.stop()


def follow_a_failover(world, start_gateway, connect, fresh) -> None:
    settings = world.settings | {"REDIS_SENTINEL_USER": "realtime", "REDIS_SENTINEL_PASSWORD": password("realtime"),
                                 "PUBLISH_TIMEOUT": 1000 * FAILOVER_SECONDS}
    gateway = start_gateway(redis=world, **settings | login("gateway"))
    client = member_of(connect, gateway, fresh)
    publish_trade(world, fresh, 1, **settings | login("publisher"))
    client.wait_event(TRADE)
    new = world.wait_for_failover(world.kill_primary())
    channel = f"guesslyfe:{{0}}:room:market:{fresh.market}"
    until(lambda: new.subscribers(channel) == 1, "the gateway is subscribed at the new primary", 30)
    publish_trade(world, fresh, 2, **settings | login("publisher"))
    client.wait_event(TRADE, 2)
