"""The hot door in memory, over the shelves of a MemoryStore."""

import json
from collections.abc import Sequence
from typing import final

from adapters.persistence.intake import MOST_DELIVERIES, TooMuchAtOnce
from application.delivery.handover import Handover
from application.ports.dispatch import Ready
from application.ports.ids import Ids
from application.ports.intake import Intake, NewEvent, Submission
from application.ports.store import Answer
from application.ports.work_queue import Topic, WorkQueue
from domain.events import Event
from domain.notifications.deliveries import DeliveryState
from domain.notifications.fanout import Subscribers
from tests.fakes.ids import CountingIds
from tests.fakes.shelves import Shelves
from tests.fakes.work import SUBSCRIPTIONS, kept
from tests.fakes.work_queue import RecordingQueue


@final
class MemoryIntake(Intake):
    """Every call is a transaction of its own."""

    def __init__(
        self,
        shelves: Shelves,
        ids: Ids | None = None,
        queue: WorkQueue | None = None,
        handover: Handover | None = None,
    ) -> None:
        self._shelves = shelves
        self._ids = ids or CountingIds()
        self._queue = queue or RecordingQueue()
        self._handover = handover or Handover()
        self._subscribers: dict[str, tuple[int, Subscribers]] = {}

    async def accept(self, submission: Submission) -> Answer | None:
        organisation, once = submission.organisation_id, submission.once
        async with self._shelves.writing() as tables:
            subscribers = self._who(organisation)
            if len(submission.events) > 1:
                count = sum(subscribers.count(event.payload.type) for event in submission.events)
                if count > MOST_DELIVERIES:
                    raise TooMuchAtOnce("These events have too many deliveries together. Send them in several calls.")
            answers: dict[object, Answer] = {}
            if once is not None:
                key = (organisation, once.key)
                earlier: Answer | None = tables["answers"].get(key)
                if earlier is not None:
                    return earlier
                status, body, headers = once.render(submission.result)
                at = submission.events[0].created_at
                answers[key] = kept(Answer(once.key, once.request_hash, status, body, headers, at))
            ready = [
                Ready(delivery, event.payload)
                for event in submission.events
                for delivery in subscribers.deliveries(
                    event.payload,
                    lambda: self._ids.new("delivery"),
                    event.created_at,
                    deliver_at=event.deliver_at,
                    expires_at=event.expires_at,
                )
            ]
            self._shelves.apply(
                {
                    "answers": answers,
                    "events": {event.payload.id: _event(event) for event in submission.events},
                    "deliveries": {one.delivery.id: one.delivery for one in ready},
                }
            )
        await self._tell(ready)
        return None

    def _who(self, organisation: str) -> Subscribers:
        tables = self._shelves.tables
        revision: int = tables["counters"].get((organisation, SUBSCRIPTIONS), 0)
        known = self._subscribers.get(organisation)
        if known is None or known[0] != revision:
            endpoints = sorted(tables["endpoints"].items())
            notifications = sorted(tables["notifications"].items())
            found = Subscribers(
                [one for _, one in endpoints if one.organisation_id == organisation],
                [one for _, one in notifications if one.organisation_id == organisation],
            )
            known = self._subscribers[organisation] = (revision, found)
        return known[1]

    async def _tell(self, ready: Sequence[Ready]) -> None:
        pending = [one for one in ready if one.delivery.state is DeliveryState.PENDING]
        due = [one for one in pending if one.delivery.due_at <= one.delivery.created_at]
        lanes = {one.delivery.destination_id for one in pending}
        if len(due) == len(pending):
            lanes -= self._handover.offer(due)
        if lanes:
            await self._queue.announce(Topic.DELIVERIES, lanes)


def _event(event: NewEvent) -> Event:
    payload = event.payload
    data = json.loads(payload.data_json)
    return Event(payload.id, payload.organisation_id, payload.type, data, payload.occurred_at, event.created_at)
