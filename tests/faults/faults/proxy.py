"""
A TCP proxy on the loopback that misbehaves when it is told to. It is a process of its own, so that its time is its
own: commands come by standard input and are answered on standard output, one JSON a line. It ends with its input.

    {"id": 1, "do": "open", "route": "front", "targets": [["127.0.0.1", 3000], …]}  answered with the port
    {"id": 2, "do": "cut", "route": "front", "how": "rst", "share": 0.5}

A route is one listening port; each connection to it goes to one of the route's targets that answers. What can be done
to a route, until "heal":

    cut      ends connections, with RST or FIN; others come at once. share: of how many, at random
    stall    reads nothing more, keeps everything open
    swallow  takes bytes and drops them; also a side that closes is not told to the other. way: up, down or both
    delay    passes everything on after that many milliseconds
    refuse   resets whoever comes
    trap     cuts the next connection that sends something, at a certain step (see Trap), once
"""
import asyncio
import collections
import json
import random
import resource
import signal
import socket
import struct
import sys

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, no seconds
CONNECT_SECONDS = 3
BACKLOG = 4096


def end(transport, how: str) -> None:
    if transport is None or transport.is_closing():
        return
    if how == "fin":
        transport.close()
        return
    raw = transport.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()


class Trap:
    """
    Where in an exchange of request and reply a connection breaks:
    before: the request has not left; middle: half of it has; sent: all of it, and nobody knows; reply: it was
    answered, and the answer got lost.
    """

    STEPS = ("before", "middle", "sent", "reply")

    def __init__(self, step: str):
        self.step = step
        self.link = None  # that sent the request, while its reply is waited for

    def springs(self, link: "Link", way: str, data: bytes) -> bool:
        """Whether it cut the link; the data is then dealt with."""
        if self.link is None and way == "up":
            return self._on_request(link, data)
        if self.link is link and way == "down":
            link.cut("rst")
            return True
        return False

    def _on_request(self, link: "Link", data: bytes) -> bool:
        if self.step == "reply":
            self.link = link
            return False
        passed = {"before": b"", "middle": data[: len(data) // 2], "sent": data}[self.step]
        if passed:
            link.sides["up"].transport.write(passed)
        end(link.sides["up"].transport, "fin")
        end(link.sides["down"].transport, "rst")
        return True


class Side(asyncio.Protocol):
    """One end of a link. What it receives goes the way that it is not named after."""

    def __init__(self, link: "Link", name: str):
        self.link, self.name = link, name
        self.transport = None
        self.holds: set[str] = set()  # reasons not to read

    def connection_made(self, transport) -> None:
        self.transport = transport
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.link.on_made(self)

    def data_received(self, data: bytes) -> None:
        self.link.on_data(self, data)

    def pause_writing(self) -> None:
        self.link.other(self).hold("pressure")

    def resume_writing(self) -> None:
        self.link.other(self).release("pressure")

    def connection_lost(self, problem) -> None:
        self.link.on_lost(self, problem)

    def hold(self, reason: str) -> None:
        self.holds.add(reason)
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def release(self, reason: str) -> None:
        self.holds.discard(reason)
        if not self.holds and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()


class Link:
    """A connection from outside (down) and the one to the target (up)."""

    def __init__(self, route: "Route"):
        self.route = route
        self.sides = {name: Side(self, name) for name in ("down", "up")}
        self.sides["down"].holds.add("no target yet")
        self.tainted = False  # bytes are missing: it can only be cut
        self.late: collections.deque = collections.deque()  # (due, way, data or None for the end)
        self.timer = None

    def other(self, side: Side) -> Side:
        return self.sides["up" if side.name == "down" else "down"]

    def on_made(self, side: Side) -> None:
        if self.route.state.get("stall"):
            side.hold("stall")
        if side.name == "down":
            self.route.on_arrival(self)
        elif side.holds:
            side.transport.pause_reading()

    def on_data(self, side: Side, data: bytes) -> None:
        way = self.other(side).name
        state = self.route.state
        if state.get("swallow") in (way, "both"):
            self.tainted = True
        elif self.route.trap and self.route.trap.springs(self, way, data):
            self.route.trap = None
        elif state.get("delay") or self.late:
            self._later(way, data)
        else:
            self._pass(way, data)

    def _pass(self, way: str, data: bytes) -> None:
        transport = self.sides[way].transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    def on_lost(self, side: Side, problem) -> None:
        other = self.other(side)
        if self.route.state.get("swallow"):
            self.tainted = True
        elif self.late or (self.route.state.get("delay") and not problem):
            self._later(other.name, None)
        else:
            end(other.transport, "rst" if problem else "fin")
        if all(one.transport is None or one.transport.is_closing() for one in self.sides.values()):
            self.route.links.discard(self)

    def _later(self, way: str, data: bytes | None) -> None:
        """In the order of arrival, also when the delay changes meanwhile."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self.route.state.get("delay", 0) / 1000
        self.late.append((max(due, self.late[-1][0]) if self.late else due, way, data))
        if self.timer is None:
            self.timer = loop.call_at(self.late[0][0], self._pass_late)

    def _pass_late(self) -> None:
        loop, self.timer = asyncio.get_running_loop(), None
        while self.late and self.late[0][0] <= loop.time():
            _, way, data = self.late.popleft()
            if data is None:
                end(self.sides[way].transport, "fin")
            else:
                self._pass(way, data)
        if self.late:
            self.timer = loop.call_at(self.late[0][0], self._pass_late)

    def cut(self, how: str) -> None:
        for side in self.sides.values():
            end(side.transport, how)
        self.route.links.discard(self)


class Route:
    def __init__(self, targets: list):
        self.targets = targets
        self.links: set[Link] = set()
        self.state: dict = {}  # fault → its argument
        self.trap: Trap | None = None
        self.server = None

    async def listen(self) -> int:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Link(self).sides["down"], "127.0.0.1", 0, backlog=BACKLOG)
        return self.server.sockets[0].getsockname()[1]

    def on_arrival(self, link: Link) -> None:
        link.sides["down"].transport.pause_reading()
        if self.state.get("refuse"):
            end(link.sides["down"].transport, "rst")
            return
        self.links.add(link)
        task = asyncio.get_running_loop().create_task(self._connect(link))
        link.connecting = task

    async def _connect(self, link: Link) -> None:
        """To any target that answers, else the one who came is reset."""
        loop = asyncio.get_running_loop()
        for host, port in random.sample(self.targets, len(self.targets)):
            try:
                await asyncio.wait_for(
                    loop.create_connection(lambda: link.sides["up"], host, port), CONNECT_SECONDS)
            except (OSError, asyncio.TimeoutError):
                continue
            if link.sides["down"].transport.is_closing():
                end(link.sides["up"].transport, "rst")
            link.sides["down"].release("no target yet")
            return
        link.cut("rst")

    def cut(self, how: str = "rst", share: float = 1.0) -> int:
        links = list(self.links)
        chosen = links if share >= 1 else random.sample(links, round(len(links) * share))
        for link in chosen:
            link.cut(how)
        return len(chosen)

    def stall(self) -> None:
        self.state["stall"] = True
        for link in self.links:
            for side in link.sides.values():
                side.hold("stall")

    def heal(self) -> None:
        """Links that lost bytes cannot go on."""
        self.state.clear()
        self.trap = None
        for link in list(self.links):
            if link.tainted:
                link.cut("rst")
                continue
            for side in link.sides.values():
                side.release("stall")


class Control:
    def __init__(self):
        self.routes: dict[str, Route] = {}

    async def obey(self, command: dict) -> dict:
        do, name = command["do"], command["route"]
        if do == "open":
            self.routes[name] = Route(command["targets"])
            return {"port": await self.routes[name].listen()}
        route = self.routes[name]
        if do == "targets":
            route.targets = command["targets"]
        elif do == "cut":
            return {"cut": route.cut(command.get("how", "rst"), command.get("share", 1.0))}
        elif do == "stall":
            route.stall()
        elif do in ("swallow", "delay", "refuse"):
            route.state[do] = command["with"]
        elif do == "trap":
            route.trap = Trap(command["with"])
        elif do == "trapped":
            return {"trapped": route.trap is None}
        elif do == "heal":
            route.heal()
        elif do == "count":
            return {"count": len(route.links)}
        else:
            raise ValueError(f"no such command: {do}")
        return {}


async def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which a terminal sends to everybody: the campaign ends the proxy
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    control = Control()
    while line := await reader.readline():
        command = json.loads(line)
        answer = {"id": command["id"]} | await control.obey(command)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
