"""The webhooks' inbox in memory, over the shelves of a MemoryStore."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import final

import attrs

from adapters.redaction import redact_text
from application.ports.inbox import InboxUnavailable, Wanted, WebhookInbox
from application.ports.store import Page, Slice, StaleWrite
from application.ports.work_queue import Topic, WorkQueue
from domain.inbox import REPEATABLE, InboxState, Received
from tests.fakes.shelves import Shelves
from tests.fakes.work import kept


@final
class MemoryWebhookInbox(WebhookInbox):
    """As the port says. `away`: it can keep nothing. `calls`: the names of the methods called, oldest first."""

    def __init__(self, shelves: Shelves, queue: WorkQueue) -> None:
        self._shelves = shelves
        self._queue = queue
        self.away = False
        self.calls: list[str] = []

    async def take_in(self, received: Sequence[Received]) -> Sequence[bool]:
        self.calls.append("take_in")
        new: dict[tuple[str, str], Received] = {}
        async with self._shelves.writing() as tables:
            if self.away:
                raise InboxUnavailable("told to be away")
            there = {(one.connection_id, one.external_id): one for one in tables["inbox"].values()}
            again: dict[str, Received] = {}
            for one in received:
                known = there.get((one.connection_id, one.external_id))
                if known is None:
                    new.setdefault((one.connection_id, one.external_id), one)
                elif (heard := known.heard_again(one.due_at)) is not known:
                    again[known.id] = attrs.evolve(heard, version=known.version + 1)
            self._shelves.apply({"inbox": {**{one.id: kept(one) for one in new.values()}, **again}})
        if new or again:
            await self._queue.announce(Topic.INBOX)
        return [any(one is other for other in new.values()) for one in received]

    async def known(self, connection_id: str, external_ids: Sequence[str]) -> frozenset[str]:
        mine = {one.external_id for one in self._all() if one.connection_id == connection_id}
        return frozenset(mine & set(external_ids))

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> tuple[Received, ...]:
        self.calls.append("claim")
        async with self._shelves.writing() as tables:
            due = [one for one in self._all() if one.due_at <= now and self._can_be_claimed(one, now)]
            taken: set[tuple[str, str | None]] = set()
            claimed: list[Received] = []
            for one in sorted(due, key=lambda one: (one.due_at, one.received_at, one.id))[:limit]:
                if one.object is None or (one.connection_id, one.object) not in taken:
                    taken.add((one.connection_id, one.object))
                    claimed.append(attrs.evolve(one, version=one.version + 1))
            assert tables["inbox"] is not None
            self._shelves.apply(
                {
                    "inbox": {one.id: one for one in claimed},
                    "inbox_leases": {one.id: now + lease for one in claimed},
                }
            )
        return tuple(claimed)

    async def renew(self, claimed: Received, until: datetime) -> bool:
        async with self._shelves.writing() as tables:
            mine = self._is_mine(claimed) and tables["inbox"][claimed.id].state is InboxState.PENDING
            if mine:
                self._shelves.apply({"inbox_leases": {claimed.id: until}})
        return mine

    async def record(self, ended: Received) -> None:
        async with self._shelves.writing():
            if not self._is_mine(ended):
                raise StaleWrite("The webhook was taken over, or decided upon, meanwhile.")
            error = None if ended.error is None else redact_text(ended.error)
            saved = attrs.evolve(ended, error=error, version=ended.version + 1)
            self._shelves.apply({"inbox": {ended.id: saved}, "inbox_leases": {ended.id: ended.received_at}})

    async def next_due(self, now: datetime) -> datetime | None:
        self.calls.append("next_due")
        leases = self._shelves.tables["inbox_leases"]
        free = [one.due_at for one in self._all() if self._can_be_claimed(one, now)]
        over = [
            leases[one.id] for one in self._all() if one.state is InboxState.PENDING and leases.get(one.id, now) > now
        ]
        return min((*free, *over), default=None)

    async def page(self, organisation_id: str, wanted: Wanted, slice: Slice) -> Page[Received]:
        found = sorted(self._matching(organisation_id, wanted), key=lambda one: one.id, reverse=slice.newest_first)
        if slice.after is not None:
            found = [one for one in found if (one.id < slice.after) == slice.newest_first and one.id != slice.after]
        items = tuple(attrs.evolve(one, body=b"") for one in found[: slice.limit])
        return Page(items, items[-1].id if len(found) > slice.limit else None)

    async def count(self, organisation_id: str, wanted: Wanted) -> int:
        return len(self._matching(organisation_id, wanted))

    async def again(self, organisation_id: str, wanted: Wanted, now: datetime, limit: int) -> int:
        async with self._shelves.writing():
            ended = [one for one in self._matching(organisation_id, wanted) if one.state in REPEATABLE]
            chosen = sorted(ended, key=lambda one: one.id)[:limit]
            again = [attrs.evolve(one.again(now), version=one.version + 1) for one in chosen]
            self._shelves.apply({"inbox": {one.id: one for one in again}})
        if again:
            await self._queue.announce(Topic.INBOX)
        return len(again)

    def _all(self) -> list[Received]:
        return list(self._shelves.tables["inbox"].values())

    def _is_mine(self, one: Received) -> bool:
        there: Received | None = self._shelves.tables["inbox"].get(one.id)
        return there is not None and there.version == one.version

    def _under_way(self, one: Received, now: datetime) -> bool:
        until: datetime = self._shelves.tables["inbox_leases"].get(one.id, now)
        return one.state is InboxState.PENDING and until > now

    def _can_be_claimed(self, one: Received, now: datetime) -> bool:
        """Pending, free, and not held up."""
        if one.state is not InboxState.PENDING or self._under_way(one, now):
            return False
        return one.object is None or not any(
            self._under_way(other, now) or (other.holds and (other.received_at, other.id) < (one.received_at, one.id))
            for other in self._all()
            if (other.connection_id, other.object) == (one.connection_id, one.object) and other.id != one.id
        )

    def _matching(self, organisation_id: str, wanted: Wanted) -> list[Received]:
        return [
            one
            for one in self._all()
            if one.organisation_id == organisation_id
            and wanted.provider in (None, one.provider)
            and wanted.connection_id in (None, one.connection_id)
            and (not wanted.states or one.state in wanted.states)
            and wanted.type in (None, one.type)
            and (wanted.object is None or one.object == wanted.object or f"{one.object}".endswith(f":{wanted.object}"))
            and (wanted.since is None or one.received_at >= wanted.since)
            and (wanted.until is None or one.received_at < wanted.until)
        ]
