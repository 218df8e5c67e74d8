"""A primary, its replicas, and the sentinels that watch over them."""
import subprocess
from pathlib import Path

import redis

from harness.certificates import Certificates
from harness.redis_server import RedisServer
from harness.wait import free_port, until

MASTER = "mymaster"
SENTINELS = REPLICAS = 2  # beside the first of each
DOWN_AFTER_MS = 1000
LATER_MS = 250  # each notices a little later, so that they do not all want to lead the failover
FAILOVER_SECONDS = 60  # generous: sentinels that vote at the same moment begin again after twice their timeout


class Sentinel:
    """redis-server in its other role, with a configuration file that it rewrites itself."""

    host = "127.0.0.1"

    def __init__(self, directory: Path, primary: RedisServer, down_after: int, more_config: list[str],
                 password: str | None):
        directory.mkdir(parents=True)
        self.port, self.log, self.down_after = free_port(), directory / "sentinel.log", down_after
        self.certificates, self.password = primary.certificates, password
        config = directory / "sentinel.conf"
        lines = [*self._config(directory, primary), *more_config]
        config.write_text("".join(f"{line}\n" for line in lines))
        self.process = subprocess.Popen(["redis-server", str(config), "--sentinel"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        tls = self.certificates.client_settings() if self.certificates else {}
        self.client = redis.Redis(self.host, self.port, socket_timeout=10, password=password,
                                  decode_responses=True, **tls)

    def _config(self, directory: Path, primary: RedisServer):
        yield f"bind {self.host}"
        yield f"dir {directory}"
        yield f"logfile {self.log}"
        if self.certificates:
            yield from (f"tls-port {self.port}", "port 0")
            options = self.certificates.server_options()
            yield from (f"{name[2:]} {value}" for name, value in zip(options[::2], options[1::2]))
        else:
            yield f"port {self.port}"
        yield f"sentinel monitor {MASTER} {primary.host} {primary.port} {SENTINELS}"
        yield f"sentinel down-after-milliseconds {MASTER} {self.down_after}"
        yield f"sentinel failover-timeout {MASTER} 4000"
        yield f"sentinel parallel-syncs {MASTER} {REPLICAS}"
        if self.password:
            yield from (f"requirepass {self.password}", f"sentinel sentinel-pass {self.password}")

    def ask(self, *words: str):
        """None while it does not answer."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.client.execute_command("SENTINEL " + words[0], *words[1:])
        except redis.RedisError:
            return None

    def knows_all(self) -> bool:
        """A failover succeeds only when it has heard of the replicas and the other sentinels."""
        state = self.ask("MASTER", MASTER)
        return bool(state) and (state["num-slaves"], state["num-other-sentinels"]) == (REPLICAS, SENTINELS)

    def stop(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait(10)


class SentinelWorld:
    """
    Three redis-servers with these options, and three sentinels. login is how the test gets into Redis; password is
    everybody's, in place of it. host and port are no primary's.
    """

    host, port = "127.0.0.1", 1

    def __init__(self, directory: Path, *options: str, login: dict | None = None, password: str | None = None,
                 sentinel_password: str | None = None, sentinel_config: list[str] | None = None,
                 certificates: Certificates | None = None):
        self.options, self.login, self.sentinel_config = [*options], login or {}, sentinel_config or []
        self.password, self.sentinel_password, self.certificates = password, sentinel_password, certificates
        if password:
            self.options += ["--requirepass", password, "--masterauth", password]
            self.login = {"password": password}
            self.sentinel_config += [f"sentinel auth-pass {MASTER} {password}"]
        self.servers, self.sentinels = [], []
        try:
            self._start(directory)
        except BaseException:
            self.stop()
            raise

    def _start(self, directory: Path) -> None:
        for number in range(1 + REPLICAS):
            replica = ["--replicaof", f"{self.host} {self.servers[0].port}"] if number else []
            self.servers.append(RedisServer(directory / f"redis{number}", *self.options, *replica,
                                            certificates=self.certificates, **self.login))
        until(lambda: self.in_step(self.servers[0]), "the replicas hold what the primary holds", FAILOVER_SECONDS)
        for number in range(1 + SENTINELS):
            down_after = DOWN_AFTER_MS + number * LATER_MS
            self.sentinels.append(Sentinel(directory / f"sentinel{number}", self.servers[0], down_after,
                                           self.sentinel_config, self.sentinel_password))
        for sentinel in self.sentinels:
            until(sentinel.knows_all, "a sentinel knows all others", 30)

    @property
    def settings(self) -> dict:
        """Of our programs; the first sentinel of the list is not there."""
        addresses = [f"{sentinel.host}:{sentinel.port}" for sentinel in self.sentinels]
        return {"REDIS_SENTINELS": ",".join(["127.0.0.1:1", *addresses]), "REDIS_SENTINEL_MASTER": MASTER,
                "REDIS_PASSWORD": self.password, "REDIS_SENTINEL_PASSWORD": self.sentinel_password,
                **(self.certificates.settings() if self.certificates else {})}

    def primary(self) -> RedisServer:
        """As most sentinels say."""
        answers = [sentinel.ask("GET-MASTER-ADDR-BY-NAME", MASTER) for sentinel in self.sentinels]
        ports = [int(answer[1]) for answer in answers if answer]
        most = max(ports, key=ports.count)
        return next(server for server in self.servers if server.port == most)

    @staticmethod
    def in_step(primary: RedisServer) -> bool:
        """All replicas hold what the primary holds: one that is only connected may have nothing yet."""
        try:
            replicas = [value for name, value in primary.command("INFO", "replication").items()
                        if name.startswith("slave") and isinstance(value, dict)]
            return len(replicas) == REPLICAS and all(replica["state"] == "online" for replica in replicas)
        except redis.RedisError:
            return False

    def kill_primary(self) -> RedisServer:
        server = self.primary()
        server.kill()
        return server

    def stop_primary(self) -> RedisServer:
        """SIGSTOP: its connections stay, it says nothing."""
        server = self.primary()
        server.pause()
        return server

    def switch_primary(self) -> RedisServer:
        """Planned: all servers are well. Returns the old one."""
        server = self.primary()
        self.sentinels[0].ask("FAILOVER", MASTER)
        return server

    def wait_for_failover(self, old: RedisServer) -> RedisServer:
        until(lambda: self.primary() is not old, "the sentinels name another primary", FAILOVER_SECONDS)
        new = self.primary()
        until(lambda: new.command("ROLE")[0] == b"master", "the new primary is one", FAILOVER_SECONDS)
        return new

    def stop(self) -> None:
        for process in [*self.sentinels, *self.servers]:
            process.stop()
