"""Giving one delivery up by a person's decision."""

import attrs
import pytest

from application.notifications.skipping import SkipDelivery
from application.ports.work_queue import Topic
from domain.notifications.deliveries import DeliveryState
from domain.refusals import Conflict, NotFound
from tests.unit.application.bench import Bench


async def test_it_is_cancelled_and_the_lane_goes_on(bench: Bench) -> None:
    """Who holds the lane is called: at an endpoint served in order, the next may go. It is on record who did it."""
    skip = SkipDelivery(bench.store, bench.tell, bench.clock)
    endpoint = await bench.endpoint()
    event = bench.make.event(bench.org)
    pending = attrs.evolve(bench.make.delivery(bench.org, event, endpoint.id), attempts=2, last_status=503)
    await bench.add("deliveries", pending)
    skipped = await skip(bench.caller, pending.id)
    assert skipped == pending.cancel("skipped by a person", bench.clock.now())
    assert bench.queue.announced[-1] is Topic.SETTINGS
    assert bench.queue.lanes[-1] == {endpoint.id}
    async with bench.look() as work:
        (entry,) = await work.audit.all()
    assert (entry.action, entry.subject, entry.actor) == ("delivery.skipped", pending.id, bench.caller.actor)


@pytest.mark.parametrize("state", [one for one in DeliveryState if one.value not in ("pending", "waiting")])
async def test_what_has_ended_stays(bench: Bench, state: DeliveryState) -> None:
    """What arrived cannot be called back."""
    event = bench.make.event(bench.org)
    ended = bench.make.delivery(bench.org, event, "wh_1", state=state, finished_at=bench.clock.now())
    await bench.add("deliveries", ended)
    with pytest.raises(Conflict, match=f"is {state.value}"):
        await SkipDelivery(bench.store, bench.tell, bench.clock)(bench.caller, ended.id)


async def test_another_organisation_s_is_not_there(bench: Bench) -> None:
    """Nor does it change."""
    other = await bench.found()
    theirs = bench.make.delivery(other, bench.make.event(other))
    await bench.add("deliveries", theirs)
    with pytest.raises(NotFound):
        await SkipDelivery(bench.store, bench.tell, bench.clock)(bench.caller, theirs.id)
