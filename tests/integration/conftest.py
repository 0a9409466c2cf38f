"""A whole hub for each test: the real adapters over a SQLite file of its own, asked over HTTP without a network.

The client is HTTPX's own over ASGI, and not Litestar's test client: that one runs the application on an event loop in
another thread, where asyncpg's connections and our locks do not work, and leaves streams open.
"""

import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar

from adapters.persistence.migrate import migrate
from adapters.vault import KeyRing
from application.caller import hub as the_hub_itself
from application.organisations.keys import IssueKey
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Store
from domain.organisations import ALL_SCOPES, Organisation
from entrypoints.settings import Settings
from entrypoints.wiring import Hub


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    """A migrated hub with nobody in it yet; `client` and `other_client` each bring an organisation."""
    opened = Hub.open(Settings.read({"PATCHBAY_DATA_DIR": str(tmp_path)}), KeyRing.new())
    await migrate(opened.database)
    yield opened
    await opened.close()


@pytest.fixture
def app(hub: Hub) -> Litestar:
    """The HTTP application over it."""
    with warnings.catch_warnings():
        # Litestar 2.25 warns of every parameter that 3.0 will want marked; it does so while the application is made.
        warnings.simplefilter("ignore", DeprecationWarning)
        from entrypoints.api.app import create_app

        return create_app(hub)


@pytest.fixture
async def client(hub: Hub, app: Litestar) -> AsyncIterator[AsyncClient]:
    """An application of an organisation's, with a key that may do everything."""
    async with _asking(app, await key_of_a_new_organisation(hub, "Studio")) as asking:
        yield asking


@pytest.fixture
async def other_client(hub: Hub, app: Litestar) -> AsyncIterator[AsyncClient]:
    """The same of a second organisation, which must see nothing of the first."""
    async with _asking(app, await key_of_a_new_organisation(hub, "Rivals")) as asking:
        yield asking


async def key_of_a_new_organisation(hub: Hub, name: str) -> str:
    """Found one; the text of a key of its."""
    clock, ids = hub.resolve(Clock), hub.resolve(Ids)  # type: ignore[type-abstract]
    organisation = Organisation(ids.new("organisation"), name, clock.now())
    await hub.resolve(Store).found(organisation)  # type: ignore[type-abstract]
    issued = await hub.resolve(IssueKey)(the_hub_itself(organisation.id), name="tests", scopes=ALL_SCOPES)
    return issued.text


def _asking(app: Litestar, key: str) -> AsyncClient:
    headers = {"Authorization": f"Bearer {key}"}
    return AsyncClient(transport=ASGITransport(app), base_url="http://hub.example", headers=headers)  # type: ignore[arg-type]
