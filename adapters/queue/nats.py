"""Calls over NATS JetStream, for many nodes or for a database that should not carry them (ADR 0019).

One stream a hub, kept in the broker's memory for a minute: the database is the truth, and a call that is a minute old has
been overtaken by a look at the database. Each process has an ephemeral consumer, so that every one hears every call.
The stream is made when it is missing, also when the broker was wiped; one that is there is taken as it is, so that an
operator may have it replicated.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, final
from urllib.parse import unquote, urlsplit

import attrs
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError

from adapters.queue.brokered import BrokeredQueue, Line, Pace
from application.ports.work_queue import Topic

KEPT_S = 60
LARGEST_STREAM = 8 * 1024 * 1024
"""Bytes. The oldest calls go first."""

_CONNECTING_S = 5
_CLOSING_S = 1
_ORPHAN_S = 30
"""After so long the broker forgets the consumer of a process that is gone."""


@attrs.frozen
class Servers:
    """Where the broker is, and who we are there."""

    addresses: tuple[str, ...]
    user: str | None = attrs.field(default=None, repr=False)
    password: str | None = attrs.field(default=None, repr=False)
    token: str | None = attrs.field(default=None, repr=False)

    @classmethod
    def read(cls, url: str) -> "Servers":
        """`nats://user:password@host:4222`, `nats://token@host` or `tls://…`; several separated by commas.

        Credentials are the same for all and may stand at one of them only, percent-encoded. Raises ValueError saying what
        is wrong, without repeating what may be a password.
        """
        addresses, known = [], set()
        for number, entry in enumerate(url.split(","), 1):
            try:
                parts = urlsplit(entry.strip())
                host, port = parts.hostname, parts.port
            except ValueError:
                host, port, parts = None, None, urlsplit("")
            if parts.scheme not in ("nats", "tls") or not host or port == 0:
                raise ValueError(f"server {number} is not nats://host:port or tls://host:port")
            if parts.path.strip("/") or parts.query or parts.fragment:
                raise ValueError(
                    f"server {number} has something after its port; encode / ? # in a password as %2F %3F %23"
                )
            if parts.username is not None:
                known.add((unquote(parts.username), None if parts.password is None else unquote(parts.password)))
            shown = f"[{host}]" if ":" in host else host
            addresses.append(f"{parts.scheme}://{shown}:{port or 4222}")
        if len(known) > 1:
            raise ValueError("the servers of one cluster need the same user and password")
        for name, password in known:
            if password is None:
                return cls(tuple(addresses), token=name)
            return cls(tuple(addresses), user=name, password=password)
        return cls(tuple(addresses))


@final
class NatsQueue(BrokeredQueue):
    """`installation` says which hub this is: the same text in all its processes, another in every other hub's.

    Hubs on one broker are kept apart by it. It is asked at every connection and may fail, as the database may.
    """

    def __init__(self, url: str, installation: Callable[[], Awaitable[str]], *, pace: Pace | None = None) -> None:
        """Connects in `open`. Raises ValueError for an address that cannot be."""
        self._servers = Servers.read(url)
        self._installation = installation
        super().__init__("nats", ",".join(self._servers.addresses), pace)

    @asynccontextmanager
    async def _line(self, heard: Callable[[bytes | str], None]) -> AsyncIterator[Line]:
        namespace = namespace_of(await self._installation())
        client = Client()
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def gone() -> None:
            if not lost.done():
                lost.set_result(None)

        async def receive(message: Msg) -> None:
            heard(message.data)

        async def send(topic: Topic | None, message: bytes) -> None:
            # Not acknowledged: to hear it come back is to know that it was stored and handed on.
            await client.publish(f"patchbay.{namespace}.work.{topic.value if topic else 'ping'}", message)

        try:
            async with asyncio.timeout(_CONNECTING_S):
                await self._connect(client, gone)
                await _listen(client, namespace, receive)
            yield Line(send, lost)
        finally:
            with suppress(Exception):
                async with asyncio.timeout(_CLOSING_S):
                    await client.close()
            lost.cancel()

    async def _connect(self, client: Client, gone: Callable[[], Awaitable[None]]) -> None:
        """Each server once or twice, no more: trying again, and making the stream anew then, is our own affair."""
        servers = self._servers
        await client.connect(
            list(servers.addresses),
            name="patchbay",
            user=servers.user,
            password=servers.password,
            token=servers.token,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=_CONNECTING_S,
            closed_cb=gone,
            error_cb=_unlogged,
        )


def namespace_of(installation: str) -> str:
    """A short name for a hub, fit for subjects and streams."""
    return hashlib.sha256(installation.encode()).hexdigest()[:16]


async def _listen(client: Client, namespace: str, receive: Callable[[Msg], Awaitable[None]]) -> None:
    """Hear all calls from now on. (nats-py's own ordered consumer leaves tasks behind when it is closed.)"""
    broker: Any = client.jetstream(timeout=_CONNECTING_S)
    stream = f"PATCHBAY_{namespace}"
    try:
        await broker.stream_info(stream)
    except NotFoundError:
        await broker.add_stream(_stream(stream, (f"patchbay.{namespace}.work.*",)))
    inbox = client.new_inbox()
    await client.subscribe(inbox, cb=receive)
    consumer = ConsumerConfig(
        deliver_subject=inbox,
        deliver_policy=DeliverPolicy.NEW,
        ack_policy=AckPolicy.NONE,
        inactive_threshold=_ORPHAN_S,
        mem_storage=True,
    )
    await broker.add_consumer(stream, consumer)


def _stream(name: str, subjects: Sequence[str]) -> StreamConfig:
    return StreamConfig(
        name=name,
        description="Calls between the processes of a Patchbay hub. May be deleted at any time.",
        subjects=list(subjects),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.MEMORY,
        discard=DiscardPolicy.OLD,
        max_age=KEPT_S,
        max_bytes=LARGEST_STREAM,
        num_replicas=1,
    )


async def _unlogged(_: Exception) -> None:
    """The line's end is logged, once; nats-py would log each try, with the address as it was given."""
