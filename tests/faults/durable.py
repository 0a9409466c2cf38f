"""A PostgreSQL that keeps what it says it keeps, and can be killed and started again."""

import os
import pwd
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.postgres import Server

_PATIENCE_S = 60.0
_KEEPING = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


class DurableServer(Server):
    """As the tests' server, but a commit is on the disk when it is answered."""

    def __init__(self) -> None:
        super().__init__()
        assert self._process is not None
        self._command = [_kept(str(argument)) for argument in self._process.args]  # type: ignore[union-attr]
        self.halt()
        self.start()

    def halt(self) -> None:
        """An immediate stop: every connection is cut, nothing is tidied up, and the next start recovers from the log."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(_PATIENCE_S)
            self._process = None

    def start(self) -> None:
        """Run, on the same socket as before."""
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        libraries = str(Path(self._command[0]).parents[1] / "lib")
        environment = {"PATH": os.environ.get("PATH", ""), "LD_LIBRARY_PATH": libraries, "TZ": "UTC", "LC_ALL": "C"}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                **as_user,
            )
        deadline = time.monotonic() + _PATIENCE_S
        while not self._answers():
            assert self._process.poll() is None, self._log()
            assert time.monotonic() < deadline, self._log()
            time.sleep(0.02)


def _kept(argument: str) -> str:
    name, assigned, _ = argument.removeprefix("--").partition("=")
    return f"--{name}={_KEEPING[name]}" if assigned and name in _KEEPING else argument
