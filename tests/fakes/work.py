"""A unit of work in memory, and its collections (tests/fakes/store.py)."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from typing import Any, Generic, TypeVar, cast, final

import attrs

from application.ports.store import (
    AlreadyThere,
    Answer,
    Answers,
    Attempts,
    Collection,
    Counters,
    Deliveries,
    Page,
    Records,
    Slice,
    StaleWrite,
    Work,
)
from application.ports.work_queue import Topic, WorkQueue
from domain.inbox import InboxState, Received
from domain.money import Currency
from domain.notifications.attempts import Attempt, Outcome
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.refusals import NotFound
from domain.work.records import Kind, Record

T = TypeVar("T")


@attrs.frozen
class Row:
    """A thing as it is kept, and what only the store knows of it."""

    thing: Any
    generation: int = 0
    leased_until: datetime | None = None


Table = Mapping[Any, Row]

UNIQUE: Mapping[str, Callable[[Any], object]] = {
    "users": lambda user: user.email,
    "keys": lambda key: key.hash,
    "invoices": lambda invoice: (invoice.organisation_id, invoice.number),
    "payments": lambda payment: (payment.organisation_id, payment.provider, payment.reference),
    "links": lambda link: link.token,
    "inbox": lambda received: (received.connection_id, received.external_id),
}

NAMES = {
    "organisation": "organisation",
    "users": "user",
    "keys": "API key",
    "events": "event",
    "endpoints": "webhook endpoint",
    "notifications": "notification configuration",
    "deliveries": "delivery",
    "connections": "connection",
    "inbox": "received webhook",
    "records": "record",
    "invoices": "invoice",
    "payments": "payment",
    "refunds": "refund",
    "links": "payment link",
    "checkouts": "checkout",
    "audit": "audit entry",
}


class Shelves:
    """What is committed, and the one lock that a unit of work holds from its first write to its end.

    As in PostgreSQL, two units of work may read the same thing; the one that writes second waits, and then finds that
    the thing has changed. A table is never changed, only replaced: so a unit of work keeps what it saw for nothing.
    """

    def __init__(self) -> None:
        self.tables: Mapping[str, Table] = {
            name: {} for name in (*NAMES, "sessions", "answers", "counters", "attempts", "marks")
        }
        self.writer = asyncio.Lock()


class Transaction:
    """One view of the shelves, with one's own changes in it."""

    def __init__(self, shelves: Shelves, *, writes: bool) -> None:
        self._shelves = shelves
        self._writes = writes
        self._view = shelves.tables
        self._changed: set[str] | None = None

    async def table(self, name: str) -> Table:
        """A table as this unit of work sees it."""
        await asyncio.sleep(0)  # as a database would: someone else may do something meanwhile
        return self._view[name]

    async def change(self, name: str) -> dict[Any, Row]:
        """A table to write into. From now on nobody else writes, and the latest of everything is seen."""
        assert self._writes, "this unit of work only reads"
        await asyncio.sleep(0)
        if self._changed is None:
            await self._shelves.writer.acquire()
            self._changed, self._view = set(), self._shelves.tables
        if name not in self._changed:
            self._changed.add(name)
            self._view = {**self._view, name: dict(self._view[name])}
        return cast("dict[Any, Row]", self._view[name])

    def commit(self) -> None:
        """Make the changes everyone's."""
        assert self._writes, "this unit of work only reads"
        if self._changed is not None:
            self._shelves.tables = self._view
        self.leave()

    def leave(self) -> None:
        """Forget the changes."""
        if self._changed is not None:
            self._changed = None
            self._shelves.writer.release()
        self._view = self._shelves.tables


def kept(thing: T) -> T:
    """The thing as a database would give it back: its mappings are JSON, and no longer the caller's own."""
    changes = {}
    for field in attrs.fields(type(thing)):  # type: ignore[arg-type]
        value = getattr(thing, field.name)
        if isinstance(value, Mapping):
            changes[field.name] = json.loads(json.dumps(dict(value)))
        elif isinstance(value, Outcome):
            changes[field.name] = kept(value)
    return attrs.evolve(thing, **changes) if changes else thing  # type: ignore[misc]


def plain(value: object) -> object:
    """A value for comparing: an enum, a currency and a kind equal their texts."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Currency):
        return value.code
    if isinstance(value, Kind):
        return value.name
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value


class MemoryCollection(Collection[T], Generic[T]):
    """Things of one kind, of one organisation."""

    def __init__(self, transaction: Transaction, organisation_id: str, table: str) -> None:
        self._transaction = transaction
        self._organisation_id = organisation_id
        self._table = table
        self.added = False

    async def find(self, id: str) -> T | None:
        row = (await self._transaction.table(self._table)).get(id)
        return cast("T", row.thing) if row is not None and self._owner(row.thing) == self._organisation_id else None

    async def get(self, id: str) -> T:
        thing = await self.find(id)
        if thing is None:
            raise NotFound(NAMES[self._table], id)
        return thing

    async def add(self, thing: T) -> None:
        self._check(thing)
        put_new(await self._transaction.change(self._table), self._table, thing)
        self.added = True

    async def save(self, thing: T) -> T:
        self._check(thing)
        table, id_ = await self._transaction.change(self._table), cast("Any", thing).id
        row = table.get(id_)
        version = getattr(thing, "version", None)
        if row is None or self._owner(row.thing) != self._organisation_id:
            raise StaleWrite(f"The {NAMES[self._table]} is no more.")
        if version is not None and row.thing.version != version:
            raise StaleWrite(f"The {NAMES[self._table]} was changed by someone else meanwhile.")
        saved = thing if version is None else attrs.evolve(thing, version=version + 1)  # type: ignore[misc]
        check_unique({key: other for key, other in table.items() if key != id_}, self._table, saved)
        table[id_] = attrs.evolve(row, thing=kept(saved))
        return saved

    async def remove(self, id: str) -> None:
        table = await self._transaction.change(self._table)
        if id in table and self._owner(table[id].thing) == self._organisation_id:
            del table[id]

    async def page(self, slice: Slice = Slice(), /, **equal: object) -> Page[T]:  # noqa: B008
        return part(await self.all(**equal), slice)

    async def all(self, **equal: object) -> tuple[T, ...]:
        table = await self._transaction.table(self._table)
        mine = (row.thing for _, row in sorted(table.items()) if self._owner(row.thing) == self._organisation_id)
        return tuple(thing for thing in mine if all(_equals(getattr(thing, n), w) for n, w in equal.items()))

    def _owner(self, thing: Any) -> str:
        return cast("str", thing.id if self._table == "organisation" else thing.organisation_id)

    def _check(self, thing: T) -> None:
        assert self._owner(thing) == self._organisation_id, "a unit of work writes only its own organisation's things"


def put_new(table: dict[Any, Row], name: str, thing: Any) -> None:
    """Add a thing. Raises AlreadyThere."""
    if thing.id in table:
        raise AlreadyThere(f"There already is such a {name}.")
    check_unique(table, name, thing)
    table[thing.id] = Row(kept(thing))


def check_unique(others: Table, name: str, thing: Any) -> None:
    """Raises AlreadyThere."""
    key = UNIQUE.get(name)
    if key and any(key(row.thing) == key(thing) for row in others.values()):
        raise AlreadyThere(f"There already is such a {name}.")


def part(things: Sequence[T], slice: Slice) -> Page[T]:
    """A page of things that are sorted by id."""
    after = slice.after
    rest: list[Any] = [
        thing
        for thing in (reversed(things) if slice.newest_first else things)
        if after is None or ((thing.id < after) if slice.newest_first else (thing.id > after))  # type: ignore[attr-defined]
    ]
    items = tuple(rest[: slice.limit])
    return Page(items, items[-1].id if len(rest) > slice.limit else None)


def _equals(value: object, wanted: object) -> bool:
    values = wanted if isinstance(wanted, tuple | frozenset | set) else (wanted,)
    return plain(value) in [plain(one) for one in values]


@final
class MemoryInbox(MemoryCollection[Received]):
    """Saving ends the claim."""

    async def save(self, thing: Received) -> Received:
        saved = await super().save(thing)
        table = await self._transaction.change(self._table)
        table[thing.id] = attrs.evolve(table[thing.id], leased_until=None)
        self.added = self.added or thing.state is InboxState.PENDING
        return saved


@final
class MemoryDeliveries(MemoryCollection[Delivery], Deliveries):
    """Deliveries."""

    async def add_all(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            await self.add(delivery)

    async def cancel_pending(self, destination_id: str, reason: str, now: datetime) -> int:
        table = await self._transaction.change(self._table)
        waiting = await self.all(destination_id=destination_id, state=DeliveryState.PENDING)
        for one in waiting:
            row = table[one.id]
            table[one.id] = attrs.evolve(row, thing=one.cancel(reason, now), generation=row.generation + 1)
        return len(waiting)

    async def counts(self, destination_id: str | None = None) -> Mapping[str, int]:
        found = await self.all() if destination_id is None else await self.all(destination_id=destination_id)
        return {state.value: sum(one.state is state for one in found) for state in DeliveryState}


@final
class MemoryRecords(MemoryCollection[Record], Records):
    """Work records."""

    async def matching(self, kind: Kind, slice: Slice, fields: Mapping[str, str]) -> Page[Record]:
        found = await self.all(kind=kind)
        return part([r for r in found if all(_at(r.fields, name) == text for name, text in fields.items())], slice)


def _at(fields: Mapping[str, Any], path: str) -> object:
    found: object = fields
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


@final
class MemoryAttempts(Attempts):
    """Attempts."""

    def __init__(self, transaction: Transaction, organisation_id: str) -> None:
        self._transaction = transaction
        self._organisation_id = organisation_id

    async def add(self, attempt: Attempt) -> None:
        assert attempt.organisation_id == self._organisation_id
        put_new(await self._transaction.change("attempts"), "attempts", attempt)

    async def of(self, delivery_id: str) -> tuple[Attempt, ...]:
        things: list[Attempt] = [row.thing for row in (await self._transaction.table("attempts")).values()]
        mine = [a for a in things if (a.organisation_id, a.delivery_id) == (self._organisation_id, delivery_id)]
        return tuple(sorted(mine, key=lambda attempt: (attempt.number, attempt.id)))


@final
class MemoryAnswers(Answers):
    """Answers."""

    def __init__(self, transaction: Transaction, organisation_id: str) -> None:
        self._transaction = transaction
        self._organisation_id = organisation_id

    async def find(self, key: str) -> Answer | None:
        row = (await self._transaction.table("answers")).get((self._organisation_id, key))
        return None if row is None else cast("Answer", row.thing)

    async def add(self, answer: Answer) -> None:
        table = await self._transaction.change("answers")
        if (self._organisation_id, answer.key) in table:
            raise AlreadyThere("This Idempotency-Key was answered already.")
        table[self._organisation_id, answer.key] = Row(kept(answer))

    async def replace(self, answer: Answer) -> None:
        table, key = await self._transaction.change("answers"), (self._organisation_id, answer.key)
        if key in table:
            earlier: Answer = table[key].thing
            status, body, headers = answer.status, answer.body, answer.headers
            table[key] = Row(kept(attrs.evolve(earlier, status=status, body=body, headers=headers)))


@final
class MemoryCounters(Counters):
    """Counters."""

    def __init__(self, transaction: Transaction, organisation_id: str) -> None:
        self._transaction = transaction
        self._organisation_id = organisation_id

    async def next(self, name: str) -> int:
        table, key = await self._transaction.change("counters"), (self._organisation_id, name)
        value: int = table[key].thing + 1 if key in table else 1
        table[key] = Row(value)
        return value


@final
class MemoryWork(Work):
    """One unit of work."""

    def __init__(self, transaction: Transaction, organisation_id: str, queue: WorkQueue) -> None:
        self.organisation_id = organisation_id
        self._transaction = transaction
        self._queue = queue

        def collection(table: str) -> Any:
            return MemoryCollection(transaction, organisation_id, table)

        self.organisation = collection("organisation")
        self.users = collection("users")
        self.keys = collection("keys")
        self.events = collection("events")
        self.answers = MemoryAnswers(transaction, organisation_id)
        self.counters = MemoryCounters(transaction, organisation_id)
        self.endpoints = collection("endpoints")
        self.notifications = collection("notifications")
        self.deliveries = MemoryDeliveries(transaction, organisation_id, "deliveries")
        self.attempts = MemoryAttempts(transaction, organisation_id)
        self.connections = collection("connections")
        self.inbox = MemoryInbox(transaction, organisation_id, "inbox")
        self.records = MemoryRecords(transaction, organisation_id, "records")
        self.invoices = collection("invoices")
        self.payments = collection("payments")
        self.refunds = collection("refunds")
        self.links = collection("links")
        self.checkouts = collection("checkouts")
        self.audit = collection("audit")

    async def commit(self) -> None:
        self._transaction.commit()
        if self.deliveries.added:
            await self._queue.announce(Topic.DELIVERIES)
        if self.inbox.added:
            await self._queue.announce(Topic.INBOX)
