"""What tests of every kind share."""

import os
from collections.abc import Iterator

import pytest

from adapters.persistence.database import Database
from adapters.persistence.migrate import migrate
from adapters.persistence.tables import metadata
from tests.postgres import Server, Unstartable, elsewhere


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server, started when the first test asks. Skips where none can run, which CI does not allow."""
    try:
        server = Server()
    except Unstartable as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI may not skip: {error}")
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _migrated(postgres: Server) -> str:
    name = postgres.create()

    async def prepare() -> None:
        database = Database.at(postgres.url(name))
        await migrate(database)
        await database.close()

    elsewhere(prepare())
    return name


@pytest.fixture
def postgres_url(postgres: Server, _migrated: str) -> Iterator[str]:
    """The address of a migrated PostgreSQL database with nothing in it."""
    yield postgres.url(_migrated)
    postgres.empty(_migrated, metadata.tables)


@pytest.fixture
def empty_postgres_url(postgres: Server) -> Iterator[str]:
    """The address of an empty PostgreSQL database of the test's own."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)
