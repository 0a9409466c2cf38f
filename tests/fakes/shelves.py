"""What is kept in memory, and how a unit of work sees it (tests/fakes/store.py)."""

import asyncio
from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
from typing import Any, final

import attrs

from application.ports.dispatch import Lane
from domain.notifications.deliveries import Delivery, DeliveryState

NAMES = {
    "organisation": "organisation",
    "users": "user",
    "keys": "API key",
    "events": "event",
    "endpoints": "webhook endpoint",
    "signing_keys": "signing key",
    "replays": "replay",
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
    "plans": "plan",
    "plans_at_providers": "plan at a provider",
    "subscriptions": "subscription",
    "customers_at_providers": "customer at a provider",
    "saved_methods": "payment method",
    "payouts": "payout",
    "credit_notes": "credit note",
    "billing_settings": "billing settings",
    "ledger": "ledger entry",
    "reconciliations": "reconciliation",
    "differences": "difference",
    "audit": "audit entry",
}

_OTHERS = ("sessions", "answers", "counters", "attempts", "marks", "inbox_leases", "lanes", "workers", "statistics")

Table = Mapping[Any, Any]


@final
class _Gone:
    """Stands in the place of what was removed."""


GONE = _Gone()


@attrs.frozen
class HeldBy:
    """A lane, and under which generation it is held; 0: nobody's."""

    lane: Lane
    generation: int = 0


@final
class Draft(MutableMapping[Any, Any]):
    """A table with some of its rows written over; the table itself stays as it is."""

    def __init__(self, table: Table, over: dict[Any, Any]) -> None:
        self._table = table
        self._over = over

    def __getitem__(self, key: Any) -> Any:
        found = self._over.get(key) if key in self._over else self._table[key]
        if found is GONE:
            raise KeyError(key)
        return found

    def __setitem__(self, key: Any, thing: Any) -> None:
        self._over[key] = thing

    def __delitem__(self, key: Any) -> None:
        self[key]
        self._over[key] = GONE

    def __iter__(self) -> Iterator[Any]:
        yield from (key for key in self._table if key not in self._over)
        yield from (key for key, thing in self._over.items() if thing is not GONE)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Shelves:
    """What is committed, and the one lock that a unit of work holds from its first write to its end.

    As in PostgreSQL, two units of work may read the same thing; the one that writes second waits, and then finds that
    the thing has changed. Nothing is copied: a commit tells each view that is open what stood in its place before.
    pending: by destination, when each of its pending deliveries is due, and its id, in order.
    """

    def __init__(self) -> None:
        self.tables: Mapping[str, dict[Any, Any]] = {name: {} for name in (*NAMES, *_OTHERS)}
        self.pending: dict[str, list[tuple[datetime, str]]] = {}
        self.writer = asyncio.Lock()
        self.views: set[View] = set()
        self.generations = count(1)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Mapping[str, dict[Any, Any]]]:
        """For what is done in one step: the tables as they are, and nobody else writes."""
        await asyncio.sleep(0)  # as a database would: someone else may do something meanwhile
        async with self.writer:
            yield self.tables

    def apply(self, changes: Mapping[str, Mapping[Any, Any]]) -> None:
        """Make changes everyone's. Only for whoever holds the lock."""
        for name, changed in changes.items():
            table = self.tables[name]
            for view in self.views:
                kept = view.kept.setdefault(name, {})
                for key in changed:
                    kept.setdefault(key, table.get(key, GONE))
            if name == "deliveries":
                for key, delivery in changed.items():
                    self._reindex(table.get(key, GONE), delivery)
            for key, thing in changed.items():
                if thing is GONE:
                    table.pop(key, None)
                else:
                    table[key] = thing

    def _reindex(self, before: "Delivery | _Gone", after: "Delivery | _Gone") -> None:
        if isinstance(before, Delivery) and before.state is DeliveryState.PENDING:
            lane = self.pending[before.destination_id]
            del lane[bisect_left(lane, (before.due_at, before.id))]
            if not lane:
                del self.pending[before.destination_id]
        if isinstance(after, Delivery) and after.state is DeliveryState.PENDING:
            insort(self.pending.setdefault(after.destination_id, []), (after.due_at, after.id))


@final
@attrs.define(eq=False)
class View:
    """What one unit of work sees while others commit. kept: what stood where others have written since."""

    kept: dict[str, dict[Any, Any]] = attrs.field(factory=dict)


class Transaction:
    """One view of the shelves, with one's own changes in it. To be closed."""

    def __init__(self, shelves: Shelves, *, writes: bool) -> None:
        self._shelves = shelves
        self._writes = writes
        self._view = View()
        self._changes: dict[str, dict[Any, Any]] | None = None
        shelves.views.add(self._view)

    async def table(self, name: str) -> Table:
        """A table as this unit of work sees it."""
        await asyncio.sleep(0)  # as a database would: someone else may do something meanwhile
        over = (self._view.kept if self._changes is None else self._changes).get(name)
        table = self._shelves.tables[name]
        return Draft(table, over) if over else table

    async def change(self, name: str) -> MutableMapping[Any, Any]:
        """A table to write into. From now on nobody else writes, and the latest of everything is seen."""
        assert self._writes, "this unit of work only reads"
        await asyncio.sleep(0)
        if self._changes is None:
            await self._shelves.writer.acquire()
            self._forget_view()
            self._changes = {}
        return Draft(self._shelves.tables[name], self._changes.setdefault(name, {}))

    def commit(self) -> None:
        """Make the changes everyone's."""
        assert self._writes, "this unit of work only reads"
        if self._changes is not None:
            self._shelves.apply(self._changes)
            self._changes = None
            self._shelves.writer.release()
        self._forget_view()
        self._view = View()
        self._shelves.views.add(self._view)

    def close(self) -> None:
        """Forget what was not committed."""
        self._forget_view()
        if self._changes is not None:
            self._changes = None
            self._shelves.writer.release()

    def _forget_view(self) -> None:
        self._shelves.views.discard(self._view)
