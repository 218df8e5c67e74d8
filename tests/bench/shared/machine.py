"""The machine, and processes on its cores: the server under test on one, the rest on the other."""

import ctypes
import os
import pathlib
import platform
import resource
import shutil
import signal
import socket
import subprocess
import time

START_SECONDS = 20
STOP_SECONDS = 15
SPARE_FILES = 500  # of a server or a load generator, beside its clients
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LIBC = ctypes.CDLL(None)


def cores():
    """One core for the server and one for everything else; no pinning where there is only one."""
    available = sorted(os.sched_getaffinity(0))
    return ({available[0]}, {available[1]}) if len(available) > 1 else (None, None)


def meminfo():
    """In bytes."""
    text = pathlib.Path("/proc/meminfo").read_text()
    lines = (line.split(":") for line in text.splitlines())
    return {name: int(value.split()[0]) * 1024 for name, value in lines}


def about():
    """What a result was measured on."""
    cpu = next((line.split(":")[1].strip()
                for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), "a processor that has no name")
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "memory": meminfo()["MemTotal"],
            "kernel": platform.release()}


def allow_files():
    """As many open files as the hard limit says, for us and all that we start; how many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def tail(path, lines=15):
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def wait_for(condition, process, what):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended with {process.returncode}")
        if condition():
            return
        time.sleep(0.05)
    raise RuntimeError(f"{what} was not ready after {START_SECONDS} s")


class Machine:
    """Starts, pins and stops processes, of which none outlives us; their logs are in `directory`.
    """

    def __init__(self, directory, nice, pins=True):
        self.directory = pathlib.Path(directory)
        self.nice = nice
        self.server_core, self.other_core = cores() if pins else (None, None)

    def _prepare(self, core, idle=False):
        parent = os.getpid()

        def prepare():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # where we are killed and cannot stop it
            if os.getppid() != parent:
                os._exit(1)
            if core:
                os.sched_setaffinity(0, core)
            if self.nice:
                os.setpriority(os.PRIO_PROCESS, 0, self.nice)
            if idle:
                os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        return prepare

    def start(self, name, command, core, environment=None):
        with open(self.directory / f"{name}.log", "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    env=environment, preexec_fn=self._prepare(core))

    def converse(self, name, command, idle=False):
        """Starts one whose standard input and output are ours, in lines; `idle`: it runs when
        nobody else wants to."""
        with open(self.directory / f"{name}.log", "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=log, text=True, bufsize=1,
                                    preexec_fn=self._prepare(None, idle))

    def run(self, command, core, seconds, environment=None):
        """Waits for the end of it; its output is captured."""
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=seconds, check=False, env=environment,
                              preexec_fn=self._prepare(core))

    @staticmethod
    def stop(process):
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers_ping(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


class Redis:
    """A private one, which keeps nothing on disk. Use it in a with statement."""

    def __init__(self, machine):
        self.machine = machine
        self.port = free_port()

    def __enter__(self):
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("redis-server is not installed (Debian's redis-server)")
        self.process = self.machine.start("redis", [
            program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--appendonly", "no", "--dir", str(self.machine.directory)], self.machine.other_core)
        try:
            wait_for(lambda: _answers_ping(self.port), self.process, "Redis")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.machine.stop(self.process)
