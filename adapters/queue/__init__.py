"""Ways to call workers. The URL alone chooses; nothing above knows which it is (ADR 0019).

A broker's library is imported only when it is asked for: every command of the command line comes by here.
"""

from collections.abc import Awaitable, Callable

from adapters.queue.embedded import EmbeddedQueue
from application.ports.work_queue import WorkQueue

EMBEDDED = "embedded:"
_POSTGRES = ("postgresql://", "postgres://")
_NATS = ("nats://", "tls://")


def queue_at(
    queue_url: str | None,
    database_url: str,
    installation: Callable[[], Awaitable[str]],
    version: Callable[[], Awaitable[int]] | None = None,
) -> WorkQueue:
    """The queue for `PATCHBAY_QUEUE_URL`. Connects to nothing before `open()`.

    Args:
        queue_url: `nats://` or `tls://` for NATS JetStream; `postgresql://` for the hub's database by another way than
            database_url's (past a pooler); `embedded:` for calls inside each process alone. None follows the database:
            LISTEN and NOTIFY on PostgreSQL, the file's own version with SQLite.
        database_url: `sqlite:///path` or `postgresql://…`.
        installation: tells hubs on one broker apart: the same text in every process of this hub, and in no other's. It may
            fail while the database does.
        version: of a SQLite file, a number that changes when another process commits. None: calls stay in this process.

    Raises ValueError with a text for who wrote the setting; it names no credentials.
    """
    url = database_url if queue_url is None else queue_url
    if url.startswith(_POSTGRES):
        from adapters.queue.postgres import PostgresQueue

        return PostgresQueue(url)
    if queue_url is None and version is not None:
        from adapters.queue.sqlite import SqliteQueue

        return SqliteQueue(version)
    if queue_url is None or queue_url == EMBEDDED:
        return EmbeddedQueue()
    if queue_url.startswith(_NATS):
        from adapters.queue.nats import NatsQueue

        return NatsQueue(queue_url, installation)
    raise ValueError("it begins with nats://, tls:// or postgresql://, or is embedded:")


def check_queue_url(queue_url: str) -> None:
    """Raises ValueError as `queue_at` would."""

    async def nobody() -> str:
        return ""

    queue_at(queue_url, "sqlite:///", nobody)
