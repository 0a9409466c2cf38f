"""The migrations make the tables that the code expects, on both databases, step by step and from several processes."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from adapters.persistence import tables
from adapters.persistence.database import Database
from adapters.persistence.dispatch import SqlDispatch
from adapters.persistence.migrate import DatabaseIsNewer, config, migrate, pending
from adapters.persistence.store import SqlStore
from adapters.persistence.tables import metadata
from application.ports.dispatch import Want
from domain.notifications.deliveries import DeliveryState
from domain.notifications.endpoints import EndpointMode
from domain.notifications.options import Options
from tests.fakes.clock import FrozenClock
from tests.fakes.work_queue import RecordingQueue

REVISIONS = [script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()][::-1]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "postgres":
        found: str = request.getfixturevalue("empty_postgres_url")
        return found
    return f"sqlite:///{tmp_path / 'hub.db'}"


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """The same, opened."""
    opened = Database.at(url)
    yield opened
    await opened.close()


async def shape(database: Database) -> dict[str, object]:
    """Every table with its columns, keys and indexes, as the database tells them; what comes back comes last in its table."""

    def read(connection: Connection) -> dict[str, object]:
        seen = inspect(connection)
        return {
            name: (
                sorted((c["name"], str(c["type"]), c["nullable"], str(c["default"])) for c in seen.get_columns(name)),
                sorted(str(index["name"]) for index in seen.get_indexes(name)),
                sorted(str(unique["name"]) for unique in seen.get_unique_constraints(name)),
                seen.get_pk_constraint(name)["constrained_columns"],
            )
            for name in seen.get_table_names()
            if name != "alembic_version"
        }

    async with database.reading() as connection:
        return await connection.run_sync(read)


async def differences(database: Database) -> list[object]:
    """What Alembic would still have to change."""

    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    async with database.reading() as connection:
        return await connection.run_sync(compare)


async def test_every_step_can_be_taken_up_down_and_up_again(database: Database) -> None:
    """A way back that was never walked is none."""
    before: str | None = None
    for revision in REVISIONS:
        below = await shape(database)
        assert await migrate(database, revision) == (before, revision)
        above = await shape(database)
        assert above != below
        assert await migrate(database, before or "base") == (revision, before)
        assert await shape(database) == below
        assert await migrate(database, revision) == (before, revision)
        assert await shape(database) == above
        before = revision
    assert not await pending(database)


async def test_the_migrated_tables_are_those_of_the_code(database: Database) -> None:
    """A column that was only declared would be missing in every installation."""
    await migrate(database)
    assert await differences(database) == []
    assert set(await shape(database)) == set(metadata.tables)


async def test_migrating_again_changes_nothing(database: Database) -> None:
    """It is done at every start."""
    assert await pending(database)
    assert await migrate(database) == (None, REVISIONS[-1])
    before = await shape(database)
    assert await migrate(database) == (REVISIONS[-1], REVISIONS[-1])
    assert await shape(database) == before
    assert not await pending(database)


async def test_a_newer_hubs_database_is_left_alone(database: Database) -> None:
    """An older version that writes into it could spoil it; the text says what is the matter."""
    await migrate(database)
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        await connection.commit()
    before = await shape(database)
    for revision in ("head", "base"):
        with pytest.raises(DatabaseIsNewer, match="9999"):
            await migrate(database, revision)
    assert await shape(database) == before
    assert await pending(database)


async def test_a_migration_that_breaks_off_leaves_nothing_behind(database: Database) -> None:
    """Half a schema could be neither used nor migrated."""

    async def break_off() -> None:
        async with database.writing() as connection:
            await connection.execute(text("CREATE TABLE half (id INTEGER)"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await break_off()
    assert await shape(database) == {}
    await migrate(database)


async def test_two_in_one_process_migrate_one_after_the_other(url: str) -> None:
    """Tests and the demo start several parts at once."""
    databases = [Database.at(url) for _ in range(4)]
    results = await asyncio.gather(*(migrate(database) for database in databases))
    assert sorted(results, key=str) == [(REVISIONS[-1], REVISIONS[-1])] * 3 + [(None, REVISIONS[-1])]
    for database in databases:
        await database.close()


def test_processes_that_start_at_once_migrate_once(url: str) -> None:
    """`serve` and `worker` come up together after an upgrade."""
    program = (
        "import asyncio, sys\n"
        "from adapters.persistence.database import Database\n"
        "from adapters.persistence.migrate import migrate\n"
        "async def run():\n"
        "    database = Database.at(sys.argv[1])\n"
        "    print(await migrate(database))\n"
        "    await database.close()\n"
        "sys.stdin.read(1)\n"
        "asyncio.run(run())\n"
    )
    root = Path(__file__).parents[2]
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program, url],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(3)
    ]
    for process in running:  # let go of all at the same moment
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.flush()
    told = [process.communicate()[0].strip() for process in running]
    assert sorted(told) == [f"('{REVISIONS[-1]}', '{REVISIONS[-1]}')"] * 2 + [f"(None, '{REVISIONS[-1]}')"]


HELD = {
    "endpoints": (
        "INSERT INTO endpoints (id, organisation_id, url, name, events, secrets, created_at, updated_at, state, reason,"
        " sealed_headers, timeout_s, failures, version) VALUES ('wh_1', 'org_1', 'https://acme.example', '', '[\"*\"]',"
        " '[]', 1000000, 2000000, 'active', NULL, NULL, 15, 3, 4)"
    ),
    "events": (
        "INSERT INTO events (id, organisation_id, type, data, occurred_at, created_at)"
        " VALUES ('evt_1', 'org_1', 'order.shipped', '{\"id\": 1}', 1000000, 2000000)"
    ),
    "deliveries": (
        "INSERT INTO deliveries (id, organisation_id, event_id, event_type, kind, destination_id, message_id, created_at,"
        " due_at, state, attempts, last_error, last_status, finished_at, mail, replay_of, generation, leased_until)"
        " VALUES ('dlv_1', 'org_1', 'evt_1', 'order.shipped', 'endpoint', 'wh_1', 'evt_1', 2000000, 3000000, 'pending', 2,"
        " 'busy', 503, NULL, NULL, NULL, 7, 9000000),"
        " ('dlv_2', 'org_1', 'evt_1', 'order.shipped', 'endpoint', 'wh_1', 'evt_1', 2000000, 3000000, 'failed', 12,"
        " 'busy', 503, 4000000, NULL, NULL, 7, NULL)"
    ),
}
"""As version 0001 kept them: a delivery was under way, and an endpoint had failed three times."""


async def execute(database: Database, *statements: str) -> None:
    """In one transaction."""
    async with database.writing() as connection:
        for statement in statements:
            await connection.execute(text(statement.replace(":", "\\:")))
        await connection.commit()


async def test_what_was_kept_before_the_delivery_engine_goes_on_with_it(database: Database) -> None:
    """An installation is upgraded in the middle of its work: what is pending is delivered, settings are the usual ones."""
    await migrate(database, "0001")
    await execute(database, *HELD.values())
    await migrate(database)
    store = SqlStore(database, FrozenClock(), RecordingQueue())
    async with store.reading("org_1") as work:
        endpoint = await work.endpoints.get("wh_1")
        deliveries = await work.deliveries.all()
    assert (endpoint.mode, endpoint.options, endpoint.version) == (EndpointMode.PUSH, Options(), 4)
    assert [(one.state, one.attempts, one.expires_at) for one in deliveries] == [
        (DeliveryState.PENDING, 2, None),
        (DeliveryState.FAILED, 12, None),
    ]
    dispatch, now = SqlDispatch(database), deliveries[0].due_at
    generation = await dispatch.enlist("wrk_1", now, now + timedelta(seconds=20))
    (lane,) = await dispatch.take(generation, await dispatch.survey(generation, now), now)
    (ready,) = (await dispatch.read([Want(lane.destination_id, 9)], now))["wh_1"].ready
    assert ready.delivery == deliveries[0]
    assert json.loads(ready.payload.data_json) == {"id": 1}


async def test_what_the_delivery_engine_kept_can_be_read_by_the_version_before(database: Database) -> None:
    """A way back after a day: what the older version does not know is turned into what it does."""
    await migrate(database, "0001")
    await execute(database, *HELD.values())
    await migrate(database)
    copies = ", ".join(name for name in tables.deliveries.c.keys() if name not in ("id", "state", "finished_at"))  # noqa: SIM118
    await execute(
        database,
        f"INSERT INTO deliveries (id, state, finished_at, {copies}) SELECT 'dlv_3', 'expired', 5000000, {copies}"
        " FROM deliveries WHERE id = 'dlv_2'",
        f"INSERT INTO deliveries (id, state, finished_at, {copies}) SELECT 'dlv_4', 'waiting', NULL, {copies}"
        " FROM deliveries WHERE id = 'dlv_1'",
        "UPDATE endpoints SET mode = 'poll', url = ''",
    )
    await migrate(database, "0001")
    async with database.reading() as connection:
        deliveries = await connection.execute(
            text("SELECT id, state, finished_at, generation, leased_until FROM deliveries ORDER BY id")
        )
        assert [tuple(row) for row in deliveries] == [
            ("dlv_1", "pending", None, 0, None),
            ("dlv_2", "failed", 4_000_000, 0, None),
            ("dlv_3", "failed", 5_000_000, 0, None),
            ("dlv_4", "cancelled", 2_000_000, 0, None),
        ]
        endpoints = await connection.execute(text("SELECT state, failures, version FROM endpoints"))
        assert [tuple(row) for row in endpoints] == [("paused", 0, 4)]
    await migrate(database)
    assert await differences(database) == []
