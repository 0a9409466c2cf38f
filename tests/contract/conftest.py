"""What the contracts over a database share."""

from pathlib import Path

import pytest

from adapters.persistence.database import Database
from adapters.persistence.migrate import migrate
from tests.postgres import elsewhere


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated SQLite file with nothing in it."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"

    async def prepare() -> None:
        database = Database.at(f"sqlite:///{path}")
        await migrate(database)
        await database.close()

    elsewhere(prepare())
    return path.read_bytes()


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: bytes) -> str:
    """The address of a migrated SQLite database of the test's own."""
    (tmp_path / "hub.db").write_bytes(sqlite_template)
    return f"sqlite:///{tmp_path / 'hub.db'}"
