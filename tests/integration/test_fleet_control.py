"""The fleet knows itself: its registry, what an operator asks and does, revocations, and the limit per user."""
import json
import socket
import time

import pytest

from harness.clients import settle
from harness.fleet import PREFIX, Operator
from harness.raw import RawClient
from harness.tokens import mint
from harness.wait import until

BEAT = 200  # ms; an entry lasts for five of them
QUICK = {"HEARTBEAT": BEAT}
REVOKED = {"message": "Token revoked"}
TOO_MANY = {"message": "Too many connections"}


@pytest.fixture(scope="module")
def operator(redis):
    return Operator(redis.client)


@pytest.fixture(scope="module")
def fleet(module_gateway):
    """Three gateways with the defaults, for the tests that leave them as they are."""
    return [module_gateway(**QUICK) for _ in range(3)]


@pytest.fixture(autouse=True)
def as_it_was(redis, operator, fleet):
    """Nothing is revoked, and all gateways of the fleet listen."""
    yield
    if redis.process is None:
        redis.start()
    operator.client = redis.client
    redis.command("DEL", f"{PREFIX}revoked")
    for gateway in fleet:
        gateway.wait_ready(30)


@pytest.fixture
def join(connect):
    """join(gateway, user, address=None, version=4, **claims): an official client that does not come back by itself."""
    def open_client(gateway, user, address=None, version=4, options=None, **claims):
        return connect(gateway, mint(user, address, **claims), version=version, **(options or {}))
    return open_client


def turned_away(connect, gateway, token) -> dict:
    """What a client is told that is not let in; it must not come back by itself."""
    client = connect(gateway, token, wait=False, reconnection=True)
    error = client.wait_event("error")
    assert client.wait("disconnect")["reason"] == "io server disconnect"
    assert client.events("connected") == []
    return error


def told_and_gone(client, error: dict | None) -> None:
    assert client.wait("disconnect")["reason"] == "io server disconnect"
    assert [argument for _, argument in client.events("error")] == ([error] if error else [])


def now() -> int:
    return int(time.time())


# --- The registry ---


def test_every_gateway_is_registered(fleet, operator, join, fresh):
    client = join(fleet[0], fresh.user)
    raw = RawClient(fleet[0], mint(fresh.user))
    settle(client)
    until(lambda: operator.gateway_at(fleet[0].port)["clients"] == 2, "both clients are in the entry")
    entry = operator.gateway_at(fleet[0].port)
    assert entry["host"] == socket.gethostname()[:64]
    assert entry["pid"] == fleet[0].pid
    assert entry["opsPort"] == fleet[0].ops_port
    assert entry["connections"]["polling"] + entry["connections"]["websocket"] >= 2
    assert (entry["ready"], entry["draining"], entry["worker"]) == (True, False, 0)
    assert (entry["pingInterval"], entry["pingTimeout"], entry["maxConnections"]) == (25000, 60000, 10000)
    assert 0 <= entry["time"] - entry["started"] and abs(time.time() * 1000 - entry["time"]) < 5000
    assert {gateway.port for gateway in fleet} <= {entry["port"] for entry in operator.living().values()}
    raw.close()


def test_deliveries_and_lag_are_told(fleet, operator, join, fresh, trade):
    client = join(fleet[1], fresh.user)
    client.subscribe("market", fresh.market)
    before = operator.gateway_at(fleet[1].port)
    trade()
    client.wait_event("market:trade")
    until(lambda: operator.gateway_at(fleet[1].port)["deliveries"] > before["deliveries"], "the entry counts it")
    entry = operator.gateway_at(fleet[1].port)
    assert entry["received"] > before["received"]
    assert 0 <= entry["lagMs"] < 5000


def test_a_clean_end_is_known_at_once(start_gateway, operator):
    gateway = start_gateway(HEARTBEAT=10000)
    name = operator.gateway_at(gateway.port)["id"]
    gateway.stop()
    assert name not in operator.gateways()


def test_a_killed_gateway_is_known_soon(start_gateway, operator):
    gateway = start_gateway(**QUICK)
    name = operator.gateway_at(gateway.port)["id"]
    gateway.kill()
    assert operator.gateways()[name]
    until(lambda: operator.gateways()[name] is None, "the entry is gone")


def test_the_entry_returns_with_redis(redis, fleet, operator):
    gateway = fleet[0]
    redis.stop()
    gateway.wait_redis("down")
    redis.start(fresh=True)
    operator.client = redis.client
    until(lambda: operator.gateway_at(gateway.port), "the gateway is registered again", 30)


# --- What an operator asks ---


def test_ping_is_answered_by_all(fleet, operator):
    assert set(operator.ask("ping")) == set(operator.living())


def test_members_are_counted_and_listed(fleet, operator, join, fresh):
    clients = [join(gateway, f"{fresh.user}-{n}") for n, gateway in enumerate(fleet)]
    for client in clients:
        client.subscribe("market", fresh.market)
    answers = operator.ask("members", room=f"market:{fresh.market}", limit=10).values()
    assert sum(answer["count"] for answer in answers) == 3
    found = {member["user"]: member["socket"] for answer in answers for member in answer["members"]}
    assert found == {f"{fresh.user}-{n}": client.all("connect")[0]["sid"] for n, client in enumerate(clients)}


def test_the_list_is_cut_and_the_count_is_not(fleet, operator, join, fresh):
    clients = [join(fleet[0], fresh.user, fresh.address) for _ in range(3)]
    room = f"user:{fresh.address.upper().replace('X', 'x')}"
    answers = operator.ask("members", room=room, limit=2).values()
    assert sum(answer["count"] for answer in answers) == len(clients)
    members = [member for answer in answers for member in answer["members"]]
    assert len(members) == 2
    assert {(member["user"], member["address"]) for member in members} == {(fresh.user, fresh.address)}


@pytest.mark.parametrize("by", ["user", "address"])
def test_a_user_is_found_by_either_name(fleet, operator, join, fresh, by):
    client = join(fleet[0], fresh.user, fresh.address, options={"transports": ["websocket"], "auth": {"recovery": True}})
    other = join(fleet[2], fresh.user, fresh.address, version="python")
    client.subscribe("market", fresh.market)
    name = fresh.user if by == "user" else "0x" + fresh.address[2:].upper()
    connections = [found for answer in operator.ask("user", user=name).values() for found in answer["connections"]]
    assert len(connections) == 2
    mine = next(found for found in connections if found["socket"] == client.all("connect")[0]["sid"])
    assert (mine["user"], mine["address"], mine["transport"]) == (fresh.user, fresh.address, "websocket")
    assert mine["peer"].startswith("127.0.0.1")
    assert abs(mine["connectedAt"] - time.time() * 1000) < 60000
    assert set(mine["rooms"]) == {f"user:{fresh.address}", "global:all", f"market:{fresh.market}"}
    assert {found["recovers"] for found in connections} == {True, False}
    settle(other)


def test_nobody_is_found_as_nobody(fleet, operator, fresh):
    assert all(answer == {"count": 0, "connections": []} for answer in operator.ask("user", user=fresh.user).values())
    assert operator.total("members", "count", room=f"market:{fresh.market}") == 0


@pytest.mark.parametrize("verb,arguments,words", [
    ("disconnect", {}, "expected one of"), ("disconnect", {"user": "a", "socket": "b"}, "expected one of"),
    ("disconnect", {"user": ""}, "expected one of"), ("disconnect", {"user": 7}, "expected one of"),
    ("disconnect", {"token": "x" * 2000}, "expected one of"), ("disconnect", {"user": "a b"}, "expected one of"),
    ("members", {}, "expected \"room\""), ("members", {"room": "nonsense"}, "expected \"room\""),
    ("members", {"room": "market:1", "limit": 1001}, "expected \"limit\""),
    ("members", {"room": "market:1", "limit": "5"}, "expected \"limit\""),
    ("user", {}, "expected \"user\""), ("user", {"user": "a,b"}, "expected \"user\""),
    ("revoked", {"user": "a b"}, "expected \"user\""), ("unrevoked", {"user": 7}, "expected \"user\"")], ids=str)
def test_wrong_arguments_are_said(fleet, operator, verb, arguments, words):
    for answer in operator.ask(verb, **arguments).values():
        assert words in answer["error"]


@pytest.mark.parametrize("payload", ["", "nonsense", "[]", "{}", '{"answer":""}', '{"answer":7}', '{"answer":"a:b"}',
                                     '{"answer":"' + "a" * 65 + '"}', '{"answer":"\\u0061"}', "[" * 100])
def test_what_cannot_be_answered_is_dropped(fleet, operator, payload):
    before = fleet[0].metrics()["messages_dropped_total"]
    operator.send("ping", payload)
    until(lambda: fleet[0].metrics()["messages_dropped_total"] == before + 1, "it is counted")
    operator.ask("ping")


def test_a_verb_of_tomorrow_is_passed_over(fleet, operator):
    operator.send("tomorrow", '{"answer":"x"}')
    operator.ask("ping")


# --- disconnect ---


def test_a_user_is_disconnected_everywhere(fleet, operator, join, fresh):
    clients = [join(gateway, fresh.user, fresh.address, version, {"reconnection": True})
               for gateway, version in zip(fleet, (4, 3, "python"))]
    other = join(fleet[0], f"{fresh.user}-other")
    assert operator.total("disconnect", user=fresh.user) == 3
    for client in clients[:2]:
        told_and_gone(client, None)
    clients[2].wait("disconnect")
    settle(other)
    assert operator.total("disconnect", user=fresh.user) == 0
    join(fleet[0], fresh.user, fresh.address)  # it may come back, when it wants to
    assert operator.total("disconnect", user=fresh.address.upper().replace("X", "x")) == 1


def test_a_user_who_has_left_its_own_rooms_is_found(fleet, operator, join, fresh):
    client = join(fleet[0], fresh.user, fresh.address)
    client.unsubscribe("user", fresh.address)
    client.unsubscribe("global", "all")
    assert client.call("getRooms") == []
    assert operator.total("disconnect", user=fresh.user) == 1
    told_and_gone(client, None)


def test_one_socket_is_disconnected(fleet, operator, join, fresh):
    first, second = join(fleet[0], fresh.user), join(fleet[0], fresh.user)
    assert operator.total("disconnect", socket=first.all("connect")[0]["sid"]) == 1
    told_and_gone(first, None)
    settle(second)
    assert second.all("disconnect") == []


def test_one_token_is_disconnected(fleet, operator, join, fresh):
    with_token = [join(gateway, fresh.user, jti=f"{fresh.user}-token") for gateway in fleet[:2]]
    without, another = join(fleet[0], fresh.user), join(fleet[0], fresh.user, jti="another")
    assert operator.total("disconnect", token=f"{fresh.user}-token") == 2
    for client in with_token:
        told_and_gone(client, None)
    for client in (without, another):
        settle(client)
        assert client.all("disconnect") == []


def test_whoever_was_disconnected_does_not_recover(redis, fleet, operator, join, fresh):
    client = join(fleet[0], fresh.user, options={"auth": {"recovery": True}})
    pid = client.all("connect")[0]["pid"]
    assert redis.command("EXISTS", f"{PREFIX}session:{pid}") == 1
    assert operator.total("disconnect", user=fresh.user) == 1
    client.wait("disconnect")
    until(lambda: redis.command("EXISTS", f"{PREFIX}session:{pid}") == 0, "its session is gone")
    client.reconnect(fleet[1].url)
    assert client.wait("connect", 2)["recovered"] is False


def test_many_are_disconnected_while_others_go_on(fleet, operator, join, fresh):
    raws = [RawClient(fleet[0], mint(fresh.user)) for _ in range(300)]
    witness = join(fleet[0], f"{fresh.user}-witness")
    assert operator.total("disconnect", user=fresh.user) == 300
    for raw in raws:
        assert raw.receive_until("41") == "41"
        raw.close()
    settle(witness)


# --- Revocations ---


@pytest.mark.parametrize("by", ["user", "address"])
def test_a_revoked_user_is_gone_from_everywhere_and_stays_out(fleet, operator, join, connect, fresh, by):
    clients = [join(gateway, fresh.user, fresh.address, options={"reconnection": True}) for gateway in fleet]
    other = join(fleet[0], f"{fresh.user}-other")
    began = time.monotonic()
    assert operator.revoke(fresh.user if by == "user" else fresh.address) == 3
    for client in clients:
        told_and_gone(client, REVOKED)
    assert time.monotonic() - began < 1
    for gateway in fleet:
        assert turned_away(connect, gateway, mint(fresh.user, fresh.address, iat=now() + 100)) == REVOKED
    settle(other)
    assert other.all("disconnect") == []


def test_a_user_may_be_named_by_sub_whatever_its_address(fleet, operator, join, connect, fresh):
    operator.revoke(fresh.address)
    assert turned_away(connect, fleet[0], mint(fresh.user, "0x" + fresh.address[2:].upper())) == REVOKED
    join(fleet[0], fresh.user)  # the same user, without that address


def test_older_tokens_go_and_younger_ones_stay(fleet, operator, join, connect, fresh):
    line = now() - 100
    old, edge, young = (join(fleet[0], fresh.user, iat=line + offset) for offset in (-1, 0, 1))
    unknown = join(fleet[1], fresh.user)
    assert operator.revoke(fresh.user, line) == 2
    told_and_gone(old, REVOKED)
    told_and_gone(unknown, REVOKED)
    for client in (edge, young):
        settle(client)
        assert client.all("disconnect") == []
    assert turned_away(connect, fleet[2], mint(fresh.user, iat=line - 1)) == REVOKED
    assert turned_away(connect, fleet[2], mint(fresh.user, iat=line - 0.5)) == REVOKED
    assert turned_away(connect, fleet[2], mint(fresh.user, iat="yesterday")) == REVOKED
    join(fleet[2], fresh.user, iat=line)


def test_everybody_can_be_revoked(start_gateway, operator, join, connect, fresh):
    gateway = start_gateway(**QUICK)
    line = now() - 100
    old, young = join(gateway, fresh.user, iat=line - 1), join(gateway, f"{fresh.user}-2", iat=line)
    operator.revoke(None, line)
    told_and_gone(old, REVOKED)
    settle(young)
    assert turned_away(connect, gateway, mint(f"{fresh.user}-3")) == REVOKED
    operator.unrevoke(None)
    join(gateway, fresh.user, iat=line - 1)


def test_what_was_taken_back_is_good_again(fleet, operator, join, connect, fresh):
    operator.revoke(fresh.user)
    assert turned_away(connect, fleet[1], mint(fresh.user)) == REVOKED
    operator.unrevoke(fresh.user)
    join(fleet[1], fresh.user)


def test_a_revoked_client_does_not_recover(fleet, operator, join, fresh):
    client = join(fleet[0], fresh.user, options={"auth": {"recovery": True}})
    times = len(client.all("disconnect"))
    client.drop()
    client.wait("disconnect", times + 1)
    assert operator.revoke(fresh.user) == 0
    client.reconnect(fleet[1].url)
    assert client.wait_event("error") == REVOKED
    assert client.wait("disconnect", times + 2)["reason"] == "io server disconnect"
    assert not client.all("connect")[1].get("recovered")
    assert len(client.events("connected")) == 1


def test_it_outlasts_gateways_and_redis(redis, start_gateway, operator, connect, fresh):
    first = start_gateway(**QUICK)
    operator.revoke(fresh.user)
    first.stop()
    second = start_gateway(**QUICK)
    assert turned_away(connect, second, mint(fresh.user)) == REVOKED
    redis.stop()
    second.wait_redis("down")
    assert turned_away(connect, second, mint(fresh.user)) == REVOKED
    redis.start()
    operator.client = redis.client
    second.wait_ready(30)
    assert turned_away(connect, second, mint(fresh.user)) == REVOKED
    assert turned_away(connect, start_gateway(**QUICK), mint(fresh.user)) == REVOKED


def test_what_a_gateway_did_not_hear_is_applied_on_return(redis, start_gateway, operator, join, fresh):
    """Revoked while the gateway had no connection: by hand, and nobody tells it."""
    gateway = start_gateway(**QUICK, REDIS_BACKOFF_MIN=1000, REDIS_BACKOFF_MAX=1000)
    client, other = join(gateway, fresh.user), join(gateway, f"{fresh.user}-other")
    redis.stop()
    gateway.wait_redis("down")
    redis.start()
    operator.client = redis.client
    redis.command("HSET", f"{PREFIX}revoked", fresh.user, "-")
    assert gateway.health()["redis"] == "down"
    told_and_gone(client, REVOKED)
    settle(other)
    assert other.all("disconnect") == []


def test_nobody_comes_in_before_revocations_are_read(redis, start_gateway, connect, fresh):
    """Who is revoked gets nothing; who is not waits, and is let in when they are."""
    redis.command("HSET", f"{PREFIX}revoked", fresh.user, "-")
    redis.stop()
    gateway = start_gateway(ready=False, **QUICK)
    revoked = connect(gateway, mint(fresh.user), wait=False)
    good = connect(gateway, mint(f"{fresh.user}-good"), wait=False)
    until(lambda: gateway.health()["sessions"] == 2, "both have a session")
    assert not any(client.all("connect") or client.all("event") for client in (revoked, good))
    redis.start()
    assert revoked.wait_event("error", seconds=30) == REVOKED
    good.wait_event("connected", seconds=30)
    assert revoked.events("connected") == []


def test_a_gateway_that_may_not_read_them_is_not_ready(redis, start_gateway):
    redis.command("SET", f"{PREFIX}revoked", "what is no hash")
    gateway = start_gateway(ready=False, **QUICK)
    gateway.wait_not_ready("revocations are not read yet")
    assert not operator_sees_ready(redis, gateway)
    redis.command("DEL", f"{PREFIX}revoked")
    gateway.wait_ready()


def operator_sees_ready(redis, gateway) -> bool:
    return until(lambda: Operator(redis.client).gateway_at(gateway.port), "it is registered")["ready"]


def test_what_is_no_revocation_is_left_out(redis, start_gateway, join, connect, fresh):
    redis.command("HSET", f"{PREFIX}revoked", fresh.user, "yes", "a b", "-", f"{fresh.user}-2", "-")
    gateway = start_gateway(**QUICK)
    gateway.wait_log("revocation not understood, left out", 2)
    join(gateway, fresh.user)
    assert turned_away(connect, gateway, mint(f"{fresh.user}-2")) == REVOKED
    assert gateway.metrics()["revocations"] == 1
    assert gateway.metrics()["authentication_failures_total", "revoked"] == 1


def test_a_large_table_is_read_whole(redis, start_gateway, operator, join, connect, fresh):
    pipeline = redis.client.pipeline(transaction=False)
    for start in range(0, 30000, 1000):
        pipeline.hset(f"{PREFIX}revoked", mapping={f"revoked{n}": "-" for n in range(start, start + 1000)})
    pipeline.execute()
    gateway = start_gateway(**QUICK)
    assert gateway.metrics()["revocations"] == 30000
    for number in (0, 12345, 29999):
        assert turned_away(connect, gateway, mint(f"revoked{number}")) == REVOKED
    join(gateway, fresh.user)
    assert operator.revoke(fresh.user) == 1


# --- The limit per user ---


LIMITED = QUICK | {"MAX_CONNECTIONS_PER_USER": 3}


@pytest.fixture
def limited(start_gateway):
    return [start_gateway(**LIMITED) for _ in range(2)]


def held(redis, user: str) -> int:
    return sum(int(count) for count in redis.client.hvals(f"{PREFIX}connections:{user}"))


def test_all_gateways_count_together(redis, limited, join, connect, fresh):
    clients = [join(limited[n % 2], fresh.user) for n in range(3)]
    assert turned_away(connect, limited[0], mint(fresh.user)) == TOO_MANY
    assert turned_away(connect, limited[1], mint(fresh.user)) == TOO_MANY
    join(limited[0], f"{fresh.user}-other")
    assert held(redis, fresh.user) == 3
    clients[0].disconnect()
    join(limited[1], fresh.user)
    assert sum(gateway.metrics()["clients_over_limit_total"] for gateway in limited) == 2


def test_what_was_given_back_leaves_nothing(redis, limited, join, fresh):
    clients = [join(gateway, fresh.user) for gateway in limited]
    for client in clients:
        client.disconnect()
    until(lambda: redis.command("EXISTS", f"{PREFIX}connections:{fresh.user}") == 0, "nobody counts any more")


def test_many_at_once_are_as_many_as_may_be(limited, connect, fresh):
    clients = [connect(limited[n % 2], mint(fresh.user), wait=False) for n in range(9)]
    for client in clients:
        client.wait_for(lambda client=client: client.events(), "it is told")
    assert sum(bool(client.events("connected")) for client in clients) == 3
    assert sum(client.events("error") == [("error", TOO_MANY)] for client in clients) == 6


def test_a_killed_gateways_clients_come_back(limited, join, fresh):
    """At once, when its entry has not gone yet."""
    for _ in range(3):
        join(limited[0], fresh.user)
    limited[0].kill()
    for _ in range(3):
        join(limited[1], fresh.user)


@pytest.mark.parametrize("other", [False, True], ids=["the same gateway", "another"])
def test_its_own_dead_connection_keeps_nobody_out(start_gateway, join, fresh, other):
    gateways = [start_gateway(**QUICK | {"MAX_CONNECTIONS_PER_USER": 1}) for _ in range(2)]
    raw = RawClient(gateways[0], mint(fresh.user), {"recovery": True})
    offset = json.loads(raw.receive_until('42["connected"')[2:])[-1]
    pid = json.loads(raw.connected[2:])["pid"]
    back = RawClient(gateways[other], mint(fresh.user), {"recovery": True, "pid": pid, "offset": offset})
    assert json.loads(back.connected[2:]).get("pid") == pid, (back.connected, back.receive())
    back.receive_until('42["connected"')
    assert raw.rest() == []
    back.close()


def test_it_is_counted_again_when_redis_has_lost_it(redis, limited, operator, join, connect, fresh):
    clients = [join(limited[n % 2], fresh.user, options={"reconnection": True}) for n in range(3)]
    redis.command("DEL", f"{PREFIX}connections:{fresh.user}")
    redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    until(lambda: held(redis, fresh.user) == 3, "all are counted again")
    assert turned_away(connect, limited[0], mint(fresh.user)) == TOO_MANY
    for client in clients:
        settle(client)


def test_a_revoked_user_gives_its_places_back(redis, limited, operator, join, fresh):
    for _ in range(3):
        join(limited[0], fresh.user)
    assert operator.revoke(fresh.user) == 3
    until(lambda: held(redis, fresh.user) == 0, "its places are free")


def test_without_a_limit_nobody_is_counted(redis, fleet, join, fresh):
    join(fleet[0], fresh.user)
    assert redis.command("EXISTS", f"{PREFIX}connections:{fresh.user}") == 0
