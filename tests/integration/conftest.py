"""A whole hub for each test: the real adapters over a database of its own, asked over HTTP.

`client` asks it without a network; `live` puts it on a port of this machine for whatever calls back (the sandbox's
webhooks) or comes from outside. `sandbox` is every provider emulated on another port, which the hub is pointed at.
"""

import asyncio
import shutil
import socket
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, final

import attrs
import httpx
import pytest
import structlog
import uvicorn
from litestar import Litestar
from sqlalchemy import func, select

from adapters.clock import SystemClock
from adapters.persistence.database import Database
from adapters.persistence.migrate import migrate
from adapters.persistence.tables import metadata
from adapters.vault import KeyRing
from application.caller import Caller
from application.inbox.handle import HandleInbox
from application.notifications.deliver_due import DeliverDue
from application.organisations.keys import IssueKey
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.store import Store
from domain.organisations import ALL_SCOPES, Organisation, Scope
from entrypoints.api.app import create_app
from entrypoints.api.middleware import observing
from entrypoints.pay import PAGES as PAY
from entrypoints.sandbox import Sandbox
from entrypoints.serving import application, bind
from entrypoints.settings import Settings
from entrypoints.wiring import Hub
from entrypoints.worker import Worker
from tests.postgres import elsewhere

Client = httpx.AsyncClient

HOST = "127.0.0.1"
PATIENCE = 20.0
"""Seconds to wait for what must come."""

both_databases = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
"""Marks what is to hold on PostgreSQL too; everything else runs on SQLite only."""


@final
class MovingClock(Clock):
    """The real time, plus whatever it was moved by: real waits work, and three days pass at once."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self._moved = timedelta()

    def now(self) -> datetime:
        """The moment."""
        return self._real.now() + self._moved

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self._moved += by


@attrs.frozen
class Ports:
    """Free ports of this machine, for the hub, the sandbox and its mail."""

    hub: int
    box: int
    mail: int

    @classmethod
    def free(cls) -> "Ports":
        """Three that were free just now."""
        sockets = [socket.socket() for _ in range(3)]
        for one in sockets:
            one.bind((HOST, 0))
        numbers = [one.getsockname()[1] for one in sockets]
        for one in sockets:
            one.close()
        return cls(*numbers)


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """One line an event. What structlog does by itself draws every local variable of a traceback, which takes seconds."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])
    yield
    structlog.reset_defaults()


@pytest.fixture
def clock() -> MovingClock:
    """The time for hub and sandbox alike."""
    return MovingClock()


@pytest.fixture
def ports() -> Ports:
    """Where things will listen, if they do."""
    return Ports.free()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "patchbay.db"

    async def prepare() -> None:
        database = Database.at(f"sqlite:///{path}")
        await migrate(database)
        await database.close()

    elsewhere(prepare())
    return path


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database of the test's own."""
    if getattr(request, "param", "sqlite") == "postgresql":
        yield request.getfixturevalue("postgres_url")
        return
    path = tmp_path / "patchbay.db"
    shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
    yield f"sqlite:///{path}"


@pytest.fixture
def environment(tmp_path: Path, ports: Ports, database_url: str) -> dict[str, str]:
    """The hub's settings. Where the sandbox will be, and nowhere else on this machine, the hub may call."""
    return {
        "PATCHBAY_DATA_DIR": str(tmp_path),
        "PATCHBAY_DATABASE_URL": database_url,
        "PATCHBAY_PORT": str(ports.hub),
        "PATCHBAY_STRIPE_URL": f"http://{HOST}:{ports.box}/stripe",
        "PATCHBAY_PAYPAL_URL": f"http://{HOST}:{ports.box}/paypal",
        "PATCHBAY_FLUTTERWAVE_URL": f"http://{HOST}:{ports.box}/flutterwave",
        "PATCHBAY_ALLOW_NETWORKS": f"{HOST}:{ports.box},{HOST}:{ports.mail}",
    }


@pytest.fixture
async def hub(environment: dict[str, str], clock: MovingClock) -> AsyncIterator[Hub]:
    """A migrated hub with nobody in it yet; `client` and `other_client` each bring an organisation."""
    opened = Hub.open(Settings.read(environment), KeyRing.new(), clock=clock)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def litestar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Litestar]:
    """The application without the console, made once: that takes longer than most tests do. `app` lends it a hub."""
    folder = str(tmp_path_factory.mktemp("nowhere"))
    hub = Hub.open(Settings.read({"PATCHBAY_DATA_DIR": folder}), KeyRing.new())
    with quiet():
        made = create_app(hub, pages=PAY)
    yield made
    elsewhere(hub.close())


@pytest.fixture
def app(hub: Hub, litestar: Litestar) -> Any:
    """The HTTP application over the test's own hub."""
    litestar.state.hub = hub
    for name, thing in hub.dependencies().items():
        litestar.dependencies[name].value = thing  # type: ignore[union-attr]  # they are all cached Provides
    return observing(litestar, ids=hub.resolve(Ids), metrics=hub.metrics)  # type: ignore[type-abstract]


@pytest.fixture
async def organisation(hub: Hub) -> str:
    """The id of the organisation that `client` asks for."""
    return await found(hub, "Studio")


@pytest.fixture
async def other_organisation(hub: Hub) -> str:
    """The id of the one that `other_client` asks for."""
    return await found(hub, "Rivals")


@pytest.fixture
async def client(hub: Hub, app: Any, organisation: str) -> AsyncIterator[Client]:
    """An application of an organisation's, with a key that may do everything."""
    async with asking(app, await a_key(hub, organisation)) as client:
        yield client


@pytest.fixture
async def other_client(hub: Hub, app: Any, other_organisation: str) -> AsyncIterator[Client]:
    """The same of a second organisation, which must see nothing of the first."""
    async with asking(app, await a_key(hub, other_organisation)) as client:
        yield client


@pytest.fixture
async def sandbox(hub: Hub, ports: Ports, clock: MovingClock) -> AsyncIterator[Sandbox]:
    """Every provider, emulated, where the hub was told to find them."""
    box = Sandbox.at(ports.box, mail_port=ports.mail, clock=clock)
    async with box.mail, served(box.app, ports.box):
        yield box
    await box.aclose()


@pytest.fixture
async def live(hub: Hub) -> AsyncIterator[str]:
    """The whole hub on its port, console included, without worker and scheduler; gives its address."""
    with quiet():
        app = application(hub)
    async with served(app, hub.settings.port):
        yield hub.settings.public_url


@pytest.fixture
async def worker(hub: Hub) -> AsyncIterator[Worker]:
    """The worker in the background. Most tests call `work_off` instead, which comes to an end."""
    running = Worker(hub)
    task = asyncio.create_task(running.run())
    yield running
    running.stop()
    await task


@contextmanager
def quiet() -> Iterator[None]:
    """Litestar 2.25 warns of every parameter that 3.0 will want marked; it does so while an application is made."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


class QuickServer(uvicorn.Server):
    """Uvicorn looks every tenth of a second whether it is to stop, and waits as long for its connections: with two
    hundred tests that is a minute. This one stops at once; whatever is still on its way is cut off."""

    async def main_loop(self) -> None:
        self.stopping = asyncio.Event()
        await self.on_tick(0)
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for task in tuple(self.server_state.tasks):
            task.cancel()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()
        while self.server_state.connections:  # noqa: ASYNC110  # it has no event for that
            await asyncio.sleep(0)
        for listening in sockets or []:
            listening.close()


@asynccontextmanager
async def served(app: Any, port: int) -> AsyncIterator[None]:
    """Serve an application on a port of this machine."""
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, lifespan="off", ws="none")
    server, listener = QuickServer(config), bind(HOST, port)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not hasattr(server, "stopping"):
        await asyncio.sleep(0.001)
        assert not task.done(), task.exception()
    yield
    server.stopping.set()
    await task


@asynccontextmanager
async def asking(app: Any, key: str | None) -> AsyncIterator[Client]:
    """A client of an application in this process."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test", headers=headers) as client:
        yield client


async def found(hub: Hub, name: str) -> str:
    """A new organisation's id."""
    clock, ids = hub.resolve(Clock), hub.resolve(Ids)  # type: ignore[type-abstract]
    organisation = Organisation(ids.new("organisation"), name, clock.now())
    await hub.resolve(Store).found(organisation)  # type: ignore[type-abstract]
    return organisation.id


async def a_key(
    hub: Hub, organisation: str, scopes: frozenset[Scope] = ALL_SCOPES, *, expires_at: datetime | None = None
) -> str:
    """The text of a new key."""
    issue = hub.resolve(IssueKey)
    return (await issue(Caller(organisation, "tests"), name="tests", scopes=scopes, expires_at=expires_at)).text


async def work_off(hub: Hub) -> None:
    """Do what a worker would do until nothing is due."""
    deliver, handle = hub.resolve(DeliverDue), hub.resolve(HandleInbox)
    while await handle() + await deliver():
        pass


async def rows(hub: Hub) -> dict[str, int]:
    """How many rows each table has, but for leases."""
    async with hub.database.reading() as connection:
        return {
            table.name: (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in metadata.sorted_tables
            if table.name != "leases"
        }


async def until(look: Any, what: str = "it") -> Any:
    """Look again and again until there is something to see."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while asyncio.get_running_loop().time() < deadline:
        seen = await look()
        if seen:
            return seen
        await asyncio.sleep(0.02)
    raise AssertionError(f"{what} did not come within {PATIENCE:.0f} s")


async def made(client: Client, path: str, body: Mapping[str, Any] | None = None, *, status: int = 201) -> Any:
    """POST; the answer's body, once the status is as it must be."""
    answer = await client.post(path, json=body)
    assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text}"
    return answer.json()


async def read(client: Client, path: str, **query: Any) -> Any:
    """GET; the answer's body, once it is 200."""
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
    return answer.json()


def faults(answer: httpx.Response) -> set[str]:
    """The fields that a problem names."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    return {error["field"] for error in body.get("errors", ())}


def everything_in(folder: Path) -> bytes:
    """The bytes of the SQLite database there, with what is not yet written back into it."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("patchbay.db*")))
