"""Each queue keeps the contract of the port WorkQueue."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import nats
import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from adapters.persistence.database import Database
from adapters.queue import check_queue_url, queue_at
from adapters.queue.brokered import BrokeredQueue, Pace
from adapters.queue.embedded import EmbeddedQueue
from adapters.queue.nats import NatsQueue, Servers, namespace_of
from adapters.queue.postgres import CHANNEL, PostgresQueue
from adapters.queue.sqlite import SqliteQueue
from application.ports.work_queue import Topic, WorkQueue
from tests.contract.wire import Wire
from tests.contract.work_queue import LONG, WorkQueueContract
from tests.contract.work_queue_between_processes import DOWN, PASSWORD, QUICK, UP, BetweenProcessesContract
from tests.fakes.work_queue import RecordingQueue
from tests.nats import Server as NatsServer
from tests.nats import Unstartable
from tests.postgres import Server as PostgresServer


@asynccontextmanager
async def opened(queue: WorkQueue) -> AsyncIterator[WorkQueue]:
    """Until the test is over."""
    await queue.open()
    yield queue
    await queue.aclose()


class TestEmbeddedQueue(WorkQueueContract):
    """The one for one process."""

    def open(self) -> AbstractAsyncContextManager[WorkQueue]:
        return opened(EmbeddedQueue())


class TestSqliteQueue(WorkQueueContract):
    """The one for processes that share a file."""

    def open(self) -> AbstractAsyncContextManager[WorkQueue]:
        async def version() -> int:
            raise OSError("there is no file")

        return opened(SqliteQueue(version))

    async def test_a_commit_by_another_process_wakes_the_worker(self, sqlite_url: str) -> None:
        """A worker of its own hears of what the door took in within a glance, not within a second; of itself it does not."""
        mine, other = Database.at(sqlite_url), Database.at(sqlite_url)
        queue = queue_at(None, sqlite_url, some_installation, mine.version)
        assert isinstance(queue, SqliteQueue)

        async def called() -> bool:
            waiting = asyncio.create_task(queue.wait(Topic.DELIVERIES, LONG))
            await asyncio.sleep(0.2)
            if waiting.done():
                return (await waiting) == frozenset()
            waiting.cancel()
            return False

        def mark(connection: Connection) -> None:
            connection.exec_driver_sql("INSERT OR REPLACE INTO marks (name, value) VALUES ('x', 'y')")

        async with opened(queue):
            await asyncio.sleep(0.1)
            await mine.write(mark)
            assert not await called()
            await other.write(mark)
            assert await called()
        await mine.close()
        await other.close()


class TestRecordingQueue(WorkQueueContract):
    """The fake."""

    def open(self) -> AbstractAsyncContextManager[WorkQueue]:
        return opened(RecordingQueue())

    async def test_it_remembers(self) -> None:
        """Tests of the store ask it."""
        queue = RecordingQueue()
        await queue.announce(Topic.INBOX, ["a"])
        await queue.announce(Topic.DELIVERIES)
        assert queue.announced == [Topic.INBOX, Topic.DELIVERIES]
        assert queue.lanes == [{"a"}, frozenset()]


@pytest.mark.postgres
class TestPostgresQueue(BetweenProcessesContract):
    """LISTEN and NOTIFY."""

    server: PostgresServer
    url: str
    other_url: str
    folder: Path

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _databases(cls, postgres: PostgresServer) -> Iterator[None]:
        names = postgres.create(), postgres.create()
        cls.server, (cls.url, cls.other_url) = postgres, map(postgres.url, names)
        with TemporaryDirectory(prefix="patchbay-wire-") as folder:
            cls.folder = Path(folder)
            yield
        for name in names:
            postgres.drop(name)

    def queue(self, *, hub: str = "a hub", wire: Wire | None = None, pace: Pace = QUICK) -> BrokeredQueue:
        url = self.url if hub == "a hub" else self.other_url
        if wire is not None:
            url = url.partition("?")[0] + f"?host={self.folder}"
        return PostgresQueue(url.replace("postgres@", f"postgres:{PASSWORD}@"), pace=pace)

    def wire(self) -> Wire:
        host = parse_qs(urlsplit(self.url).query)["host"][0]
        return Wire(lambda: asyncio.open_unix_connection(f"{host}/.s.PGSQL.5432"), self.folder / ".s.PGSQL.5432")

    def settings(self) -> tuple[str, str]:
        return "", self.url

    @asynccontextmanager
    async def listening(self, heard: Callable[[bytes], None]) -> AsyncIterator[Callable[[bytes], Any]]:
        connection = await asyncpg.connect(self.url)

        def hear(*arguments: Any) -> None:
            heard(arguments[3].encode())

        async def send(message: bytes) -> None:
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, message.decode())

        await connection.add_listener(CHANNEL, hear)
        yield send
        await connection.remove_listener(CHANNEL, hear)
        await connection.close()

    async def test_a_server_that_ends_its_sessions_is_come_back_to(self) -> None:
        """As a restart of the database does, or a fail-over."""
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        database = urlsplit(self.url).path[1:]
        async with self.opened(self.queue()) as a, self.opened(self.queue()) as b, asyncio.timeout(10):
            await asyncio.to_thread(self.server.execute, f"{end} AND pid <> pg_backend_pid()", database=database)
            await self.comes_through(a, b, Topic.DELIVERIES)

    async def test_the_address_is_read_as_the_database_reads_it(self) -> None:
        """`sslmode` is libpq's word, which people paste; asyncpg's own is another."""
        queue = PostgresQueue(f"{self.url}&sslmode=disable", pace=QUICK)
        with capture_logs() as logs:
            async with self.opened(queue):
                assert [line["log_level"] for line in logs] == [UP]

    async def test_a_database_that_lets_nobody_in_is_said_without_the_password(self) -> None:
        """The log is read by more people than the settings are."""
        url = self.url.replace("postgres@", f"nobody-known:{PASSWORD}@")
        with capture_logs() as logs:
            async with self.opened(PostgresQueue(url, pace=Pace(opening=0.3, first_pause=0.02))):
                pass
        assert [line["log_level"] for line in logs] == [DOWN]
        self.shows_no_password(logs)


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    """A NATS server, started when the first test asks. Skips where none can run, which CI does not allow."""
    try:
        server = NatsServer("--user", "patchbay", "--pass", PASSWORD)
    except Unstartable as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI may not skip: {error}")
        pytest.skip(str(error))
    yield server
    server.stop()


class TestNatsQueue(BetweenProcessesContract):
    """JetStream."""

    @pytest.fixture(autouse=True)
    def _server(self, nats_server: NatsServer) -> None:
        self.server = nats_server

    def address(self, port: int | None = None) -> str:
        """With the password."""
        return f"nats://patchbay:{PASSWORD}@127.0.0.1:{port or self.server.port}"

    def queue(self, *, hub: str = "a hub", wire: Wire | None = None, pace: Pace = QUICK) -> BrokeredQueue:
        async def installation() -> str:
            return hub

        return NatsQueue(self.address(wire.port if wire else None), installation, pace=pace)

    def wire(self) -> Wire:
        return Wire(lambda: asyncio.open_connection("127.0.0.1", self.server.port))

    def settings(self) -> tuple[str, str]:
        return self.address(), "sqlite:///none.db"

    @asynccontextmanager
    async def listening(self, heard: Callable[[bytes], None]) -> AsyncIterator[Callable[[bytes], Any]]:
        client = await nats.connect(self.address())

        async def hear(message: Any) -> None:
            heard(message.data)

        async def send(message: bytes) -> None:
            await client.publish(f"patchbay.{namespace_of('a hub')}.work.deliveries", message)
            await client.flush()

        await client.subscribe(f"patchbay.{namespace_of('a hub')}.work.*", cb=hear)
        await client.flush()
        yield send
        await client.close()

    async def test_a_broker_that_was_wiped_gets_its_stream_anew(self) -> None:
        """It may lose everything: nothing in it is the only one of its kind."""
        async with self.opened(self.queue()) as a, self.opened(self.queue()) as b, asyncio.timeout(20):
            await asyncio.to_thread(self.server.wipe)
            await self.comes_through(a, b, Topic.DELIVERIES)
            await self.comes_through(b, a, Topic.INBOX)

    async def test_a_stream_that_was_deleted_is_made_anew(self) -> None:
        """The connection holds, and yet nothing is carried; only the silence tells."""
        with capture_logs() as logs:
            async with self.opened(self.queue()) as a, self.opened(self.queue()) as b, asyncio.timeout(20):
                client = await nats.connect(self.address())
                await client.jetstream().delete_stream(f"PATCHBAY_{namespace_of('a hub')}")
                await client.close()
                await self.comes_through(a, b, Topic.DELIVERIES)
        assert sorted(line["log_level"] for line in logs) == [UP] * 4 + [DOWN] * 2

    async def test_a_stream_that_an_operator_changed_is_taken_as_it_is(self) -> None:
        """In a cluster somebody may want it on three servers, or on disk."""
        client = await nats.connect(self.address())
        broker = client.jetstream()
        async with self.opened(self.queue()):
            name = f"PATCHBAY_{namespace_of('a hub')}"
            config = (await broker.stream_info(name)).config
            config.max_age = config.duplicate_window = 30
            await broker.update_stream(config)
        with capture_logs() as logs:
            async with self.opened(self.queue()):
                assert [line["log_level"] for line in logs] == [UP]
        await broker.delete_stream(name)
        await client.close()

    async def test_its_consumer_is_forgotten_by_the_broker_with_the_process(self) -> None:
        """Nodes come and go; what they leave must not add up. The broker waits half a minute for it."""
        client = await nats.connect(self.address())
        async with self.opened(self.queue()):
            (consumer,) = [
                one
                for one in await client.jetstream().consumers_info(f"PATCHBAY_{namespace_of('a hub')}")
                if one.push_bound
            ]
            assert consumer.config.inactive_threshold == 30
            assert consumer.config.durable_name is None
        await client.close()

    async def test_who_cannot_say_which_hub_it_is_asks_again(self) -> None:
        """The installation's name is read from the database, which may be away."""
        answers: Iterator[Exception | str] = iter([OSError("no database"), OSError("no database"), "a hub"])

        async def installation() -> str:
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

        with capture_logs() as logs:
            queue = NatsQueue(self.address(), installation, pace=QUICK)
            async with self.opened(queue) as a, self.opened(self.queue()) as b:
                await self.comes_through(b, a, Topic.INBOX)
        assert [line["log_level"] for line in logs] == [DOWN, UP, UP]

    async def test_a_wrong_password_is_said_without_it(self) -> None:
        """The log is read by more people than the settings are."""

        async def installation() -> str:
            return "a hub"

        url = f"nats://patchbay:wrong-{PASSWORD}@127.0.0.1:{self.server.port}"
        with capture_logs() as logs:
            async with self.opened(NatsQueue(url, installation, pace=Pace(opening=0.3, first_pause=0.02))):
                pass
        assert [line["log_level"] for line in logs] == [DOWN]
        self.shows_no_password(logs)

    async def test_of_several_servers_one_is_enough(self) -> None:
        """A cluster goes on when a node of it dies."""

        async def installation() -> str:
            return "a hub"

        queue = NatsQueue(f"{self.address()},nats://127.0.0.1:1", installation, pace=QUICK)
        async with self.opened(queue) as a, self.opened(self.queue()) as b:
            await b.announce(Topic.INBOX, ["x"])
            assert await a.wait(Topic.INBOX, LONG) == {"x"}


async def some_installation() -> str:
    """Of a hub."""
    return "a hub"


@pytest.mark.parametrize(
    ("queue_url", "database_url", "kind"),
    [
        (None, "sqlite:///x.db", EmbeddedQueue),
        (None, "postgresql://db.example/x", PostgresQueue),
        ("embedded:", "postgresql://db.example/x", EmbeddedQueue),
        ("postgres://direct.example/x", "postgresql://pooler.example/x", PostgresQueue),
        ("nats://nats.example", "postgresql://db.example/x", NatsQueue),
        ("tls://token@a.example:4443,tls://b.example", "sqlite:///x.db", NatsQueue),
    ],
)
def test_the_address_alone_chooses(queue_url: str | None, database_url: str, kind: type[WorkQueue]) -> None:
    """Nothing above knows which queue it is."""
    assert isinstance(queue_at(queue_url, database_url, some_installation), kind)


def test_credentials_are_read_and_kept_out_of_sight() -> None:
    """A password may hold anything, if it is encoded; it may stand at one server of several."""
    servers = Servers.read("nats://me:p%40%2Css%2Fw@a.example, nats://b.example:4333,nats://[::1]")
    assert servers.addresses == ("nats://a.example:4222", "nats://b.example:4333", "nats://[::1]:4222")
    assert (servers.user, servers.password, servers.token) == ("me", "p@,ss/w", None)
    assert "ss" not in repr(servers).replace("addresses", "")
    assert Servers.read("tls://t0ken@a.example").token == "t0ken"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://x", "begins with"),
        ("", "begins with"),
        ("nats://", "server 1"),
        ("nats://a,http://b", "server 2"),
        ("nats://a:99999", "server 1"),
        ("nats://a:0", "server 1"),
        ("nats://a:4222,", "server 2"),
        ("nats://u:p/w@a", "server 1"),
        ("nats://a?credentials=x", "after its port"),
        ("nats://u:s3cret@a,nats://v:s3cret@b", "same user"),
        ("postgresql://u:s3cret@h:port/x", "postgresql"),
    ],
)
def test_an_address_that_cannot_be_is_refused_without_repeating_it(url: str, says: str) -> None:
    """The settings' reader shows the text to whoever starts the hub, and perhaps to a log."""
    with pytest.raises(ValueError, match=says) as refused:
        check_queue_url(url)
    assert "s3cret" not in str(refused.value)
