"""A machine on which the hub and its sandbox run as processes of their own, and on which a process can be killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
PATIENCE = 30.0
"""Seconds to wait for something that must come; much more than it takes, because the machine may be busy."""


class Process:
    """One `patchbay` command. It makes itself ready at once, and runs when `go` is called."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._out: IO[bytes] = log.open("ab")
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.hurry", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if arguments[0] == "keys" else self._out,
            stderr=self._out,
        )

    def go(self) -> "Process":
        """Run the command."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(b"\n")
        self._popen.stdin.close()
        return self

    def answer(self) -> str:
        """What a command prints that ends by itself."""
        assert self._popen.stdout is not None
        with self._popen.stdout as out:
            text = out.read().decode()
        assert self.ended() == 0, self.story()
        return text.strip()

    def end(self, how: signal.Signals) -> int:
        """Send the signal. Returns the exit code, negative for a signal's."""
        if self._popen.poll() is None:
            self._popen.send_signal(how)
        return self.ended()

    def ended(self) -> int:
        """Wait for the end. Returns the exit code."""
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()
        try:
            return self._popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            raise
        finally:
            self._out.close()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._popen.poll() is None

    def story(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-4000:]


class Machine:
    """Ports, a folder, the sandbox, and the hub: started, killed, started again."""

    def __init__(self, folder: Path) -> None:
        self.port, self.box_port, self.mail_port = free_ports(3)
        self.url = f"http://{HOST}:{self.port}"
        self.box_url = f"http://{HOST}:{self.box_port}"
        self._folder = folder
        self._environment = {
            "PATCHBAY_DATA_DIR": str(folder / "data"),
            "PATCHBAY_PORT": str(self.port),
            "PATCHBAY_STRIPE_URL": f"{self.box_url}/stripe",
            "PATCHBAY_ALLOW_NETWORKS": f"{HOST}:{self.box_port},{HOST}:{self.mail_port}",
            "PATCHBAY_LOG_FORMAT": "json",
            "HURRIED_SINCE": repr(time.time()),
        }
        self._all: list[Process] = []
        self._hub_arguments = ["serve"]
        self._spare: Process | None = None
        self.hub: Process | None = None
        self.http = httpx.Client(timeout=15, trust_env=False)

    def process(self, *arguments: str) -> Process:
        """A command that makes itself ready."""
        made = Process(list(arguments), self._environment, self._folder / f"{arguments[0]}.log")
        self._all.append(made)
        return made

    def start_sandbox(self) -> None:
        """Every provider, in a process that nobody kills."""
        ports = ("--port", str(self.box_port), "--mail-port", str(self.mail_port))
        box = self.process("sandbox", *ports).go()
        self._until_it_answers(f"{self.box_url}/", box)

    def start_hub(self, *options: str) -> None:
        """Start it, or start it again, and wait until it is ready. `options` are kept for the next time."""
        if options:
            self._hub_arguments = ["serve", *options]
        self.hub = (self._spare or self.process(*self._hub_arguments)).go()
        self._spare = self.process(*self._hub_arguments)
        self._until_it_answers(f"{self.url}/readyz", self.hub)

    def kill_hub(self) -> None:
        """As a power cut does: no warning, nothing finished."""
        assert self.hub is not None
        assert self.hub.alive, f"it ended by itself:\n{self.hub.story()}"
        assert self.hub.end(signal.SIGKILL) == -signal.SIGKILL

    def clear(self) -> None:
        """Nothing is left running."""
        self.http.close()
        for process in self._all:
            process.end(signal.SIGKILL)

    def _until_it_answers(self, url: str, process: Process) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert process.alive, f"it ended by itself:\n{process.story()}"
            try:
                if self.http.get(url).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(f"{url} did not answer within {PATIENCE:.0f} s:\n{process.story()}")


@contextmanager
def machine_in(folder: Path) -> Iterator[Machine]:
    """A machine that is cleared away at the end."""
    machine = Machine(folder)
    try:
        yield machine
    finally:
        machine.clear()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind((HOST, 0))
    ports: list[Any] = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
