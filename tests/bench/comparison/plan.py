"""What is measured: scenarios, each a server's whole life, and the figures read from them."""

import dataclasses

from comparison.servers import SERVERS


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
    rounds: int = 1  # in each turn, the servers one after the other
    settings: tuple = ()  # for the gateway
    tls: bool = False
    at: int = 0  # of a curve: how many there are of what it is over


def _names(condition):
    return [server.name for server in SERVERS if condition(server)]


def scenarios(size):
    """`size` is full, quick or smoke."""
    clients, many, rooms, seconds, events, rounds = {
        "full": (10000, 19000, 1000, 10, 50, 10),
        "quick": (2000, 2000, 200, 3, 100, 3),
        "smoke": (200, 200, 20, 1, 20, 1),
    }[size]
    warm = (None, f"warm:{min(500, clients // 10)}")
    heartbeat = ("heartbeats", f"idle:{26 if size != 'smoke' else 1}")
    real = _names(lambda server: not server.is_floor)
    polling = _names(lambda server: server.polling)
    room = [warm, ("connect", "connect"), ("idle", "idle:3"), ("subscribe", "subscribe"),
            (None, "fanout:1:3"), ("one", f"fanout:1:{events}"),
            (None, "fanout:16:32"), ("sixteen", f"fanout:16:{events * 16}")]
    return [
        Scenario("room", clients, [*room, ("pace", f"pace:10:{10 * seconds}"), ("close", "close")],
                 _names(lambda server: True)),
        Scenario("pairs", clients, [
            warm, ("connect", "connect"), ("subscribe", "subscribe"), (None, "fanout:1:3"),
            ("one", f"fanout:1:{events}"), ("close", "close")],
            ["floor-1", "gateway"], rounds=rounds),
        Scenario("upgrade", clients, [warm, ("upgrade", "connect"), ("close", "close")],
                 ["floor-1", "gateway", "bun", "socketioxide", "socket.io"], options=("--bare",)),
        Scenario("rooms", clients, [
            warm, ("connect", "connect"), ("subscribe", "subscribe"),
            (None, f"pace:{rooms}:{rooms}"), ("rooms", f"pace:{rooms}:{rooms * seconds}"),
            ("close", "close")], real, rooms=rooms),
        Scenario("storm", clients, [
            warm, ("connect", "connect"), ("subscribe", "subscribe"), ("storm", "storm:5:1000"),
            ("close", "close")], real, recovery=True),
        Scenario("many", many, [
            warm, ("connect", "connect"), ("idle", "idle:3"), heartbeat, ("close", "close")],
            real, recovery=True, once=True),
        Scenario("poll", clients, [
            warm, ("connect", "connect"), ("subscribe", "subscribe"), (None, "fanout:1:2"),
            ("one", f"fanout:1:{events // 5}"), ("close", "close")],
            polling, options=("--polling",)),
        Scenario("poll-idle", many, [
            warm, ("connect", "connect"), ("idle", "idle:3"), ("close", "close")],
            polling, options=("--polling",), recovery=True, once=True),
        Scenario("tls", clients, [*room, ("close", "close")], _names(lambda server: server.tls),
                 options=("--tls",), tls=True),
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


# --- What is read from the lines of JSON ---

def _per_second(line):
    return line["per_second"]


def _cpu_each(line):
    return line["server_cpu_us_each"]


def _bytes_each(line):
    return line["bytes_per_client"]


def _busy(line):
    return line["server_busy"] * 100


def _percentile(name):
    return lambda line: line["latency_us"][name] / 1000


def _came_late(line):
    """Of the events that were missed, in percent; one more came when all were back."""
    return 100 - 100 * line["lost"] / max(1, line["expected"] - line["clients"])


# --- The curves ---

@dataclasses.dataclass
class Line:
    """One of a curve: `read` takes the lines of the scenario, by their keys."""

    over: str
    title: str
    read: callable
    form: str = ",.1f"


def _cpu_of(key):
    return lambda lines: _cpu_each(lines[key])


def _cpu_of_a_subscription(lines):
    scenario = lines["scenario"]
    return _cpu_each(lines["subscribe"]) * scenario.clients / scenario.rooms


def _bytes_of_a_room(lines):
    grown = lines["after"]["private_bytes"] - lines["before"]["private_bytes"]
    return grown / lines["scenario"].rooms


LINES = [
    Line("clients", "CPU µs a handshake", _cpu_of("connect")),
    Line("clients", "bytes an idle client", lambda lines: _bytes_each(lines["idle"]), ",.0f"),
    Line("clients", "CPU µs a delivery, one at a time", _cpu_of("one"), ",.2f"),
    Line("rooms", "CPU µs a subscription", _cpu_of_a_subscription),
    Line("rooms", "bytes a room", _bytes_of_a_room, ",.0f"),
    Line("rooms", "CPU µs an event, each to one room", _cpu_of("sixteen")),
    Line("events", "CPU µs an event that is kept, each to one room", _cpu_of("sixteen")),
]


# --- The figures of all servers ---

@dataclasses.dataclass
class Figure:
    scenario: str
    key: str
    title: str
    read: callable  # from the line of JSON
    form: str
    more_is_better: bool = False
    plotted: bool = True


def _rate(scenario, key, title):
    return Figure(scenario, key, title, _per_second, ",.0f", more_is_better=True)


def _cpu(scenario, key, title, form=",.2f"):
    return Figure(scenario, key, title, _cpu_each, form)


def _bytes(scenario, title):
    return Figure(scenario, "idle", title, _bytes_each, ",.0f")


FIGURES = [
    _rate("room", "connect", "connect: handshakes a second"),
    _cpu("room", "connect", "connect: CPU µs a handshake", ",.1f"),
    _rate("upgrade", "upgrade", "accept and upgrade alone: a second"),
    _bytes("room", "idle: bytes a client"),
    _bytes("many", "idle, {many} clients: bytes a client"),
    Figure("many", "heartbeats", "heartbeats of {many} clients: % of a core", _busy, ".2f",
           plotted=False),
    _rate("room", "one", "fan-out, one at a time: deliveries a second"),
    _cpu("room", "one", "fan-out, one at a time: CPU µs a delivery"),
    _rate("room", "sixteen", "fan-out, 16 in flight: deliveries a second"),
    _cpu("room", "sixteen", "fan-out, 16 in flight: CPU µs a delivery"),
    Figure("room", "pace", "10 events a second: p50 ms", _percentile("p50"), ",.1f", plotted=False),
    Figure("room", "pace", "10 events a second: p99 ms", _percentile("p99"), ",.1f"),
    Figure("room", "pace", "10 events a second: max ms", _percentile("max"), ",.1f", plotted=False),
    Figure("rooms", "rooms", "{rooms} rooms, {rooms} events a second: % of a core", _busy, ".1f"),
    Figure("rooms", "rooms", "{rooms} rooms, {rooms} events a second: p99 ms", _percentile("p99"),
           ",.2f"),
    _rate("storm", "storm", "reconnect storm: clients back a second"),
    _cpu("storm", "storm", "reconnect storm: CPU µs a client", ",.1f"),
    Figure("storm", "storm", "reconnect storm: missed events that came, %", _came_late, ".0f",
           more_is_better=True, plotted=False),
    _bytes("poll-idle", "polling, idle, {many} clients: bytes a client"),
    _rate("poll", "connect", "polling: handshakes a second"),
    _cpu("poll", "one", "polling, fan-out one at a time: CPU µs a delivery"),
    _rate("tls", "connect", "TLS: full handshakes a second"),
    _cpu("tls", "connect", "TLS: CPU µs a full handshake", ",.1f"),
    _bytes("tls", "TLS, idle: bytes a client"),
    _cpu("tls", "one", "TLS, fan-out one at a time: CPU µs a delivery"),
    _rate("tls", "sixteen", "TLS, fan-out 16 in flight: deliveries a second"),
    _cpu("tls", "sixteen", "TLS, fan-out 16 in flight: CPU µs a delivery"),
]

# What is measured over TLS as in the scenario "room" over plain TCP.
TLS_FIGURES = [figure for figure in FIGURES if figure.scenario == "room"
               and figure.key in ("connect", "idle", "one", "sixteen")]


# --- What the gateway is to reach ---

@dataclasses.dataclass
class Target:
    """`read` takes report.Medians and returns a number, or None where it was not measured."""

    title: str
    read: callable
    limit: float
    at_least: bool
    digits: int = 2  # behind the point

    def is_met(self, value):
        return value >= self.limit if self.at_least else value <= self.limit

    def shown(self, value):
        """With so many digits that it is not rounded to the other side of the limit."""
        digits = self.digits
        while self.is_met(round(value, digits)) != self.is_met(value):
            digits += 1
        return f"{value:,.{digits}f}"


def _ratio(upper, lower):
    return upper / lower if upper is not None and lower else None


def _rate_against(scenario, key, server, their_scenario=None, their_key=None):
    return lambda median: _ratio(
        median("gateway", scenario, key, _per_second),
        median(server, their_scenario or scenario, their_key or key, _per_second))


def _own(scenario, key, read):
    return lambda median: median("gateway", scenario, key, read)


def _polling_extra(median):
    polling, websocket = (median("gateway", scenario, "idle", _bytes_each)
                          for scenario in ("poll-idle", "many"))
    return None if polling is None or websocket is None else polling - websocket


def _cpu_against_the_best_peer(median):
    peers = [median(server.name, "rooms", "rooms", _busy) for server in SERVERS if server.is_peer]
    best = min((peer for peer in peers if peer is not None), default=None)
    return _ratio(median("gateway", "rooms", "rooms", _busy), best)


def _bulk_against_redis(median):
    return _ratio(*(median(who, "publish", "bulk", _per_second)
                    for who in ("library", "redis-benchmark")))


TARGETS = [
    Target("fan-out one at a time, against one `send` a delivery",
           _rate_against("pairs", "one", "floor-1"), 0.95, True),
    Target("fan-out 16 in flight, against Bun", _rate_against("room", "sixteen", "bun"), 1, True),
    Target("fan-out 16 in flight, against 16 messages a `send`",
           _rate_against("room", "sixteen", "floor-16"), 0.8, True),
    Target("connect, against accept and upgrade alone in the floor",
           _rate_against("room", "connect", "floor-1", "upgrade", "upgrade"), 0.5, True),
    Target("connect, against Socket.IO on Node", _rate_against("room", "connect", "socket.io"),
           12, True, 1),
    Target("bytes an idle client, {many} clients with recovery",
           _own("many", "idle", _bytes_each), 1024, False, 0),
    Target("bytes more for one that polls", _polling_extra, 400, False, 0),
    Target("heartbeats of {many} clients, % of a core", _own("many", "heartbeats", _busy), 1.5,
           False),
    Target("{rooms} rooms: CPU against the best peer", _cpu_against_the_best_peer, 1, False),
    Target("{rooms} rooms: p99 ms", _own("rooms", "rooms", _percentile("p99")), 2, False),
    Target("longest turn of the loop, ms",
           lambda median: median.worst("gateway", "turn", lambda line: line["longest_ms"]), 20,
           False, 0),
    Target("publish in bulk, against redis-benchmark of the same script", _bulk_against_redis, 0.8,
           True),
]
