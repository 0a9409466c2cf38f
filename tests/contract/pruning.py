"""What every way of pruning must do. A test of one subclasses this and gives a `rig` fixture."""

from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from application.ports.pruning import Pruned, Pruning
from application.ports.store import Store
from domain.ids import make_id
from domain.notifications.attempts import Attempt
from domain.notifications.deliveries import DeliveryState
from tests.contract.examples import NOW, Examples

DAY = timedelta(days=1)
MANY = 7


@attrs.define
class PruningRig:
    """Pruning under test, and the store whose rows it prunes."""

    pruning: Pruning
    store: Store
    make: Examples = attrs.field(factory=Examples)

    async def organisation(self) -> str:
        """A new organisation's id."""
        organisation = self.make.organisation()
        await self.store.found(organisation)
        return organisation.id

    def aged(self, kind: str, thing: Any, made: datetime, number: int = 0, **changes: Any) -> Any:
        """The thing as if it had been made at this moment."""
        id_ = make_id(kind, int(made.timestamp() * 1000), number.to_bytes(10, "big"))
        return attrs.evolve(thing, id=id_, **changes)

    def event(self, org: str, at: datetime, number: int = 0) -> Any:
        """An event of this moment."""
        return self.aged("event", self.make.event(org), at, number, created_at=at)

    async def attempt(self, org: str, at: datetime, number: int = 0) -> Attempt:
        """A kept attempt of this moment, with everything an attempt can bring back."""
        event = self.event(org, at, number)
        delivery = self.make.delivery(org, event)
        made: Attempt = self.aged("attempt", self.make.attempt(delivery, self.make.full_outcome()), at, number, at=at)
        async with self.store.of(org) as work:
            await work.events.add(event)
            await work.deliveries.add(delivery)
            await work.attempts.add(made)
            await work.commit()
        return made

    async def add(self, org: str, name: str, *things: Any) -> None:
        """Keep them."""
        async with self.store.of(org) as work:
            for thing in things:
                await getattr(work, name).add(thing)
            await work.commit()

    async def kept(self, org: str, name: str) -> set[str]:
        """The ids of what is kept."""
        async with self.store.reading(org) as work:
            return {one.id for one in await getattr(work, name).all()}

    async def attempts(self, org: str, attempt: Attempt) -> tuple[Attempt, ...]:
        """Of this attempt's delivery."""
        async with self.store.reading(org) as work:
            return tuple(await work.attempts.of(attempt.delivery_id))

    async def walk(self, what: str, before: datetime) -> int:
        """To the end. How many in all."""
        count, position = 0, None
        while True:
            pruned: Pruned = await getattr(self.pruning, f"forget_{what}")(before, position)
            count, position = count + pruned.count, pruned.position
            if position is None:
                return count

    async def blank(self, before: datetime) -> int:
        """To the end. How many in all."""
        count = 0
        while True:
            pruned = await self.pruning.blank_payloads(before)
            count += pruned.count
            if pruned.position is None:
                return count


class PruningContract:
    """The suite."""

    async def test_nothing_is_there_to_be_pruned(self, rig: PruningRig) -> None:
        """At once at its end."""
        assert await rig.pruning.blank_payloads(NOW) == Pruned(0, None)
        assert await rig.pruning.forget_events(NOW, None) == Pruned(0, None)
        assert await rig.pruning.forget_audit(NOW, None) == Pruned(0, None)

    async def test_payloads_go_and_the_attempt_stays(self, rig: PruningRig) -> None:
        """When it was, how long it took and what it came to; also of a delivery that is still pending."""
        org = await rig.organisation()
        old = await rig.attempt(org, NOW - 2 * DAY)
        young = await rig.attempt(org, NOW)
        assert await rig.blank(NOW - DAY) == 1
        empty = attrs.evolve(old.outcome, request_headers={}, request_body="", headers={}, body="")
        assert await rig.attempts(org, old) == (attrs.evolve(old, outcome=empty),)
        assert await rig.attempts(org, young) == (young,)

    async def test_payloads_are_emptied_once(self, rig: PruningRig) -> None:
        """The next day begins where this one ended, over all organisations."""
        first, org = await rig.organisation(), await rig.organisation()
        for number in range(MANY):
            for owner in (first, org):
                await rig.attempt(owner, NOW - 3 * DAY + number * timedelta(minutes=1), 2 * number + (owner == org))
        later = await rig.attempt(org, NOW - DAY)
        assert await rig.blank(NOW - 2 * DAY) == 2 * MANY
        assert await rig.blank(NOW - 2 * DAY) == 0
        assert await rig.blank(NOW) == 1
        ((blanked),) = await rig.attempts(org, later)
        assert (blanked.outcome.body, blanked.outcome.request_headers) == ("", {})

    @pytest.mark.parametrize("state", DeliveryState)
    async def test_an_event_that_a_delivery_points_at_stays(self, rig: PruningRig, state: DeliveryState) -> None:
        """It is what a pending one sends, a waiting one hands out, and an ended one shows."""
        org = await rig.organisation()
        needed, other = rig.event(org, NOW - 9 * DAY, 1), rig.event(org, NOW - 9 * DAY, 2)
        await rig.add(org, "events", needed, other)
        finished = None if state in (DeliveryState.PENDING, DeliveryState.WAITING) else NOW
        await rig.add(org, "deliveries", rig.make.delivery(org, needed, state=state, finished_at=finished))
        assert await rig.walk("events", NOW) == 1
        assert await rig.kept(org, "events") == {needed.id}

    async def test_young_events_stay(self, rig: PruningRig) -> None:
        """Up to the moment itself; those before go, however many, past those that are needed, and once."""
        org, other = await rig.organisation(), await rig.organisation()
        old = [rig.event(org, NOW - DAY - timedelta(minutes=n), n) for n in range(1, 2 * MANY)]
        await rig.add(org, "events", *old, young := rig.event(org, NOW - DAY))
        await rig.add(org, "deliveries", *(rig.make.delivery(org, event) for event in old[MANY:]))
        await rig.add(other, "events", rig.event(other, NOW - 5 * DAY), theirs := rig.event(other, NOW))
        assert await rig.walk("events", NOW - DAY) == MANY + 1
        assert await rig.kept(org, "events") == {young.id, *(event.id for event in old[MANY:])}
        assert await rig.kept(other, "events") == {theirs.id}
        assert await rig.walk("events", NOW - DAY) == 0

    async def test_the_audit_trail_is_forgotten_from_its_end(self, rig: PruningRig) -> None:
        """However long it is."""
        org = await rig.organisation()
        old = [rig.aged("audit", rig.make.entry(org), NOW - DAY, n, at=NOW - DAY) for n in range(MANY)]
        young = rig.aged("audit", rig.make.entry(org), NOW, at=NOW)
        await rig.add(org, "audit", *old, young)
        assert await rig.walk("audit", NOW) == MANY
        assert await rig.kept(org, "audit") == {young.id}
        assert await rig.walk("audit", NOW) == 0

    async def test_what_bears_an_old_id_and_is_young_stays(self, rig: PruningRig) -> None:
        """A clock that is set right by a minute must cost nobody a thing."""
        org = await rig.organisation()
        event = attrs.evolve(rig.event(org, NOW - DAY), created_at=NOW + DAY)
        entry = rig.aged("audit", rig.make.entry(org), NOW - DAY, at=NOW + DAY)
        await rig.add(org, "events", event)
        await rig.add(org, "audit", entry)
        assert (await rig.walk("events", NOW), await rig.walk("audit", NOW)) == (0, 0)
        assert (await rig.kept(org, "events"), await rig.kept(org, "audit")) == ({event.id}, {entry.id})
