"""Publish events of the host application's."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from application.caller import Caller
from application.connections.connect import PublicUrl
from application.once import Once
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.intake import Intake, NewEvent, Submission
from application.ports.store import Answer
from domain.events import check_event_type
from domain.notifications.payload import Payload, encode_data
from domain.refusals import Fault, Invalid

_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
"""A zone can carry a moment in the year 1 out of the calendar."""

MAX_DATA = 256 * 1024
"""How many bytes an event's data may have as JSON."""

MAX_EVENTS = 1_000
"""How many events one call may bring."""

LONGEST_DELAY = timedelta(days=31)
LONGEST_LIFE = timedelta(days=7)


@attrs.frozen
class Published:
    """An event as the host application tells it.

    data: JSON. data_json: the same as JSON without spaces, where the caller has it. occurred_at: now, if left out.
    deliver_at: nobody is told before. expires_at: nobody is told after.
    """

    type: str
    data: Mapping[str, Any]
    occurred_at: datetime | None = None
    deliver_at: datetime | None = None
    expires_at: datetime | None = None
    data_json: bytes | None = None


@attrs.define
class PublishEvents:
    """Keep events and tell everyone who wants them, durably, before answering."""

    _intake: Intake
    _clock: Clock
    _ids: Ids
    _public_url: PublicUrl

    async def one(self, caller: Caller, published: Published, once: Once | None = None) -> NewEvent | Answer:
        """Publish one. Mistaken fields are named as they are."""
        done = await self(caller, (published,), once, field="")
        return done if isinstance(done, Answer) else done[0]

    async def __call__(
        self, caller: Caller, published: Sequence[Published], once: Once | None = None, *, field: str = "events.{}."
    ) -> tuple[NewEvent, ...] | Answer:
        """All of them or none. `once` renders its answer of the new events.

        Returns the answer of an earlier call with the same Idempotency-Key, if there was one (the caller is to check that
        it was the same call). field: what the name of a mistaken field begins with; `{}` stands for the event's index.

        Raises Invalid for a wrong type name, data over 256 KiB, a moment out of bounds, none or more than 1,000 events;
        and what Intake raises.
        """
        if not 1 <= len(published) <= MAX_EVENTS:
            raise Invalid.field("events", f"A call brings from 1 to {MAX_EVENTS} events.")
        now = self._clock.now()
        events, faults = [], list[Fault]()
        for index, one in enumerate(published):
            try:
                events.append(self._new(caller, one, now))
            except Invalid as invalid:
                faults += [Fault(f"{field.format(index)}{f.field}", f.reason) for f in invalid.faults]
        if faults:
            raise Invalid(*faults[:100])
        made = tuple(events)
        earlier = await self._intake.accept(Submission(caller.organisation_id, made, once, made))
        return made if earlier is None else earlier

    def _new(self, caller: Caller, one: Published, now: datetime) -> NewEvent:
        check_event_type(one.type)
        data_json = encode_data(one.data) if one.data_json is None else one.data_json
        if len(data_json) > MAX_DATA:
            raise Invalid.field("data", f"An event's data has at most {MAX_DATA // 1024} KiB.")
        happened = one.occurred_at
        if happened is not None:
            if happened > now + timedelta(days=1):
                raise Invalid.field("occurred_at", "This moment is more than a day ahead.")
            if happened < _EARLIEST:
                raise Invalid.field("occurred_at", "This moment is before 1900.")
        if one.deliver_at is not None and one.deliver_at > now + LONGEST_DELAY:
            raise Invalid.field("deliver_at", f"An event is held back for {LONGEST_DELAY.days} days at most.")
        if one.expires_at is not None:
            due = now if one.deliver_at is None else max(now, one.deliver_at)
            if one.expires_at <= due:
                raise Invalid.field("expires_at", "It would expire before anybody is told.")
            if one.expires_at > due + LONGEST_LIFE:
                raise Invalid.field("expires_at", f"An event expires within {LONGEST_LIFE.days} days.")
        id_ = self._ids.new("event")
        payload = Payload(id_, caller.organisation_id, one.type, happened or now, data_json, self._public_url.url)
        return NewEvent(payload, now, one.deliver_at, one.expires_at)
