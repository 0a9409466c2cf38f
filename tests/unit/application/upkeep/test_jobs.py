"""The jobs: twice, or late, is the same as once; one organisation's trouble is not another's."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import attrs
import pytest

from application.connections.connect import ProviderUnavailable
from application.ports.payments import RetryLater
from application.ports.store import StaleWrite, Work
from application.upkeep.jobs import ExpireWaiting
from domain.billing.invoices import InvoiceState
from domain.billing.links import CheckoutState, LinkState
from domain.notifications.deliveries import DeliveryState
from domain.notifications.endpoints import EndpointMode
from tests.unit.application.bench import Bench


async def test_an_invoice_becomes_overdue_once(bench: Bench) -> None:
    """The day after its day, and it is told once; drafts and paid ones never are."""
    today = bench.clock.now().date()
    late = await bench.open_invoice(due_on=today)
    await bench.open_invoice(due_on=today + timedelta(days=2))
    await bench.open_invoice()
    draft = attrs.evolve(bench.make.invoice(bench.org), due_on=date(2020, 1, 1))
    await bench.add("invoices", draft)
    assert await bench.mark_overdue() == {"invoices": 0}
    bench.clock.advance(timedelta(days=1))
    assert await bench.mark_overdue() == {"invoices": 1}
    assert await bench.mark_overdue() == {"invoices": 0}
    async with bench.look() as work:
        assert [one.id for one in await work.invoices.all(state=InvoiceState.OVERDUE)] == [late.id]
    assert await bench.told() == ["invoice.overdue"]


async def test_a_lapsed_link_expires_once_and_its_page_is_closed(bench: Bench) -> None:
    """An invoice that is paid has completed links, which stay so."""
    await bench.paid()
    invoice = await bench.open_invoice()
    link = await bench.linked(invoice)
    bench.clock.advance(timedelta(days=30) - timedelta(hours=1))
    await bench.follow(link.token)
    assert await bench.expire_links() == {"links": 0, "pages": 0}
    bench.clock.advance(timedelta(hours=1))
    assert await bench.expire_links() == {"links": 1, "pages": 1}
    assert await bench.expire_links() == {"links": 0, "pages": 0}
    async with bench.look() as work:
        assert [one.state for one in await work.links.all()] == [LinkState.COMPLETED, LinkState.EXPIRED]
        assert [one.state for one in await work.checkouts.all()] == [CheckoutState.COMPLETE, CheckoutState.EXPIRED]


async def test_a_provider_that_is_away_does_not_keep_a_link_alive(bench: Bench) -> None:
    """Its page lapses by itself."""
    link = await bench.linked(await bench.open_invoice())
    bench.clock.advance(timedelta(days=30) - timedelta(hours=1))
    await bench.follow(link.token)
    bench.clock.advance(timedelta(hours=1))
    bench.fake.fail_next(RetryLater("away"))
    assert await bench.expire_links() == {"links": 1, "pages": 0}


async def test_one_refund_that_still_cannot_be_made_does_not_hold_up_the_others(bench: Bench) -> None:
    """It is asked for again the next time."""
    for _ in range(2):
        _, payment = await bench.paid()
        bench.fake.fail_next(RetryLater("away"))
        with pytest.raises(ProviderUnavailable):
            await bench.refund(bench.caller, payment.id, amount="60")
    bench.clock.advance(timedelta(minutes=2))
    bench.fake.fail_next(RetryLater("still away"))
    assert await bench.resume_refunds() == {"refunds": 1, "stuck": 0}
    bench.clock.advance(timedelta(minutes=2))
    assert await bench.resume_refunds() == {"refunds": 1, "stuck": 0}
    assert len(bench.fake.refunds) == 2


async def test_what_is_old_is_forgotten_once(bench: Bench) -> None:
    """Older than the retention time, and finished."""
    now = bench.clock.now()
    done = bench.make.delivery(bench.org, state=DeliveryState.DELIVERED, finished_at=now)
    waiting = bench.make.delivery(bench.org)
    await bench.add("deliveries", done, waiting)
    bench.clock.advance(timedelta(days=30))
    assert (await bench.forget_old())["deliveries"] == 0
    bench.clock.advance(timedelta(seconds=1))
    assert (await bench.forget_old())["deliveries"] == 1
    assert (await bench.forget_old())["deliveries"] == 0
    assert await bench.deliveries() == (waiting,)


class Troubled:
    """Stands before the telling of events: the first telling about each of these organisations goes wrong."""

    def __init__(self, bench: Bench, error: Exception, *organisations: str) -> None:
        self._bench, self._error, self._left = bench, error, set(organisations)

    async def __call__(self, work: Work, type: str, data: Mapping[str, Any]) -> Any:
        if work.organisation_id in self._left:
            self._left.remove(work.organisation_id)
            raise self._error
        return await self._bench.tell(work, type, data)


async def two_late_invoices(bench: Bench) -> str:
    """One of the first organisation and one of another, which is returned."""
    late = await bench.open_invoice(due_on=bench.clock.now().date())
    other = await bench.found()
    await bench.add("invoices", attrs.evolve(late, id=bench.ids.new("invoice"), organisation_id=other))
    bench.clock.advance(timedelta(days=1))
    return other


async def overdue(bench: Bench, org: str) -> int:
    """How many invoices an organisation has overdue."""
    async with bench.store.reading(org) as work:
        return len(await work.invoices.all(state=InvoiceState.OVERDUE))


async def test_one_organisations_trouble_is_told_after_the_others_are_done(bench: Bench) -> None:
    """And what went wrong left nothing half done: the next round does it."""
    other = await two_late_invoices(bench)
    await bench.open_invoice(due_on=bench.clock.now().date() - timedelta(days=1))
    bench.mark_overdue._tell = Troubled(bench, RuntimeError("no"), bench.org)  # type: ignore[assignment]
    with pytest.raises(ExceptionGroup) as caught:
        await bench.mark_overdue()
    assert [str(error) for error in caught.value.exceptions] == ["no"]
    assert (await overdue(bench, bench.org), await overdue(bench, other)) == (1, 1)
    assert await bench.mark_overdue() == {"invoices": 1}
    assert await overdue(bench, bench.org) == 2


async def test_what_somebody_else_changed_meanwhile_is_left_for_the_next_round(bench: Bench) -> None:
    """That is no trouble."""
    other = await two_late_invoices(bench)
    bench.mark_overdue._tell = Troubled(bench, StaleWrite("changed"), bench.org)  # type: ignore[assignment]
    assert await bench.mark_overdue() == {"invoices": 1}
    assert await overdue(bench, other) == 1
    assert await bench.mark_overdue() == {"invoices": 1}


async def test_a_page_that_cannot_be_closed_does_not_keep_other_links_alive(bench: Bench) -> None:
    """Its connection's secret cannot be opened: that is told at the end."""
    link = await bench.linked(await bench.open_invoice())
    bench.clock.advance(timedelta(days=30) - timedelta(hours=1))
    await bench.follow(link.token)
    other = await bench.found()
    theirs = attrs.evolve(bench.make.link(other), expires_at=bench.clock.now())
    await bench.add("links", theirs)
    async with bench.store.of(bench.org) as work:
        connection = await work.connections.get(bench.connection.id)
        await work.connections.save(attrs.evolve(connection, sealed={"secret_key": "of another vault"}))
        await work.commit()
    bench.clock.advance(timedelta(hours=1))
    with pytest.raises(ExceptionGroup):
        await bench.expire_links()
    for org, id_ in ((bench.org, link.id), (other, theirs.id)):
        async with bench.store.reading(org) as work:
            assert (await work.links.get(id_)).state is LinkState.EXPIRED


async def test_what_nobody_fetches_expires(bench: Bench) -> None:
    """A receiver that gave up polling leaves nothing behind that waits for ever."""
    endpoint = attrs.evolve(bench.make.endpoint(bench.org), mode=EndpointMode.POLL)
    await bench.add("endpoints", endpoint)
    event = bench.make.event(bench.org)
    await bench.add("events", event)
    until = bench.clock.now() + timedelta(days=7)
    waiting = bench.make.delivery(bench.org, event, endpoint.id, state=DeliveryState.WAITING, expires_at=until)
    await bench.add("deliveries", waiting)
    job = ExpireWaiting(bench.store, bench.clock)
    assert await job() == {"expired": 0}
    bench.clock.advance(timedelta(days=7))
    assert await job() == {"expired": 1}
    assert await job() == {"expired": 0}
    async with bench.look() as work:
        assert (await work.deliveries.get(waiting.id)).state is DeliveryState.EXPIRED
