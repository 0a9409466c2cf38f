"""Pages on which the payer agrees and the hub takes the money: it is taken once, and only while it is owed."""

import asyncio
from typing import Any

import pytest

from application.ports.payments import CheckoutState as ProviderState
from application.ports.payments import ProviderRefused, RetryLater
from domain.billing.invoices import InvoiceState
from domain.billing.links import CheckoutState
from domain.money import Currency, Money
from tests.unit.application.bench import Bench

USD = Currency("USD")


async def agreed(bench: Bench) -> tuple[str, str]:
    """An invoice's id and its page, on which the payer has agreed."""
    invoice = await bench.open_invoice()
    reference = await bench.opened_page(invoice)
    bench.fake.approve(reference)
    return invoice.id, reference


async def test_the_return_and_the_webhook_at_once_take_the_money_once(bench: Bench) -> None:
    """The payer comes back while the provider tells: both see the agreement."""
    invoice_id, reference = await agreed(bench)
    await asyncio.gather(*(bench.settle.checkout(bench.org, bench.connection.id, reference) for _ in range(5)))
    (payment,) = await bench.payments()
    assert payment.captured == Money(10_000, USD)
    assert (await bench.invoice(invoice_id)).state is InvoiceState.PAID
    assert len(bench.fake.intents) == 1
    assert await bench.told() == ["payment.received", "invoice.paid"]


@pytest.mark.parametrize("what", ["paid elsewhere", "void", "partly paid", "link expired"])
@pytest.mark.writes_by_hand
async def test_money_that_is_not_owed_any_more_is_not_taken(bench: Bench, what: str) -> None:
    """The payer agreed to what was asked then; nothing is taken that would have to go back."""
    invoice_id, reference = await agreed(bench)
    invoice = await bench.invoice(invoice_id)
    if what == "void":
        async with bench.store.of(bench.org) as work:
            await work.invoices.save(invoice.void(bench.clock.now()))
            await work.commit()
    elif what == "link expired":
        await bench.expire_link(bench.caller, invoice_id=invoice_id, provider="fake")
    else:
        amount = Money(10_000 if what == "paid elsewhere" else 4_000, USD)
        other = bench.fake.pay(await bench.order(invoice, amount))
        await bench.settle.checkout(bench.org, bench.connection.id, other.reference)
    paid_before = len(await bench.payments())
    for _ in range(2):
        assert await bench.settle.checkout(bench.org, bench.connection.id, reference)
    assert len(await bench.payments()) == paid_before
    assert not bench.fake.checkouts[reference].paid
    (ours,) = [one for one in await bench.checkouts() if one.reference == reference]
    assert ours.state is CheckoutState.EXPIRED


async def test_what_was_paid_on_another_page_is_asked_before_money_is_taken(bench: Bench) -> None:
    """Its webhook may be on its way: the money would be taken a second time, and have to go back."""
    invoice_id, reference = await agreed(bench)
    plain = await bench.connect(bench.org, provider="plain")
    other = await bench.page_beside(await bench.invoice(invoice_id), plain)
    bench.providers.plain.pay(other)
    assert await bench.settle.checkout(bench.org, bench.connection.id, reference)
    assert not bench.fake.checkouts[reference].paid
    (payment,) = await bench.payments()
    assert (payment.provider, payment.conflict) == ("plain", None)
    assert (await bench.invoice(invoice_id)).state is InvoiceState.PAID


async def test_of_two_agreements_at_once_one_is_taken(bench: Bench) -> None:
    """At two providers, for one invoice."""
    invoice_id, reference = await agreed(bench)
    plain = await bench.connect(bench.org, provider="plain")
    other = await bench.page_beside(await bench.invoice(invoice_id), plain)
    bench.providers.plain.approve(other)
    await asyncio.gather(
        bench.settle.checkout(bench.org, bench.connection.id, reference),
        bench.settle.checkout(bench.org, plain.id, other),
    )
    assert [one.conflict for one in await bench.payments()] == [None]
    assert (await bench.invoice(invoice_id)).paid == 10_000


async def test_nothing_is_taken_while_another_provider_cannot_tell(bench: Bench) -> None:
    """Its page may be paid; the webhook is handled again."""
    invoice_id, reference = await agreed(bench)
    plain = await bench.connect(bench.org, provider="plain")
    await bench.page_beside(await bench.invoice(invoice_id), plain)
    bench.providers.plain.fail_next(RetryLater("away"), of="fetch_checkout")
    with pytest.raises(RetryLater):
        await bench.settle.checkout(bench.org, bench.connection.id, reference)
    assert not bench.fake.checkouts[reference].paid
    await bench.settle.checkout(bench.org, bench.connection.id, reference)
    assert (await bench.invoice(invoice_id)).state is InvoiceState.PAID


async def test_a_capture_whose_answer_was_lost_is_asked_for_with_the_same_key(bench: Bench) -> None:
    """The page's id is the key: the provider takes the money once."""
    _, reference = await agreed(bench)

    async def lose() -> None:
        raise RetryLater("cut off", may_have_happened=True)

    bench.between.after["capture_checkout"] = lose
    with pytest.raises(RetryLater):
        await bench.settle.checkout(bench.org, bench.connection.id, reference)
    bench.between.after.clear()
    await bench.settle.checkout(bench.org, bench.connection.id, reference)
    assert len(bench.fake.intents) == 1
    assert [one.captured for one in await bench.payments()] == [Money(10_000, USD)]


async def test_a_capture_that_is_declined_leaves_the_page_to_its_payer(bench: Bench) -> None:
    """They choose another card there and agree again."""
    invoice_id, reference = await agreed(bench)

    async def decline() -> None:
        raise ProviderRefused("The instrument was declined.", code="INSTRUMENT_DECLINED")

    bench.between.before["capture_checkout"] = decline
    assert await bench.settle.checkout(bench.org, bench.connection.id, reference)
    assert await bench.payments() == ()
    assert [one.state for one in await bench.checkouts()] == [CheckoutState.OPEN]
    bench.between.before.clear()
    keys: list[str] = []
    capture = bench.fake.capture_checkout

    async def noted(*args: Any, key: str) -> Any:
        keys.append(key)
        return await capture(*args, key=key)

    bench.fake.capture_checkout = noted  # type: ignore[assignment, method-assign]
    await bench.settle.checkout(bench.org, bench.connection.id, reference)
    assert (await bench.invoice(invoice_id)).state is InvoiceState.PAID
    assert keys == [f"{(await bench.checkouts())[0].id}-capture-3"], "with the first key the decline would be repeated"


async def test_an_agreement_to_a_page_that_is_not_ours_is_left_alone(bench: Bench) -> None:
    """The account may serve another shop, which takes its money itself."""
    other = await bench.found()
    reference = await bench.order(await bench.open_invoice(), Money(10_000, USD), organisation=other)
    bench.fake.approve(reference)
    assert not await bench.settle.checkout(bench.org, bench.connection.id, reference)
    assert bench.fake.checkouts[reference].state is ProviderState.APPROVED
