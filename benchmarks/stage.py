"""A hub as people run it: its own process, a SQLite file of its own, asked over HTTP."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx

ROOT = Path(__file__).parents[1]
HOST = "127.0.0.1"
PATIENCE = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@attrs.define
class Process:
    """A process that was started here."""

    popen: subprocess.Popen[bytes]

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.popen.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def peak_memory(self) -> int:
        """The most bytes of memory it held at once."""
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024


@attrs.define
class Stage:
    """Ports, a folder, and what runs on them. Everything is ended when the stage is left."""

    folder: Path
    exits: ExitStack
    http: httpx.Client
    port: int = attrs.field(factory=free_port)
    box_port: int = attrs.field(factory=free_port)
    receiver_port: int = attrs.field(factory=free_port)
    api_key: str = ""
    more: dict[str, str] = attrs.field(factory=dict)
    """Settings of the hub's beside the usual."""

    @property
    def headers(self) -> dict[str, str]:
        """What a call of the host application's carries."""
        return {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}

    def hub(self, *arguments: str) -> Process:
        """`patchbay serve`, ready. Makes the API key at the first start."""
        if not self.api_key:
            with (self.folder / "log").open("ab") as log:
                made = subprocess.run(
                    [*_PATCHBAY, "keys", "create", "--name", "bench"],
                    cwd=ROOT,
                    env=self._environment,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    check=True,
                    text=True,
                )
            self.api_key = made.stdout.strip()
        hub = self.start(*_PATCHBAY, *(arguments or ("serve",)))
        if arguments[:1] != ("worker",):
            self._until_it_answers(self.port, "/readyz")
        return hub

    def sandbox(self) -> Process:
        """`patchbay sandbox`, ready."""
        box = self.start(*_PATCHBAY, "sandbox", "--port", str(self.box_port), "--mail-port", str(free_port()))
        self._until_it_answers(self.box_port, "/")
        return box

    def receiver(self) -> Process:
        """What deliveries are sent to, ready."""
        receiver = self.start(sys.executable, "-m", "benchmarks.receiver", str(self.receiver_port))
        self._until_it_answers(self.receiver_port, "/")
        return receiver

    def start(self, *command: str) -> Process:
        """Any command."""
        log = self.exits.enter_context((self.folder / "log").open("ab"))
        popen = subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)
        self.exits.callback(_end, popen)
        return Process(popen)

    def end(self, process: Process) -> None:
        """Tell it to stop, and wait until it has."""
        _end(process.popen)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One API call; its JSON."""
        answer = self.http.request(method, f"http://{HOST}:{self.port}{path}", json=body, headers=self.headers)
        answer.raise_for_status()
        return answer.json()

    def listen(self) -> str:
        """An endpoint that is told everything, and a receiver that knows its secret. Returns the secret."""
        secret: str = self.call("POST", "/api/webhooks", {"url": f"http://{HOST}:{self.receiver_port}/"})["secret"]
        self.forget(secret)
        return secret

    def forget(self, secret: str) -> None:
        """The receiver has heard nothing."""
        self.http.put(f"http://{HOST}:{self.receiver_port}/", content=secret.encode()).raise_for_status()

    def heard(self) -> Any:
        """The receiver's report."""
        return self.http.get(f"http://{HOST}:{self.receiver_port}/").json()

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATCHBAY_DATA_DIR": str(self.folder / "data"),
            "PATCHBAY_PORT": str(self.port),
            "PATCHBAY_STRIPE_URL": f"http://{HOST}:{self.box_port}/stripe",
            "PATCHBAY_ALLOW_NETWORKS": f"{HOST}:{self.box_port},{HOST}:{self.receiver_port}",
            "PATCHBAY_LOG_FORMAT": "json",
            "PATCHBAY_LOG_LEVEL": "warning",
            **self.more,
        }

    def _until_it_answers(self, port: int, path: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if self.http.get(f"http://{HOST}:{port}{path}").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise TimeoutError(f"nothing answers on port {port}:\n{(self.folder / 'log').read_text()[-3000:]}")


_PATCHBAY = (sys.executable, "-c", "from entrypoints.cli import main; main()")


@contextmanager
def staged() -> Iterator[Stage]:
    """A new stage in a folder of its own."""
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="patchbay-bench-")))
        client = exits.enter_context(httpx.Client(timeout=30, trust_env=False))
        yield Stage(folder, exits, client)


def _end(popen: subprocess.Popen[bytes]) -> None:
    popen.terminate()
    try:
        popen.wait(20)
    except subprocess.TimeoutExpired:
        popen.kill()
        popen.wait()
