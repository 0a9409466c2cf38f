"""The sweep: what the provider's list has and the inbox has not is taken in, once, counted and told."""

from datetime import timedelta
from typing import Any

import attrs
import pytest

from application.inbox.sweep import FIRST, OVERLAP, STILL_COMING, reading_of
from application.ports.payments import ReconnectNeeded
from domain.billing.invoices import InvoiceState
from domain.connections.connection import ConnectionState
from tests.unit.application.bench import Bench

HOUR = timedelta(hours=1)


@pytest.fixture
async def connected_long_ago(bench: Bench) -> None:
    """A day and more of events to be read."""
    await change(bench, created_at=bench.clock.now() - timedelta(days=10))


async def change(bench: Bench, **changes: Any) -> None:
    """Change the connection."""
    async with bench.store.of(bench.org) as work:
        await work.connections.save(attrs.evolve(await work.connections.get(bench.connection.id), **changes))
        await work.commit()


@pytest.mark.usefixtures("connected_long_ago")
async def test_a_lost_webhook_is_found_and_the_invoice_paid(bench: Bench) -> None:
    """The whole point: no webhook came, and the money is noted all the same; and again nothing is doubled."""
    invoice = await bench.open_invoice()
    bench.fake.pay(await bench.opened_page(invoice))
    lost = len(bench.fake.events)
    assert dict(await bench.sweep()) == {"lists": 1, "missed": 0, "unread": 0}, "they may be on their way"
    bench.clock.advance(STILL_COMING + timedelta(seconds=1))
    assert dict(await bench.sweep()) == {"lists": 1, "missed": lost, "unread": 0}
    while await bench.handle():
        pass
    assert (await bench.invoice(invoice.id)).state is InvoiceState.PAID
    async with bench.look() as work:
        assert all(one.found_by_list for one in await work.inbox.all())
        (told,) = await work.events.all(type="integration.webhooks_missed")
    assert told.data["missed"] == lost
    assert told.data["connection"]["id"] == bench.connection.id
    reading = await reading_of(bench.store, bench.connection.id)
    assert (reading.missed, reading.at, reading.trouble) == (lost, bench.clock.now(), None)
    assert (await bench.webhook(bench.fake.events[0])).duplicate, "it came after all"
    assert (await bench.sweep())["missed"] == 0


@pytest.mark.usefixtures("connected_long_ago")
async def test_what_came_is_not_missed(bench: Bench) -> None:
    """Nobody is told of a gap that is none."""
    bench.fake.pay(await bench.opened_page(await bench.open_invoice()))
    for body in bench.fake.events:
        await bench.webhook(body)
    bench.clock.advance(HOUR)
    assert (await bench.sweep())["missed"] == 0
    assert "integration.webhooks_missed" not in await bench.told()


@pytest.mark.usefixtures("connected_long_ago")
async def test_each_reading_overlaps_the_one_before(bench: Bench) -> None:
    """The first goes a day back; an event that the list learnt of late is found by the next."""
    asked = []
    listing = bench.fake.events_between

    def watched(access: object, since: object, until: object) -> object:
        asked.append((since, until))
        return listing(access, since, until)  # type: ignore[arg-type]

    object.__setattr__(bench.fake, "events_between", watched)
    start = bench.clock.now()
    await bench.sweep()
    bench.clock.advance(timedelta(minutes=15))
    await bench.sweep()
    bench.clock.advance(timedelta(days=90))
    await bench.sweep()
    first, second, after_a_long_time = asked
    assert first == (start - FIRST, start - STILL_COMING)
    assert second[0] == first[1] - OVERLAP
    assert after_a_long_time[0] == bench.clock.now() - bench.fake.events_kept


async def test_what_was_before_the_connection_is_not_asked_for(bench: Bench) -> None:
    """It was another system's, if anybody's."""
    bench.fake.pay(await bench.opened_page(await bench.open_invoice()))
    bench.clock.advance(HOUR)
    await change(bench, created_at=bench.clock.now())
    assert (await bench.sweep())["missed"] == 0
    assert "events_between" not in bench.fake.calls


@pytest.mark.usefixtures("connected_long_ago")
@pytest.mark.parametrize(
    "changes",
    [{"state": ConnectionState.PAUSED}, {"sealed": {}}, {"provider": "board"}],
    ids=["paused", "deaf", "other"],
)
async def test_only_connections_that_await_webhooks_are_read(bench: Bench, changes: dict[str, Any]) -> None:
    """And only where the provider has a list."""
    await change(bench, **changes)
    assert dict(await bench.sweep()) == {"lists": 0, "missed": 0, "unread": 0}


@pytest.mark.usefixtures("connected_long_ago")
async def test_a_list_that_cannot_be_read_is_noted_and_begun_again_there(bench: Bench) -> None:
    """The others are read; the position stays."""
    bench.fake.pay(await bench.opened_page(await bench.open_invoice()))
    lost = len(bench.fake.events)
    bench.clock.advance(HOUR)
    bench.fake.fail_next(ReconnectNeeded("This key may not read events."))
    assert dict(await bench.sweep()) == {"lists": 0, "missed": 0, "unread": 1}
    reading = await reading_of(bench.store, bench.connection.id)
    assert reading.until is None
    assert "may not read events" in (reading.trouble or "")
    assert (await bench.sweep())["missed"] == lost
    assert (await reading_of(bench.store, bench.connection.id)).trouble is None
