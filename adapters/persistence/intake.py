"""The hot door over SQL: one transaction for all calls of a moment, and no statement for a single row."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, final

import attrs
from sqlalchemy import Connection, select, tuple_
from sqlalchemy.exc import IntegrityError

from adapters.persistence import tables
from adapters.persistence.collections import SUBSCRIPTIONS
from adapters.persistence.database import Database
from adapters.persistence.fast import Many, instant, text_of
from adapters.persistence.group import Grouped
from adapters.persistence.rows import Mapper
from adapters.persistence.tables import keepable
from application.delivery.handover import Handover
from application.ports.dispatch import Ready
from application.ports.ids import Ids
from application.ports.intake import Intake, NewEvent, Submission
from application.ports.store import Answer
from application.ports.work_queue import Topic, WorkQueue
from domain.notifications.configurations import Notification
from domain.notifications.deliveries import Delivery, DeliveryState
from domain.notifications.endpoints import Endpoint
from domain.notifications.fanout import Subscribers
from domain.refusals import Conflict, Refusal

MOST_EVENTS = 256
"""Of one group, unless one call brings more."""

MOST_DELIVERIES = 50_000
"""Of one call: its events times those who want them."""

_ORGANISATIONS_REMEMBERED = 1_000

_EVENTS = Many.insert(tables.events)
_DELIVERIES = Many.insert(tables.deliveries)
_ANSWERS = Many.insert(tables.answers)


class TooMuchAtOnce(Conflict):
    """The call's events have so many subscribers that one transaction would keep all others waiting."""


@attrs.frozen
class _Kept:
    """What became of a submission: kept with these deliveries, answered earlier, or refused."""

    ready: Sequence[Ready] = ()
    earlier: Answer | None = None
    refused: Refusal | None = None


@final
class SqlIntake(Intake):
    """In SQLite or PostgreSQL."""

    def __init__(self, database: Database, ids: Ids, queue: WorkQueue, handover: Handover) -> None:
        self._database = database
        self._ids = ids
        self._queue = queue
        self._handover = handover
        self._endpoints = Mapper(Endpoint, tables.endpoints)
        self._notifications = Mapper(Notification, tables.notifications)
        self._subscribers: dict[str, tuple[int, Subscribers]] = {}
        self._grouped: Grouped[Submission, _Kept] = Grouped(
            self._write, most=MOST_EVENTS, weight=lambda submission: len(submission.events)
        )

    async def accept(self, submission: Submission) -> Answer | None:
        kept = await self._grouped(submission)
        if kept.refused is not None:
            raise kept.refused
        return kept.earlier

    async def _write(self, group: Sequence[Submission]) -> Sequence[_Kept]:
        try:
            return await self._write_once(group)
        except IntegrityError:
            # Another process kept an answer under one of the keys at this moment. Now it is there to be read.
            return await self._write_once(group)

    async def _write_once(self, group: Sequence[Submission]) -> Sequence[_Kept]:
        outcomes = await self._database.write(lambda connection: self._keep(connection, group))
        await self._tell([ready for outcome in outcomes for ready in outcome.ready])
        return outcomes

    def _keep(self, connection: Connection, group: Sequence[Submission]) -> Sequence[_Kept]:
        outcomes: dict[int, _Kept] = {}
        subscribers = self._who(connection, {one.organisation_id for one in group})
        made: dict[int, Sequence[Ready]] = {}
        for index, one in enumerate(group):
            try:
                made[index] = self._made(one, subscribers[one.organisation_id])
            except Refusal as refused:  # its own caller is told; the others of the group do not notice
                outcomes[index] = _Kept(refused=refused)
        fresh = self._first_calls(connection, group, outcomes)
        for index in fresh:
            outcomes[index] = _Kept(made[index])
        _EVENTS(connection, [_event_values(event) for index in fresh for event in group[index].events])
        _DELIVERIES(connection, [_delivery_values(one.delivery) for index in fresh for one in outcomes[index].ready])
        return [outcomes[index] for index in range(len(group))]

    async def _tell(self, ready: Sequence[Ready]) -> None:
        """Give what is due to the worker of this process; call the others for the rest."""
        pending = [one for one in ready if one.delivery.state is DeliveryState.PENDING]
        due = [one for one in pending if one.delivery.due_at <= one.delivery.created_at]
        lanes = {one.delivery.destination_id for one in pending}
        if len(due) == len(pending):
            lanes -= self._handover.offer(due)
        if lanes:
            await self._queue.announce(Topic.DELIVERIES, lanes)

    def _made(self, submission: Submission, subscribers: Subscribers) -> list[Ready]:
        if len(submission.events) > 1:
            count = sum(subscribers.count(event.payload.type) for event in submission.events)
            if count > MOST_DELIVERIES:
                raise _too_much()
        new_id = self._new_id
        return [
            Ready(delivery, event.payload)
            for event in submission.events
            for delivery in subscribers.deliveries(
                event.payload, new_id, event.created_at, deliver_at=event.deliver_at, expires_at=event.expires_at
            )
        ]

    def _new_id(self) -> str:
        return self._ids.new("delivery")

    def _who(self, connection: Connection, organisations: set[str]) -> Mapping[str, Subscribers]:
        """Those who want events, read anew only when they changed."""
        counters = tables.counters
        query = select(counters.c.organisation_id, counters.c.value).where(
            counters.c.organisation_id.in_(sorted(organisations)), counters.c.name == SUBSCRIPTIONS
        )
        revisions: dict[str, int] = dict((connection.execute(query)).all())
        found = {}
        for organisation in organisations:
            revision = revisions.get(organisation, 0)
            known = self._subscribers.get(organisation)
            if known is None or known[0] != revision:
                if len(self._subscribers) >= _ORGANISATIONS_REMEMBERED:
                    self._subscribers.clear()
                known = self._subscribers[organisation] = (revision, self._read(connection, organisation))
            found[organisation] = known[1]
        return found

    def _read(self, connection: Connection, organisation: str) -> Subscribers:
        endpoints, notifications = tables.endpoints, tables.notifications
        active = select(endpoints).where(endpoints.c.organisation_id == organisation, endpoints.c.state == "active")
        listening = select(notifications).where(
            notifications.c.organisation_id == organisation, notifications.c.is_active
        )
        return Subscribers(
            [self._endpoints.from_row(row) for row in (connection.execute(active)).mappings()],  # type: ignore[arg-type]
            [self._notifications.from_row(row) for row in (connection.execute(listening)).mappings()],  # type: ignore[arg-type]
        )

    def _first_calls(
        self, connection: Connection, group: Sequence[Submission], outcomes: dict[int, _Kept]
    ) -> list[int]:
        """Which of the submissions are the first with their key; the others get the answer of the first."""
        keyed: dict[tuple[str, str], int] = {}
        repeated: list[int] = []
        first: list[int] = []
        for index, one in enumerate(group):
            if index in outcomes:
                continue
            if one.once is None:
                first.append(index)
            elif (one.organisation_id, one.once.key) in keyed:
                repeated.append(index)
            else:
                keyed[one.organisation_id, one.once.key] = index
        earlier = _earlier(connection, list(keyed)) if keyed else {}
        made = {key: _answer(group[index]) for key, index in keyed.items() if key not in earlier}
        _ANSWERS(
            connection, [_answer_values(key[0], answer) for key, answer in sorted(made.items(), key=itemgetter(0))]
        )
        for key, index in keyed.items():
            if key in made:
                first.append(index)
            else:
                outcomes[index] = _Kept(earlier=earlier[key])
        for index in repeated:
            one = group[index]
            assert one.once is not None
            key = (one.organisation_id, one.once.key)
            outcomes[index] = _Kept(earlier=earlier[key] if key in earlier else made[key])
        return sorted(first)


def _earlier(connection: Connection, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Answer]:
    table = tables.answers
    query = select(table).where(tuple_(table.c.organisation_id, table.c.key).in_(keys))
    return {
        (row["organisation_id"], row["key"]): Answer(
            row["key"], row["request_hash"], row["status"], row["body"], row["headers"], row["created_at"]
        )
        for row in (connection.execute(query)).mappings()
    }


def _answer(submission: Submission) -> Answer:
    once = submission.once
    assert once is not None
    status, body, headers = once.render(submission.result)
    return Answer(once.key, once.request_hash, status, body, dict(headers), _now(submission))


def _answer_values(organisation_id: str, answer: Answer) -> tuple[Any, ...]:
    return (
        organisation_id,
        keepable(answer.key),
        answer.request_hash,
        answer.status,
        answer.body,
        text_of(answer.headers),
        instant(answer.created_at),
    )


def _now(submission: Submission) -> datetime:
    return submission.events[0].created_at


def _event_values(event: NewEvent) -> tuple[Any, ...]:
    payload = event.payload
    return (
        payload.id,
        payload.organisation_id,
        payload.type,
        payload.data_json.decode(),
        instant(payload.occurred_at),
        instant(event.created_at),
    )


def _delivery_values(delivery: Delivery) -> tuple[Any, ...]:
    """As `rows.Mapper` makes it, in the order of the table's columns."""
    expires = delivery.expires_at
    return (
        delivery.id,
        delivery.organisation_id,
        delivery.event_id,
        delivery.event_type,
        delivery.kind.value,
        delivery.destination_id,
        delivery.message_id,
        instant(delivery.created_at),
        instant(delivery.due_at),
        delivery.state.value,
        delivery.attempts,
        delivery.last_error,
        delivery.last_status,
        None,
        None if delivery.mail is None else text_of(delivery.mail),
        delivery.replay_of,
        None if expires is None else instant(expires),
    )


def _too_much() -> TooMuchAtOnce:
    return TooMuchAtOnce(
        f"These events have more than {MOST_DELIVERIES} deliveries together. Send them in several calls."
    )
