"""What a person decides about received webhooks: handle again, one or many, skip, or look at one word for word."""

import attrs

from application.caller import Caller
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.inbox import Wanted, WebhookInbox
from application.ports.store import Store
from domain.inbox import REPEATABLE, Received
from domain.refusals import Invalid

MOST_AGAIN = 10_000
"""Webhooks that one call has handled again: an hour's work for one worker, at a provider's usual pace."""


@attrs.define
class HandleAgain:
    """Have a failed, ignored or skipped webhook handled again."""

    _store: Store
    _clock: Clock
    _tell: Tell

    async def __call__(self, caller: Caller, id: str) -> Received:
        """Raises NotFound, or Conflict when it was handled or waits already."""
        async with self._store.of(caller.organisation_id) as work:
            again = await work.inbox.save((await work.inbox.get(id)).again(self._clock.now()))
            await self._tell.note(work, caller, "inbox.repeated", id, type=again.type)
            await work.commit()
        return again


@attrs.frozen
class Repeated:
    """matching: how many there were to be handled again. taken: how many of them are, the oldest."""

    matching: int
    taken: int


@attrs.define
class HandleManyAgain:
    """Have everything that matches and has failed, been ignored or skipped handled again; or only count it."""

    _inbox: WebhookInbox
    _store: Store
    _clock: Clock
    _tell: Tell

    async def __call__(self, caller: Caller, wanted: Wanted, *, only_count: bool = False) -> Repeated:
        """At most MOST_AGAIN, the oldest first. Raises Invalid when `wanted` asks for a state that cannot be repeated."""
        if any(state not in REPEATABLE for state in wanted.states):
            can = ", ".join(state.value for state in REPEATABLE)
            raise Invalid.field("status", f"What can be handled again is {can}.")
        wanted = wanted if wanted.states else attrs.evolve(wanted, states=REPEATABLE)
        matching = await self._inbox.count(caller.organisation_id, wanted)
        if only_count or not matching:
            return Repeated(matching, 0)
        taken = await self._inbox.again(caller.organisation_id, wanted, self._clock.now(), MOST_AGAIN)
        async with self._store.of(caller.organisation_id) as work:
            meant = {name: str(value) for name, value in attrs.asdict(wanted, recurse=False).items() if value}
            meant["states"] = ", ".join(state.value for state in wanted.states)
            await self._tell.note(work, caller, "inbox.repeated", "", taken=taken, wanted=meant)
            await work.commit()
        return Repeated(matching, taken)


@attrs.define
class SkipWebhook:
    """Decide that a webhook is not to be handled, so that it holds up nothing and nobody has to look at it again."""

    _store: Store
    _clock: Clock
    _tell: Tell

    async def __call__(self, caller: Caller, id: str, reason: str) -> Received:
        """One that is under way may still have its effect. Raises NotFound, Conflict, or Invalid naming `reason`."""
        async with self._store.of(caller.organisation_id) as work:
            received = await work.inbox.get(id)
            skipped = await work.inbox.save(received.skipped(caller.actor, reason, self._clock.now()))
            await self._tell.note(work, caller, "inbox.skipped", id, type=received.type, reason=reason.strip())
            await work.commit()
        return skipped


@attrs.define
class DownloadWebhook:
    """Hand out a webhook's body, byte for byte. It may hold a payer's name and address: who took it is written down."""

    _store: Store
    _tell: Tell

    async def __call__(self, caller: Caller, id: str) -> Received:
        """Raises NotFound."""
        async with self._store.of(caller.organisation_id) as work:
            received = await work.inbox.get(id)
            await self._tell.note(work, caller, "inbox.downloaded", id, type=received.type)
            await work.commit()
        return received
