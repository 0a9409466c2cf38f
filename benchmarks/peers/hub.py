"""The hub as a side: as it is started by hand, with SQLite, which is what it takes when nothing is set."""

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import final
from urllib.parse import urlsplit

import attrs

from benchmarks.peers.servers import until_it_listens
from benchmarks.peers.side import Side, Sitting, cpu_of
from benchmarks.sink.programs import Sink, program, send, template
from benchmarks.stage import HOST, Process, Stage, staged

BATCH = 1_000
"""The most events that `POST /api/events/batch` takes."""


@final
@attrs.frozen
class Patchbay(Side):
    """This project. `apart`: the worker in a process of its own, beside the intake."""

    apart: bool = False
    name: str = "Patchbay"

    @contextmanager
    def sitting(self) -> Iterator["HubSitting"]:
        """See Side."""
        with staged() as stage:
            sink = Sink(stage.start(*program("receiver"), str(stage.receiver_port)), stage.receiver_port, stage.http)
            until_it_listens(sink.process, sink.port)
            yield HubSitting(stage, sink, self.apart)

    def versions(self) -> Mapping[str, str]:
        """None beyond those of every row."""
        return {}


@final
@attrs.define
class HubSitting(Sitting):
    """See Sitting."""

    stage: Stage
    sink: Sink
    apart: bool
    processes: list[Process] = attrs.field(factory=list)
    path: str = "/api/events"
    _urls: Sequence[str] = ()

    @property
    def port(self) -> int:  # type: ignore[override]
        """Where it takes events in."""
        return self.stage.port

    @property
    def headers(self) -> Mapping[str, str]:  # type: ignore[override]
        """What a POST needs."""
        return {"Authorization": f"Bearer {self.stage.api_key}"}

    def listen(self, urls: Sequence[str]) -> Mapping[str, str]:
        """Made over the API, by a hub that is ended again."""
        hub = self.stage.hub("serve", "--no-worker", "--no-scheduler")
        made = {urlsplit(url).path: self.stage.call("POST", "/api/webhooks", {"url": url})["secret"] for url in urls}
        self.stage.end(hub)
        return made

    def intake(self) -> None:
        """`patchbay serve` without its worker."""
        self.processes.append(self.stage.hub("serve", "--no-worker", "--no-scheduler"))

    def worker(self) -> None:
        """`patchbay worker`."""
        self.processes.append(self.stage.hub("worker"))

    def everything(self) -> None:
        """`patchbay serve`, and `patchbay worker` beside it if they are to be apart."""
        if self.apart:
            self.intake()
            self.worker()
        else:
            self.processes.append(self.stage.hub("serve", "--no-scheduler"))

    def fill(self, events: int) -> None:
        """In batches, where this hub has them, else one by one."""
        url = f"http://{HOST}:{self.port}/api/events/batch"
        for begin in range(0, events, BATCH):
            body = batch(min(BATCH, events - begin))
            answer = self.stage.http.post(url, content=body, headers=self.stage.headers, timeout=60)
            if answer.status_code in (404, 405):
                send(self.port, template(self.path, self.headers), events)
                return
            answer.raise_for_status()

    def recorded(self) -> int:
        """Read from the hub's own file."""
        return self._rows("attempts")

    def kept(self) -> int:
        """How many events are in the hub's file."""
        return self._rows("events")

    def cpu(self) -> float:
        """Of all the hub's processes."""
        return cpu_of(self.processes)

    def _rows(self, table: str) -> int:
        path = self.stage.folder / "data" / "patchbay.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def batch(events: int) -> bytes:
    """The body of a batch of events of 500 bytes each."""
    event = {"type": "kiln.fired", "data": {"sent_at": time.time(), "n": "", "padding": "x" * 408}}
    made = [{**event, "data": {**event["data"], "n": f"{number:08d}"}} for number in range(events)]  # type: ignore[dict-item]
    return json.dumps({"events": made}, separators=(",", ":")).encode()
