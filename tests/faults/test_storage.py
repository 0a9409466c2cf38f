"""The database without room, or away: callers are told at once, nothing is lost, and it goes on when it is back."""

import resource
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from adapters.persistence.database import Database, is_away
from tests.faults.durable import DurableServer
from tests.faults.installation import Installation, installed
from tests.faults.reckoning import Books, reckon

pytestmark = pytest.mark.faults

AWAY_S = 10.0
QUICKLY_S = 2.0
"""A refusal takes milliseconds; the machine may be busy."""

ROOM = 3 * 1024 * 1024
"""Bytes by which each of the database's files may grow."""


def told(site: Installation, number: int, padding: int = 0, key: str = "") -> httpx.Response:
    """One event."""
    headers = {**site.headers, "Idempotency-Key": key or f"event-{number}"}
    event = {"type": "kiln.fired", "data": {"n": number, "padding": "x" * padding}}
    return site.http.post(f"{site.url}/api/events", json=event, headers=headers)


def check_refusal(answer: httpx.Response) -> None:
    """503 that a program understands."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["type"] == "urn:problem:patchbay:unavailable"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_a_full_disk_refuses_events_and_loses_none(tmp_path: Path) -> None:
    """What was acknowledged before is delivered, what was refused is not kept, and with room again all goes on."""
    with installed(tmp_path, "full") as site:
        data = tmp_path / "data"
        limit = max(path.stat().st_size for path in data.iterdir()) + ROOM
        hub = site.start("hub", "serve", "--no-scheduler", file_limit=limit)
        site.until_ready()
        paths = {site.endpoint("/0"): "/0"}
        acknowledged: dict[int, str] = {}
        refused: list[int] = []
        for number in range(400):
            answer = told(site, number, padding=4_000)
            if answer.status_code == 201:
                acknowledged[number] = answer.json()["id"]
                continue
            check_refusal(answer)
            refused.append(number)
            if len(refused) == 20:
                break
        assert len(refused) == 20, "the disk was never full"
        assert len(acknowledged) > 20

        resource.prlimit(hub.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for number in refused:
            acknowledged[number] = site.until("room", lambda n=number: kept(told(site, n, padding=4_000)))
        site.until_delivered()
        assert site.stop("hub") == 0
        assert hub.falls == []
        received = site.received()
    done = reckon(Books.at(f"sqlite:///{data / 'patchbay.db'}"), received, acknowledged, paths)
    assert done.faults == ()
    assert done.deliveries == len(acknowledged)


def kept(answer: httpx.Response) -> Any:
    """The id, if it was kept."""
    return answer.json()["id"] if answer.status_code == 201 else None


async def test_what_sqlite_says_of_a_full_disk_is_understood(tmp_path: Path) -> None:
    """SQLITE_FULL is what ENOSPC becomes; a mistake in a statement is something else."""
    database = Database.at(f"sqlite:///{tmp_path / 'a.db'}")

    def fill(connection: Any) -> None:
        connection.execute(text("CREATE TABLE t (x)"))
        connection.execute(text("PRAGMA max_page_count = 3"))
        connection.execute(text("INSERT INTO t VALUES (zeroblob(100000))"))

    try:
        with pytest.raises(DBAPIError) as full:
            await database.write(fill)
        assert isinstance(full.value.orig, sqlite3.OperationalError)
        assert "full" in str(full.value.orig)
        assert is_away(full.value)
        with pytest.raises(DBAPIError) as wrong:
            await database.write(lambda connection: connection.execute(text("SELECT nothing")))
        assert not is_away(wrong.value)
    finally:
        await database.close()


@pytest.fixture
def durable() -> Iterator[DurableServer]:
    """A PostgreSQL that can be stopped at once."""
    server = DurableServer()
    yield server
    server.stop()


def test_while_postgres_is_away_callers_are_told_and_workers_wait(tmp_path: Path, durable: DurableServer) -> None:
    """Nobody hangs and nothing falls; what was under way and what comes afterwards is delivered."""
    name = durable.create()
    with installed(tmp_path, "away", {"PATCHBAY_DATABASE_URL": durable.url(name)}) as site:
        site.start("hub", "serve", "--no-worker", "--no-scheduler")
        site.start("worker", "worker")
        site.until_ready()
        paths = {site.endpoint(f"/{number}"): f"/{number}" for number in range(3)}
        site.mood(slowest_s=1.0)
        acknowledged = dict(enumerate(site.publish(*range(60))))
        site.until("the first of them", site.received)

        durable.halt()
        began, number = time.monotonic(), 60
        while time.monotonic() - began < AWAY_S:
            asked = time.monotonic()
            check_refusal(told(site, number))
            assert time.monotonic() - asked < QUICKLY_S
            number += 1
            time.sleep(0.2)
        durable.start()
        back = time.monotonic()

        for again in range(60, number):
            acknowledged[again] = site.until("the database", lambda n=again: kept(told(site, n)))
        site.until_delivered()
        assert time.monotonic() - back < 30
        assert [role.falls for role in site.roles.values() if role.wanted] == [[], []]
        assert site.stop("worker") == site.stop("hub") == 0
        received = site.received()
    done = reckon(Books.at(durable.url(name)), received, acknowledged, paths)
    assert done.faults == ()
    assert done.deliveries == 3 * len(acknowledged)
