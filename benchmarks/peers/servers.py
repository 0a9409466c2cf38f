"""The peers' Redis and PostgreSQL: started from this machine's programs, on sockets and ports of their own, and ended."""

import asyncio
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import attrs

from benchmarks.peers.side import Missing
from benchmarks.stage import HOST, Process, Stage, free_port
from tests import postgres as tests_postgres

_PATIENCE = 30.0


def redis(stage: Stage) -> tuple[Process, int]:
    """Redis as BullMQ's guide to production asks for it: append-only file synced every second, nothing evicted.

    Returns its process and port. Raises Missing.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise Missing("redis-server is not installed. On Debian or Ubuntu: apt install redis-server")
    port, folder = free_port(), stage.folder / "redis"
    folder.mkdir()
    settings = {"bind": HOST, "port": port, "dir": folder, "save": "", "appendonly": "yes", "appendfsync": "everysec"}
    settings["maxmemory-policy"] = "noeviction"
    process = stage.start(program, *(part for name, value in settings.items() for part in (f"--{name}", str(value))))
    until_it_listens(process, port)
    return process, port


def until_it_listens(process: Process, port: int) -> None:
    """Return when somebody does. Raises TimeoutError, also when the process has ended."""
    deadline = time.monotonic() + _PATIENCE
    while process.popen.poll() is None and time.monotonic() < deadline:
        try:
            asyncio.run(_connect(port))
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"{process.popen.args!r} does not listen on port {port}")


async def _connect(port: int) -> None:
    _, writer = await asyncio.open_connection(HOST, port)
    writer.close()
    await writer.wait_closed()


@attrs.frozen
class Postgres:
    """A server with the settings it comes with: what it commits is on the disk."""

    socket: Path
    process: Process | None
    """None where it is the tests' server, whose processor time is then not counted, in the peer's favour."""
    version: str

    @property
    def address(self) -> dict[str, Any]:
        """As node-postgres and asyncpg both take it."""
        return {"host": str(self.socket), "user": "postgres", "database": "postgres"}

    def execute(self, statements: str) -> None:
        """Run statements, parted by semicolons."""

        async def run() -> None:
            connection = await asyncpg.connect(**self.address)
            try:
                await connection.execute(statements)
            finally:
                await connection.close()

        asyncio.run(run())

    def value(self, query: str) -> Any:
        """The first column of the first row."""

        async def run() -> Any:
            connection = await asyncpg.connect(**self.address)
            try:
                return await connection.fetchval(query)
            finally:
                await connection.close()

        return asyncio.run(run())


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL: the machine's own, or else the one that the tests use. Raises Missing."""
    programs = _programs()
    if programs is None:
        try:
            server = tests_postgres.Server()
        except tests_postgres.Unstartable as error:
            raise Missing(f"PostgreSQL: {error}. On Debian or Ubuntu: apt install postgresql") from error
        socket = Path(re.sub(r".*host=", "", server.url("postgres")))
        try:
            yield Postgres(socket, None, "of the tests, fsync off")
        finally:
            server.stop()
        return
    folder = Path(tempfile.mkdtemp(prefix="patchbay-bench-pg-"))
    common: dict[str, Any] = {
        "cwd": folder,
        "stdin": subprocess.DEVNULL,
        "env": {"PATH": os.environ["PATH"], "TZ": "UTC"},
    }
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        common |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    popen: subprocess.Popen[bytes] | None = None
    try:
        with (folder / "log").open("wb") as log:
            common |= {"stdout": log, "stderr": subprocess.STDOUT}
            make = [
                f"{programs}/initdb",
                f"--pgdata={folder}/data",
                "--auth=trust",
                "--username=postgres",
                "--locale=C",
            ]
            subprocess.run([*make, "--encoding=utf8"], check=True, **common)
            command = [f"{programs}/postgres", "-D", f"{folder}/data", "-k", str(folder), "--listen_addresses="]
            popen = subprocess.Popen(command, **common)
        told = subprocess.run([f"{programs}/postgres", "--version"], capture_output=True, check=True, text=True).stdout
        found = Postgres(folder, Process(popen), told.split()[2])
        _until_it_answers(found, popen)
        yield found
    finally:
        if popen is not None:
            popen.send_signal(signal.SIGINT)  # ends what is connected, too
            popen.wait(_PATIENCE)
        shutil.rmtree(folder, ignore_errors=True)


def _until_it_answers(server: Postgres, popen: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            server.execute("SELECT 1")
        except (OSError, asyncpg.PostgresError):
            if popen.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _programs() -> Path | None:
    """Debian keeps the server's programs outside the path."""
    found = shutil.which("postgres")
    if found:
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    return places[-1].parent if places else None
