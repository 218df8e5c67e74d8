"""What is measured: scenarios, each of them a server's whole life, and the figures read from them."""

import dataclasses

from servers import SERVERS


@dataclasses.dataclass
class Scenario:
    name: str
    clients: int
    works: list  # of (key, work of the load generator); no key for what only warms up
    servers: list
    options: tuple = ()  # for the load generator
    rooms: int = 1
    recovery: bool = False  # the clients ask for it, where the server has it
    once: bool = False  # in the first turn only
    settings: tuple = ()  # for the gateway
    tls: bool = False
    at: int = 0  # of a curve: how many there are of what it is over


def _names(condition):
    return [server.name for server in SERVERS if condition(server)]


def scenarios(size):
    """`size` is full, quick or smoke."""
    clients, many, rooms, seconds, events = {
        "full": (10000, 19000, 1000, 10, 50),
        "quick": (2000, 2000, 200, 3, 100),
        "smoke": (200, 200, 20, 1, 20),
    }[size]
    warm = (None, f"warm:{min(500, clients // 10)}")
    heartbeat = ("heartbeats", f"idle:{26 if size != 'smoke' else 1}")
    peers = _names(lambda server: not server.is_floor)
    polling = _names(lambda server: server.polling)
    return [
        Scenario("room", clients, [
            warm, ("connect", "connect"), ("idle", "idle:3"), ("subscribe", "subscribe"),
            (None, "fanout:1:3"), ("one", f"fanout:1:{events}"),
            (None, "fanout:16:32"), ("sixteen", f"fanout:16:{events * 16}"),
            ("pace", f"pace:10:{10 * seconds}"), ("close", "close")],
            _names(lambda server: True)),
        Scenario("upgrade", clients, [warm, ("upgrade", "connect"), ("close", "close")],
                 ["floor-1", "gateway", "bun", "socketioxide", "socket.io"], options=("--bare",)),
        Scenario("rooms", clients, [
            warm, ("connect", "connect"), ("subscribe", "subscribe"),
            (None, f"pace:{rooms}:{rooms}"), ("rooms", f"pace:{rooms}:{rooms * seconds}"),
            ("close", "close")], peers, rooms=rooms),
        Scenario("storm", clients, [
            warm, ("connect", "connect"), ("subscribe", "subscribe"), ("storm", "storm:5:1000"),
            ("close", "close")], peers, recovery=True),
        Scenario("many", many, [
            warm, ("connect", "connect"), ("idle", "idle:3"), heartbeat, ("close", "close")],
            peers, recovery=True, once=True),
        Scenario("poll", clients, [
            warm, ("connect", "connect"), ("subscribe", "subscribe"), (None, "fanout:1:2"),
            ("one", f"fanout:1:{events // 5}"), ("close", "close")],
            polling, options=("--polling",)),
        Scenario("poll-idle", many, [
            warm, ("connect", "connect"), ("idle", "idle:3"), ("close", "close")],
            polling, options=("--polling",), recovery=True, once=True),
        Scenario("tls", clients, [
            warm, ("connect", "connect"), ("idle", "idle:3"), ("subscribe", "subscribe"),
            (None, "fanout:1:3"), ("one", f"fanout:1:{events}"),
            (None, "fanout:16:32"), ("sixteen", f"fanout:16:{events * 16}"), ("close", "close")],
            _names(lambda server: server.tls), options=("--tls",), tls=True),
    ]


def _clients_curve(clients, events):
    return Scenario(f"clients-{clients}", clients, [
        (None, f"warm:{min(500, clients // 2)}"), ("connect", "connect"), ("idle", "idle:2"),
        ("subscribe", "subscribe"), (None, "fanout:1:3"), ("one", f"fanout:1:{events}"),
        ("close", "close")], ["gateway"], once=True, at=clients)


def _rooms_curve(rooms, clients, events):
    return Scenario(f"rooms-{rooms}", clients, [
        (None, f"warm:{clients // 2}"), ("connect", "connect"), ("before", "idle:1"),
        ("subscribe", "subscribe"), ("after", "idle:1"), (None, "fanout:16:1000"),
        ("sixteen", f"fanout:16:{events}"), ("close", "close")], ["gateway"], rooms=rooms,
        once=True, settings=("MAX_ROOMS=1000",), at=rooms)


def _events_curve(events, clients):
    return Scenario(f"events-{events}", clients, [
        (None, f"warm:{clients // 2}"), ("connect", "connect"), ("subscribe", "subscribe"),
        (None, "fanout:16:500"), ("sixteen", f"fanout:16:{events}"), ("close", "close")],
        ["gateway"], options=("--keep",), rooms=clients, once=True, at=events)


def curves(size):
    """What the gateway's cost of one client, room or event becomes as there are more of them."""
    clients, rooms, events, few = {
        "full": ((1000, 2000, 5000, 10000, 19000), (1000, 3000, 10000, 30000, 100000),
                 (1000, 3000, 10000, 30000, 100000), 1000),
        "quick": ((500, 1000, 2000), (500, 2500, 10000), (500, 2500, 10000), 500),
        "smoke": ((100, 200), (100, 200), (100, 200), 100),
    }[size]
    deliveries = {"full": 500000, "quick": 100000, "smoke": 1000}[size]
    return {
        "clients": [_clients_curve(n, max(5, deliveries // n)) for n in clients],
        "rooms": [_rooms_curve(n, few, deliveries // 50) for n in rooms],
        "events": [_events_curve(n, few) for n in events],
    }


@dataclasses.dataclass
class Line:
    """One of a curve: `read` takes the lines of the scenario, by their keys."""

    over: str
    title: str
    read: callable
    form: str = ",.1f"


def _cpu(key):
    return lambda lines: lines[key]["server_cpu_us_each"]


def _bytes_a_room(lines):
    grown = lines["after"]["private_bytes"] - lines["before"]["private_bytes"]
    return grown / lines["scenario"].rooms


LINES = [
    Line("clients", "CPU µs a handshake", _cpu("connect")),
    Line("clients", "bytes an idle client", lambda lines: lines["idle"]["bytes_per_client"],
         ",.0f"),
    Line("clients", "CPU µs a delivery, one at a time", _cpu("one"), ",.2f"),
    Line("rooms", "CPU µs a subscription", lambda lines: lines["subscribe"]["server_cpu_us_each"]
         * lines["scenario"].clients / lines["scenario"].rooms),
    Line("rooms", "bytes a room", _bytes_a_room, ",.0f"),
    Line("rooms", "CPU µs an event, each to one room", _cpu("sixteen")),
    Line("events", "CPU µs an event that is kept, each to one room", _cpu("sixteen")),
]


@dataclasses.dataclass
class Figure:
    scenario: str
    key: str
    title: str
    read: callable  # from the line of JSON
    form: str
    more_is_better: bool = True
    plotted: bool = True


def _percentile(name):
    return lambda line: line["latency_us"][name] / 1000


def _busy(line):
    return line["server_busy"] * 100


FIGURES = [
    Figure("room", "connect", "connect: handshakes a second", lambda r: r["per_second"], ",.0f"),
    Figure("room", "connect", "connect: CPU µs a handshake", lambda r: r["server_cpu_us_each"],
           ",.1f", False),
    Figure("upgrade", "upgrade", "accept and upgrade alone: a second", lambda r: r["per_second"],
           ",.0f"),
    Figure("room", "idle", "idle: bytes a client", lambda r: r["bytes_per_client"], ",.0f", False),
    Figure("many", "idle", "idle, {many} clients: bytes a client",
           lambda r: r["bytes_per_client"], ",.0f", False),
    Figure("many", "heartbeats", "heartbeats of {many} clients: % of a core", _busy, ".2f", False,
           False),
    Figure("room", "one", "fan-out, one at a time: deliveries a second",
           lambda r: r["per_second"], ",.0f"),
    Figure("room", "one", "fan-out, one at a time: CPU µs a delivery",
           lambda r: r["server_cpu_us_each"], ",.2f", False),
    Figure("room", "sixteen", "fan-out, 16 in flight: deliveries a second",
           lambda r: r["per_second"], ",.0f"),
    Figure("room", "sixteen", "fan-out, 16 in flight: CPU µs a delivery",
           lambda r: r["server_cpu_us_each"], ",.2f", False),
    Figure("room", "pace", "10 events a second: p50 ms", _percentile("p50"), ",.1f", False, False),
    Figure("room", "pace", "10 events a second: p99 ms", _percentile("p99"), ",.1f", False),
    Figure("room", "pace", "10 events a second: max ms", _percentile("max"), ",.1f", False, False),
    Figure("rooms", "rooms", "{rooms} rooms, {rooms} events a second: % of a core", _busy, ".1f",
           False),
    Figure("rooms", "rooms", "{rooms} rooms, {rooms} events a second: p99 ms", _percentile("p99"),
           ",.2f", False),
    Figure("storm", "storm", "reconnect storm: clients back a second", lambda r: r["per_second"],
           ",.0f"),
    Figure("storm", "storm", "reconnect storm: CPU µs a client",
           lambda r: r["server_cpu_us_each"], ",.1f", False),
    Figure("storm", "storm", "reconnect storm: missed events that came, %",
           lambda r: 100 - 100 * r["lost"] / max(1, r["expected"] - r["clients"]), ".0f", True,
           False),
    Figure("poll-idle", "idle", "polling, idle, {many} clients: bytes a client",
           lambda r: r["bytes_per_client"], ",.0f", False),
    Figure("poll", "connect", "polling: handshakes a second", lambda r: r["per_second"], ",.0f"),
    Figure("poll", "one", "polling, fan-out one at a time: CPU µs a delivery",
           lambda r: r["server_cpu_us_each"], ",.2f", False),
    Figure("tls", "connect", "TLS: full handshakes a second", lambda r: r["per_second"], ",.0f"),
    Figure("tls", "connect", "TLS: CPU µs a full handshake", lambda r: r["server_cpu_us_each"],
           ",.1f", False),
    Figure("tls", "idle", "TLS, idle: bytes a client", lambda r: r["bytes_per_client"], ",.0f",
           False),
    Figure("tls", "one", "TLS, fan-out one at a time: CPU µs a delivery",
           lambda r: r["server_cpu_us_each"], ",.2f", False),
    Figure("tls", "sixteen", "TLS, fan-out 16 in flight: deliveries a second",
           lambda r: r["per_second"], ",.0f"),
    Figure("tls", "sixteen", "TLS, fan-out 16 in flight: CPU µs a delivery",
           lambda r: r["server_cpu_us_each"], ",.2f", False),
]

# What is measured over TLS as in the scenario "room" over plain TCP.
TLS_FIGURES = [figure for figure in FIGURES if figure.scenario == "room"
               and figure.key in ("connect", "idle", "one", "sixteen")]


@dataclasses.dataclass
class Target:
    """What the gateway is to reach: `read` takes the medians and returns a number or None."""

    title: str
    read: callable  # (value of) -> number; value(server, scenario, key, read or field)
    limit: float
    at_least: bool
    form: str = ".2f"


def _rate(value, server, scenario, key):
    return value(server, scenario, key, lambda r: r["per_second"])


def _ratio(upper, lower):
    return upper / lower if upper is not None and lower else None


def _rate_against(scenario, key, server, their_scenario=None, their_key=None):
    return lambda value: _ratio(
        _rate(value, "gateway", scenario, key),
        _rate(value, server, their_scenario or scenario, their_key or key))


def _own(scenario, key, read):
    return lambda value: value("gateway", scenario, key, read)


def _polling_extra(value):
    def idle(scenario):
        return value("gateway", scenario, "idle", lambda r: r["bytes_per_client"])
    polling, websocket = idle("poll-idle"), idle("many")
    return None if polling is None or websocket is None else polling - websocket


def _least_peer_cpu(value):
    others = [value(server.name, "rooms", "rooms", _busy) for server in SERVERS
              if server.name != "gateway"]
    others = [other for other in others if other is not None]
    own = value("gateway", "rooms", "rooms", _busy)
    return own / min(others) if others and own is not None else None


TARGETS = [
    Target("fan-out one at a time, against one `send` a delivery",
           _rate_against("room", "one", "floor-1"), 0.95, True),
    Target("fan-out 16 in flight, against Bun", _rate_against("room", "sixteen", "bun"), 1, True),
    Target("fan-out 16 in flight, against 16 messages a `send`",
           _rate_against("room", "sixteen", "floor-16"), 0.8, True),
    Target("connect, against accept and upgrade alone in the floor",
           _rate_against("room", "connect", "floor-1", "upgrade", "upgrade"), 0.5, True),
    Target("connect, against Socket.IO on Node", _rate_against("room", "connect", "socket.io"),
           12, True, ".1f"),
    Target("bytes an idle client, {many} clients with recovery",
           _own("many", "idle", lambda r: r["bytes_per_client"]), 1024, False, ",.0f"),
    Target("bytes more for one that polls", _polling_extra, 400, False, ",.0f"),
    Target("heartbeats of {many} clients, % of a core", _own("many", "heartbeats", _busy), 1.5,
           False),
    Target("{rooms} rooms: CPU against the best peer", _least_peer_cpu, 1, False),
    Target("{rooms} rooms: p99 ms", _own("rooms", "rooms", _percentile("p99")), 2, False),
    Target("longest turn of the loop, ms",
           lambda value: value.worst("gateway", "turn", lambda r: r["longest_ms"]), 20, False,
           ".0f"),
    Target("publish in bulk, against redis-benchmark of the same script",
           lambda value: _ratio(value("library", "publish", "bulk", lambda r: r["per_second"]),
                                value("redis-benchmark", "publish", "bulk",
                                      lambda r: r["per_second"])), 0.8, True),
]
