"""Bring the database to the present shape."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection

from adapters.persistence.database import Database

_HERE = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 0x70617463


class DatabaseIsNewer(Exception):
    """The database was migrated by a newer version of the hub."""


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file."""
    made = Config()
    made.set_main_option("script_location", str(_HERE))
    made.set_main_option("path_separator", "os")
    if connection is not None:
        made.attributes["connection"] = connection
    return made


async def migrate(database: Database, revision: str = "head") -> tuple[str | None, str | None]:
    """Go up or down to a revision, one process at a time. Returns the revision before and after.

    `revision`: `head`, `base`, or one of ours. Raises DatabaseIsNewer.
    """
    async with database.writing() as connection:
        if not database.is_sqlite:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        result = await connection.run_sync(_move, revision)
        await connection.commit()
    return result


async def pending(database: Database) -> bool:
    """Whether `migrate` would change anything."""
    async with database.reading() as connection:
        return await connection.run_sync(_present) != ScriptDirectory.from_config(config()).get_current_head()


async def begun(database: Database) -> bool:
    """Whether any migration was ever applied."""
    async with database.reading() as connection:
        return await connection.run_sync(_present) is not None


def _move(connection: Connection, revision: str) -> tuple[str | None, str | None]:
    before = _present(connection)
    scripts = ScriptDirectory.from_config(config())
    head = scripts.get_current_head()
    ladder = [None, *(script.revision for script in reversed(list(scripts.walk_revisions())))]
    if before not in ladder:
        raise DatabaseIsNewer(
            f"The database is at revision {before}, which this version of the hub does not know: it was used by a newer one."
        )
    wanted = {"head": head, "base": None}.get(revision, revision)
    if wanted != before:
        move = command.upgrade if ladder.index(wanted) > ladder.index(before) else command.downgrade
        move(config(connection), revision)
    return before, _present(connection)


def _present(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
