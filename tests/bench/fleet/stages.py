"""The stages of a fleet's run, each with its facts."""

import time

from fleet import consumption, crowd
from fleet.crowd import gather, total
from shared.machine import free_port

CONNECT_SECONDS = 3600
HEAR_SECONDS = 300  # for an event to come to all
MOVE_SECONDS = 900
RUN_SECONDS = 36000  # a load generator waits no longer for what comes next
TRADES = 10
MARKET_SHARE = 0.1  # of the clients that are in it
DRAIN_RATE = 5000  # clients a second that are sent away, all gateways together
DRAIN_MS_LEAST = 2000
SETTLE_SECONDS = 3  # before figures of rest
PROGRESS_SECONDS = 5

# What the load generators do; those of gateways that stay go on listening during the move.
BEGINNING = ["connect", f"hear:{RUN_SECONDS}"]
MARKET = f"trades:{TRADES}:{RUN_SECONDS}"
MOVE = f"move:{RUN_SECONDS}"
END = [f"hear:{RUN_SECONDS}", f"trades:1:{RUN_SECONDS}"]


def parts(whole, count):
    """As even as it goes."""
    return [whole // count + (i < whole % count) for i in range(count)]


def rate(number, seconds):
    return round(number / seconds) if seconds > 0 else 0


class Run:
    """One fleet: the first half of its gateways is to be replaced."""

    def __init__(self, arguments, machine, redis, memory, on_stage):
        self.clients, self.idle_seconds = arguments.clients, arguments.idle
        self.on_stage = on_stage  # called with the name and facts of each
        self.gateways = [crowd.Gateway(number) for number in range(arguments.gateways)]
        self.replacements = [crowd.Gateway(arguments.gateways + number)
                             for number in range(arguments.gateways // 2)]
        self.generators = list(self._generators())
        self.leaving = self.generators[:len(self.replacements)]
        self.members = sum(generator.members for generator in self.generators)
        moving = sum(generator.clients for generator in self.leaving)
        self.setting = crowd.Setting(
            machine=machine, build=arguments.build, redis=redis, port=free_port(),
            ops_port=free_port(), most=max(generator.clients for generator in self.generators),
            drain_ms=max(DRAIN_MS_LEAST, 1000 * moving // DRAIN_RATE))
        self.memory = memory  # from before the first process
        self.trouble = consumption.Trouble()
        self.queue = consumption.Queue()
        self.asker = None
        self.trades = 0
        self.told = time.monotonic()
        self.result = {}

    def _generators(self):
        count = len(self.gateways)
        members = parts(max(1, round(self.clients * MARKET_SHARE)), count)
        first_user = 1
        for gateway, clients, few in zip(self.gateways, parts(self.clients, count), members):
            yield crowd.Generator(gateway, clients, few, first_user)
            first_user += clients

    def processes(self):
        """All that there may be, in the order in which they are best ended."""
        owners = [*self.generators, *self.gateways, *self.replacements]
        return [owner.process for owner in [*owners, self.asker] if owner and owner.process]

    def serving(self):
        """The processes of the gateways that are there; fails where one ended by itself."""
        return [gateway.process for gateway in [*self.gateways, *self.replacements]
                if gateway.serves()]

    def keep(self, stage, facts):
        self.result[stage] = {**facts, "health": self.asker.take(), "tcp": self.trouble.take(),
                              "waited": self.queue.take(self.serving())}
        self.on_stage(stage, self.result[stage])

    def look(self, stage=None):
        """While something is waited for; with a stage, tells how many clients there are."""
        self.serving()
        self.trouble.look()
        if stage and time.monotonic() > self.told + PROGRESS_SECONDS:
            self.told = time.monotonic()
            print(f"  {stage}: {self.asker.sessions():,} of {self.clients:,} clients", flush=True)

    # --- The stages ---

    def run(self):
        for stage in (self.start, self.connect, self.rest, self.announce, self.join, self.trade,
                      self.move, self.announce_again, self.trade_again):
            stage()
        return self.result

    def start(self):
        begin = time.monotonic()
        self.asker = crowd.Asker(self.setting)
        self._start_gateways(self.gateways)
        self.keep("started", {"gateways": len(self.gateways),
                              "seconds": round(time.monotonic() - begin, 2)})

    def _start_gateways(self, gateways):
        for gateway in gateways:
            gateway.start(self.setting)
        for gateway in gateways:
            gateway.wait_until_ready(self.setting)
            self.asker.add(gateway)

    def connect(self):
        begin = time.monotonic()
        replacements = {generator: replacement.host for generator, replacement
                        in zip(self.leaving, self.replacements)}
        for generator in self.generators:
            leaves = [MOVE] if generator in replacements else []
            works = [*BEGINNING, f"join:{generator.members}", MARKET, *leaves, *END] \
                if generator.members else [*BEGINNING, *leaves, *END[:1]]
            generator.start(self.setting, works,
                            replacements.get(generator, generator.gateway.host))
        lines = gather(self.generators, "connect", CONNECT_SECONDS, lambda: self.look("connecting"))
        seconds = max(line["at"] for line in lines) - begin
        self.keep("connected", {
            "clients": total(lines, "ready"), "seconds": round(seconds, 2),
            "per_second": rate(total(lines, "ready"), seconds)})

    def rest(self):
        time.sleep(SETTLE_SECONDS)
        redis = [self.setting.redis.process]
        gateways = self.serving()
        generators = [generator.process for generator in self.generators]
        cores = consumption.Cores({"gateways": gateways, "generators": generators, "redis": redis,
                                   "health": [self.asker.process]})
        time.sleep(self.idle_seconds)
        self.serving()
        shares = cores.shares()
        memory = self.memory.grown(gateways, generators, self.setting.redis.port)
        self.keep("idle", {"seconds": self.idle_seconds, "cpu": shares, "memory": memory})

    def announce(self):
        self._announce("announced", 1)

    def announce_again(self):
        self._announce("announced again", 2)

    def _announce(self, stage, number):
        begin = crowd.announce(self.setting, number)
        lines = gather(self.generators, "hear", HEAR_SECONDS, self.look)
        seconds = max(line["at"] for line in lines) - begin
        self.keep(stage, {
            "heard": total(lines, "heard"), "again": total(lines, "again"),
            "broken": total(lines, "broken"), "seconds": round(seconds, 3),
            "per_second": rate(total(lines, "heard"), seconds)})

    def _market(self):
        return [generator for generator in self.generators if generator.members]

    def join(self):
        """The generators begin as soon as they have heard the announcement."""
        lines = gather(self._market(), "join", HEAR_SECONDS, self.look)
        seconds = max(line["seconds"] for line in lines)
        self.keep("joined", {
            "members": total(lines, "subscribed"), "seconds": round(seconds, 3),
            "per_second": rate(total(lines, "subscribed"), seconds)})

    def trade(self):
        self._trade("traded", TRADES)

    def trade_again(self):
        self._trade("traded again", 1)

    def _trade(self, stage, count):
        each = []
        for _ in range(count):
            self.trades += 1
            begin = crowd.trade(self.setting, self.trades)
            lines = gather(self._market(), "trade", HEAR_SECONDS, self.look)
            each.append(round(max(line["at"] for line in lines) - begin, 4))
        lines = gather(self._market(), "trades", HEAR_SECONDS, self.look)
        self.keep(stage, {
            "trades": count, "members": self.members, "delivered": total(lines, "delivered"),
            "out_of_turn": total(lines, "out_of_turn"), "astray": total(lines, "astray"),
            "broken": total(lines, "broken"), "seconds": round(sum(each), 3), "each": each,
            "per_second": rate(total(lines, "delivered"), sum(each))})

    def move(self):
        leaving = [generator.gateway for generator in self.leaving]
        self._start_gateways(self.replacements)
        begin = time.monotonic()
        for gateway in leaving:
            self.asker.drop(gateway)
            gateway.leave()
        lines = gather(self.leaving, "move", MOVE_SECONDS, lambda: self.look("moving"))
        seconds = max(line["at"] for line in lines) - begin
        ended = sum(gateway.wait_until_gone() for gateway in leaving)
        self.keep("moved", {
            "gateways": len(leaving), "ended": ended, "clients": total(lines, "clients"),
            "moved": total(lines, "moved"), "back": total(lines, "back"),
            "recovered": total(lines, "recovered"), "failed": total(lines, "failed"),
            "drain_seconds": self.setting.drain_ms / 1000, "seconds": round(seconds, 2),
            "per_second": rate(total(lines, "back"), seconds)})
