"""What a team would otherwise run: Express takes events in, BullMQ on Redis queues them, undici sends them, and every
attempt is a row in PostgreSQL or in SQLite. Two Node processes, an intake and a worker, for two cores."""

import base64
import json
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import final
from urllib.parse import urlsplit

import attrs

from benchmarks.peers.servers import Postgres, redis, until_it_listens
from benchmarks.peers.side import Missing, Side, Sitting, cpu_of
from benchmarks.sink.programs import Sink, cache, program, send, template
from benchmarks.stage import Process, Stage, free_port, staged

_HERE = Path(__file__).parent
_NPM_PATIENCE = 900
_PROGRAMS = {"node": "nodejs", "npm": "npm", "redis-server": "redis-server"}
"""What it takes, and Debian's packages of it."""
_NODE = (20, 18)
"""What undici 7 asks for."""


@final
@attrs.frozen
class BullMQ(Side):
    """BullMQ + undici. `attempts`: "PostgreSQL" or "SQLite". `installed`: what `install` returned. `rows`: "attempts", or
    "all" where events and the state of each delivery are rows, too (in PostgreSQL only)."""

    attempts: str
    postgres: Postgres
    installed: Path
    rows: str = "attempts"

    @property
    def name(self) -> str:  # type: ignore[override]
        """As it stands in the rows."""
        return f"BullMQ + undici, {self.attempts}{', all rows' if self.rows == 'all' else ''}"

    @contextmanager
    def sitting(self) -> Iterator[Sitting]:
        """See Side."""
        with staged() as stage:
            sink = Sink(stage.start(*program("receiver"), str(stage.receiver_port)), stage.receiver_port, stage.http)
            until_it_listens(sink.process, sink.port)
            server, port = redis(stage)
            self.postgres.execute(
                "DROP TABLE IF EXISTS endpoints, attempts, messages, deliveries; CHECKPOINT; "
                + (_HERE / "schema.sql").read_text()
            )
            path = stage.folder / "attempts.db" if self.attempts == "SQLite" else None
            processes = [server, *([self.postgres.process] if self.postgres.process else [])]
            yield _Sitting(stage, sink, self.installed, self.postgres, port, path, self.rows, processes)

    def versions(self) -> Mapping[str, str]:
        """Of Node, the packages and the servers."""
        pinned = json.loads((_HERE / "package.json").read_text())
        told = subprocess.run(["redis-server", "--version"], capture_output=True, check=True, text=True).stdout
        return {
            "node": _node_version(),
            "redis": told.partition("v=")[2].split()[0],
            "postgresql": self.postgres.version,
            **pinned["dependencies"],
            **pinned["optionalDependencies"],
        }


def install() -> Path:
    """The folder that holds this peer with its packages, at the versions of package.json: outside the project, made once.

    Raises Missing.
    """
    missing = [package for program, package in _PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        raise Missing(f"it needs more than is installed. On Debian or Ubuntu: apt install {' '.join(missing)}")
    if tuple(int(part) for part in _node_version().split(".")[:2]) < _NODE:
        raise Missing(f"Node {_node_version()} is too old for it; {'.'.join(map(str, _NODE))} or newer will do")
    folder = cache("bullmq", _HERE / "package.json")
    shutil.copy(_HERE / "package.json", folder)
    if not (folder / ".complete").exists():
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False, text=True, timeout=_NPM_PATIENCE)
        if done.returncode:
            raise Missing(f"npm could not install the peer's packages: {done.stderr.strip()[-500:]}")
        (folder / ".complete").touch()
    for script in _HERE.glob("*.js"):
        shutil.copy(script, folder)
    return folder


def _node_version() -> str:
    told = subprocess.run(["node", "--version"], capture_output=True, check=True, text=True).stdout
    return told.strip().lstrip("v")


@final
@attrs.define
class _Sitting(Sitting):
    stage: Stage
    sink: Sink
    folder: Path
    postgres: Postgres
    redis_port: int
    sqlite: Path | None
    rows: str
    processes: list[Process]
    port: int = attrs.field(factory=free_port)
    path: str = "/events"
    headers: Mapping[str, str] = attrs.field(factory=dict)

    def listen(self, urls: Sequence[str]) -> Mapping[str, str]:
        made = {urlsplit(url).path: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() for url in urls}
        for number, url in enumerate(urls):
            secret = made[urlsplit(url).path]
            self.postgres.execute(f"INSERT INTO endpoints VALUES ({number}, '{url}', '{secret}')")
        return made

    def intake(self) -> None:
        process = self._node("intake.js")
        until_it_listens(process, self.port)

    def worker(self) -> None:
        self._node("worker.js")

    def everything(self) -> None:
        self.intake()
        self.worker()

    def fill(self, events: int) -> None:
        send(self.port, template(self.path, self.headers), events)

    def recorded(self) -> int:
        if self.sqlite is None:
            return int(self.postgres.value("SELECT count(*) FROM attempts WHERE status = 200"))
        if not self.sqlite.exists():
            return 0
        with sqlite3.connect(f"file:{self.sqlite}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT count(*) FROM attempts WHERE status = 200").fetchone()[0])

    def cpu(self) -> float:
        return cpu_of(self.processes)

    def _node(self, script: str) -> Process:
        given = {"redis": self.redis_port, "postgres": self.postgres.address, "port": self.port, "rows": self.rows}
        given["sqlite"] = self.sqlite and str(self.sqlite)
        process = self.stage.start("node", str(self.folder / script), json.dumps(given))
        self.processes.append(process)
        return process
