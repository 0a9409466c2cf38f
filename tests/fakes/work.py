"""A unit of work in memory, and its collections (tests/fakes/store.py)."""

import json
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from collections.abc import Collection as Several
from datetime import date, datetime
from enum import Enum
from typing import Any, Generic, TypeVar, cast, final

import attrs

from application.ports.store import (
    After,
    AlreadyThere,
    Answer,
    Answers,
    Attempts,
    Collection,
    Counters,
    Deliveries,
    Ledger,
    Page,
    Payments,
    Records,
    Slice,
    StaleWrite,
    Work,
)
from application.ports.work_queue import Topic, WorkQueue
from domain.billing.ledger import Balance, Entry
from domain.billing.payments import Payment
from domain.inbox import InboxState, Received
from domain.money import Currency, Money
from domain.notifications.attempts import Attempt, Outcome
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.selection import Selection
from domain.refusals import NotFound
from domain.work.records import Kind, Record
from tests.fakes.replayable import MemoryReplayable
from tests.fakes.shelves import NAMES, HeldBy, Table, Transaction

T = TypeVar("T")

SUBSCRIPTIONS = "subscriptions"
"""The counter that counts up when an organisation's endpoints or notifications change."""

UNIQUE: Mapping[str, Callable[[Any], object]] = {
    "users": lambda user: user.email,
    "keys": lambda key: key.hash,
    "invoices": lambda invoice: (invoice.organisation_id, invoice.number),
    "payments": lambda payment: (payment.organisation_id, payment.provider, payment.reference),
    "plans": lambda plan: (plan.organisation_id, plan.code),
    "plans_at_providers": lambda one: (one.organisation_id, one.plan_id, one.provider, one.account, one.price),
    "customers_at_providers": lambda one: (one.organisation_id, one.client_id, one.provider, one.account),
    "saved_methods": lambda one: (one.organisation_id, one.client_id, one.provider, one.account, one.fingerprint),
    "credit_notes": lambda note: (note.organisation_id, note.number),
    "billing_settings": lambda settings: settings.organisation_id,
    "ledger": lambda entry: (entry.organisation_id, entry.source, entry.account, entry.amount.currency),
    "links": lambda link: link.token,
    "inbox": lambda received: (received.connection_id, received.external_id),
}

ALSO_UNIQUE: Mapping[str, Callable[[Any], object]] = {
    "invoices": lambda invoice: invoice.source and (invoice.organisation_id, invoice.source),
    "subscriptions": lambda one: one.reference and (one.organisation_id, one.provider, one.reference),
    "payouts": lambda one: one.reference and (one.organisation_id, one.provider, one.reference),
    "customers_at_providers": lambda one: (one.organisation_id, one.provider, one.account, one.reference),
}
"""None is unlike any other."""


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
        thing = (await self._transaction.table(self._table)).get(id)
        return cast("T", thing) if thing is not None and self._owner(thing) == self._organisation_id else None

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
        there = table.get(id_)
        version = getattr(thing, "version", None)
        if there is None or self._owner(there) != self._organisation_id:
            raise StaleWrite(f"The {NAMES[self._table]} is no more.")
        if version is not None and there.version != version:
            raise StaleWrite(f"The {NAMES[self._table]} was changed by someone else meanwhile.")
        saved = thing if version is None else attrs.evolve(thing, version=version + 1)  # type: ignore[misc]
        check_unique(table, self._table, saved)
        table[id_] = kept(saved)
        return saved

    async def remove(self, id: str) -> None:
        table = await self._transaction.change(self._table)
        if id in table and self._owner(table[id]) == self._organisation_id:
            del table[id]

    async def expect(self, **one_of: Several[str]) -> None:
        """Everything is at hand."""

    async def page(self, slice: Slice = Slice(), /, **equal: object) -> Page[T]:  # noqa: B008
        return part(await self.all(**equal), slice)

    async def all(self, **equal: object) -> tuple[T, ...]:
        table = await self._transaction.table(self._table)
        wanted = {name: _texts(value) for name, value in equal.items()}
        found = [
            thing
            for thing in table.values()
            if self._owner(thing) == self._organisation_id
            and all(plain(getattr(thing, name)) in values for name, values in wanted.items())
        ]
        return tuple(sorted(found, key=lambda thing: thing.id))

    def _owner(self, thing: Any) -> str:
        return cast("str", thing.id if self._table == "organisation" else thing.organisation_id)

    def _check(self, thing: T) -> None:
        assert self._owner(thing) == self._organisation_id, "a unit of work writes only its own organisation's things"


def put_new(table: MutableMapping[Any, Any], name: str, thing: Any) -> None:
    """Add a thing. Raises AlreadyThere."""
    if thing.id in table:
        raise AlreadyThere(f"There already is such a {name}.")
    check_unique(table, name, thing)
    table[thing.id] = kept(thing)


def check_unique(table: Table, name: str, thing: Any) -> None:
    """Raises AlreadyThere."""
    for key in (UNIQUE.get(name), ALSO_UNIQUE.get(name)):
        mine = key(thing) if key else None
        if key and mine is not None and any(key(o) == mine for o in table.values() if o.id != thing.id):
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


def _texts(wanted: object) -> list[object]:
    values = wanted if isinstance(wanted, tuple | frozenset | set) else (wanted,)
    return [plain(one) for one in values]


@final
class MemorySubscriptions(MemoryCollection[T], Generic[T]):
    """Endpoints, or notifications: whoever delivers there is to read them anew."""

    def __init__(self, transaction: Transaction, organisation_id: str, table: str, counters: Counters) -> None:
        super().__init__(transaction, organisation_id, table)
        self._counters = counters
        self.changed: set[str] = set()

    async def add(self, thing: T) -> None:
        await super().add(thing)
        await self._counters.next(SUBSCRIPTIONS)

    async def save(self, thing: T) -> T:
        saved = await super().save(thing)
        await self._note(cast("Any", thing).id)
        return saved

    async def remove(self, id: str) -> None:
        await super().remove(id)
        await self._note(id)

    async def _note(self, id: str) -> None:
        await self._counters.next(SUBSCRIPTIONS)
        await stir(self._transaction, self._organisation_id, id)
        self.changed.add(id)


async def stir(transaction: Transaction, organisation_id: str, destination_id: str) -> None:
    """Count up the lane's revision and end its pause."""
    lanes = await transaction.change("lanes")
    held: HeldBy | None = lanes.get(destination_id)
    if held is not None and held.lane.organisation_id == organisation_id:
        lane = attrs.evolve(held.lane, revision=held.lane.revision + 1, health=held.lane.health.resumed())
        lanes[destination_id] = HeldBy(lane, held.generation)


@final
class MemoryInbox(MemoryCollection[Received]):
    """Saving ends the claim."""

    async def save(self, thing: Received) -> Received:
        saved = await super().save(thing)
        (await self._transaction.change("inbox_leases")).pop(thing.id, None)
        self.added = self.added or thing.state is InboxState.PENDING
        return saved


@final
class MemoryDeliveries(MemoryCollection[Delivery], MemoryReplayable, Deliveries):
    """Deliveries."""

    def __init__(self, transaction: Transaction, organisation_id: str) -> None:
        super().__init__(transaction, organisation_id, "deliveries")
        self.lanes: set[str] = set()
        self.stirred: set[str] = set()

    async def add(self, thing: Delivery) -> None:
        await super().add(thing)
        self.lanes.add(thing.destination_id)

    async def save(self, thing: Delivery) -> Delivery:
        if thing.state is DeliveryState.PENDING:
            self.added = True
            self.lanes.add(thing.destination_id)
        return await super().save(thing)

    async def add_all(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            await self.add(delivery)

    async def selected(self, slice: Slice, selection: Selection) -> Page[Delivery]:
        return part([one for one in await self.all() if selection.accepts(one)], slice)

    async def cancel_pending(self, destination_id: str, reason: str, now: datetime) -> int:
        table = await self._transaction.change(self._table)
        waiting = await self.all(destination_id=destination_id, state=(DeliveryState.PENDING, DeliveryState.WAITING))
        for one in waiting:
            table[one.id] = one.cancel(reason, now)
        return len(waiting)

    async def stir(self, destination_id: str) -> None:
        await stir(self._transaction, self._organisation_id, destination_id)
        self.stirred.add(destination_id)

    async def head(self, destination_id: str) -> Delivery | None:
        pending = await self.all(destination_id=destination_id, state=DeliveryState.PENDING)
        return min(pending, key=lambda one: (one.due_at, one.id), default=None)

    async def waiting(
        self, destination_id: str, now: datetime, limit: int, after: str | None = None
    ) -> tuple[Delivery, ...]:
        found = await self.all(destination_id=destination_id, state=DeliveryState.WAITING)
        return tuple(d for d in found if d.due_at <= now and not d.expired(now) and d.id > (after or ""))[:limit]

    async def hand_out(self, ids: Several[str]) -> None:
        for one in await self.all(id=tuple(ids), state=DeliveryState.WAITING):
            await super().save(attrs.evolve(one, attempts=one.attempts + 1))

    async def collect(
        self, destination_id: str, now: datetime, *, ids: Several[str] = (), up_to: str | None = None
    ) -> int:
        found = await self.all(destination_id=destination_id, state=DeliveryState.WAITING)
        meant = [d for d in found if (d.id in ids if up_to is None else d.id <= up_to and d.attempts)]
        for one in meant:
            await super().save(one.collected(now))
        return len(meant)

    async def expire_waiting(self, destination_id: str, now: datetime) -> int:
        found = await self.all(destination_id=destination_id, state=DeliveryState.WAITING)
        for one in (late := [one for one in found if one.expired(now)]):
            await super().save(one.expire(now))
        return len(late)

    async def hand_over(self, destination_id: str, state: DeliveryState) -> None:
        before = DeliveryState.PENDING if state is DeliveryState.WAITING else DeliveryState.WAITING
        for one in await self.all(destination_id=destination_id, state=before):
            await self.save(attrs.evolve(one, state=state))

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
        things = (await self._transaction.table("attempts")).values()
        mine = [a for a in things if a.delivery_id == delivery_id and a.organisation_id == self._organisation_id]
        return tuple(sorted(mine, key=lambda attempt: (attempt.number, attempt.id)))


@final
class MemoryAnswers(Answers):
    """Answers."""

    def __init__(self, transaction: Transaction, organisation_id: str) -> None:
        self._transaction = transaction
        self._organisation_id = organisation_id

    async def find(self, key: str) -> Answer | None:
        table = await self._transaction.table("answers")
        return cast("Answer | None", table.get((self._organisation_id, key)))

    async def add(self, answer: Answer) -> None:
        table = await self._transaction.change("answers")
        if (self._organisation_id, answer.key) in table:
            raise AlreadyThere("This Idempotency-Key was answered already.")
        table[self._organisation_id, answer.key] = kept(answer)

    async def replace(self, answer: Answer) -> None:
        table, key = await self._transaction.change("answers"), (self._organisation_id, answer.key)
        if key in table:
            earlier: Answer = table[key]
            status, body, headers = answer.status, answer.body, answer.headers
            table[key] = kept(attrs.evolve(earlier, status=status, body=body, headers=headers))


@final
class MemoryCounters(Counters):
    """Counters."""

    def __init__(self, transaction: Transaction, organisation_id: str) -> None:
        self._transaction = transaction
        self._organisation_id = organisation_id

    async def next(self, name: str) -> int:
        table, key = await self._transaction.change("counters"), (self._organisation_id, name)
        value: int = table.get(key, 0) + 1
        table[key] = value
        return value


@final
class MemoryPayments(MemoryCollection[Payment], Payments):
    """Payments."""

    async def moved(
        self, provider: str, since: datetime, until: datetime, *, limit: int, after: After | None = None
    ) -> tuple[After, ...]:
        found = [one for one in await self.all(provider=provider) if one.created_at < until and one.updated_at >= since]
        behind = (after.changed_at, after.id) if after else None
        ordered = sorted(found, key=lambda one: (one.updated_at, one.id))
        read = (After(one.updated_at, one.id) for one in ordered)
        return tuple(one for one in read if behind is None or (one.changed_at, one.id) > behind)[:limit]


@final
class MemoryLedger(MemoryCollection[Entry], Ledger):
    """Entries."""

    async def add_all(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            await self.add(entry)

    async def balances(self) -> tuple[Balance, ...]:
        sums: dict[tuple[str, str], int] = {}
        for entry in await self.all():
            key = entry.account, entry.amount.currency.code
            sums[key] = sums.get(key, 0) + entry.amount.amount
        return tuple(Balance(account, Money(sum_, Currency(code))) for (account, code), sum_ in sorted(sums.items()))


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
        self.endpoints = MemorySubscriptions(transaction, organisation_id, "endpoints", self.counters)
        self.signing_keys = collection("signing_keys")
        self.replays = collection("replays")
        self.notifications = MemorySubscriptions(transaction, organisation_id, "notifications", self.counters)
        self.deliveries = MemoryDeliveries(transaction, organisation_id)
        self.attempts = MemoryAttempts(transaction, organisation_id)
        self.connections = collection("connections")
        self.inbox = MemoryInbox(transaction, organisation_id, "inbox")
        self.records = MemoryRecords(transaction, organisation_id, "records")
        self.invoices = collection("invoices")
        self.payments = MemoryPayments(transaction, organisation_id, "payments")
        self.refunds = collection("refunds")
        self.links = collection("links")
        self.checkouts = collection("checkouts")
        self.plans = collection("plans")
        self.plans_at_providers = collection("plans_at_providers")
        self.subscriptions = collection("subscriptions")
        self.customers_at_providers = collection("customers_at_providers")
        self.saved_methods = collection("saved_methods")
        self.payouts = collection("payouts")
        self.credit_notes = collection("credit_notes")
        self.billing_settings = collection("billing_settings")
        self.ledger = MemoryLedger(transaction, organisation_id, "ledger")
        self.reconciliations = collection("reconciliations")
        self.differences = collection("differences")
        self.audit = collection("audit")

    async def commit(self) -> None:
        self._transaction.commit()
        if self.deliveries.added:
            await self._queue.announce(Topic.DELIVERIES, self.deliveries.lanes)
        if self.deliveries.stirred or self.endpoints.changed:
            await self._queue.announce(Topic.SETTINGS, self.deliveries.stirred | self.endpoints.changed)
        if self.inbox.added:
            await self._queue.announce(Topic.INBOX)
