"""Webhooks of one connection are handled together when many wait: what comes of each is what would come of it alone."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from application.ports.payments import RetryLater
from domain.billing.invoices import InvoiceState
from domain.billing.payments import PaymentState
from domain.inbox import InboxState
from domain.money import Money
from tests.unit.application.bench import Bench


async def bodies(bench: Bench, *words: bytes) -> list[bytes]:
    """The webhooks so far whose text has one of these words."""
    return [body for body in bench.fake.events if any(word in body for word in words)]


async def told_in(bench: Bench, body: bytes) -> str:
    """What became of a webhook."""
    async with bench.look() as work:
        (found,) = [one for one in await work.inbox.all() if one.body == body]
    return found.state.value


async def test_many_payments_are_settled_in_one_go(bench: Bench) -> None:
    """Each pays its invoice, and is told, once."""
    invoices = [await bench.open_invoice() for _ in range(7)]
    for invoice in invoices:
        bench.fake.pay(await bench.opened_page(invoice))
    for body in await bodies(bench, b"intent.succeeded"):
        await bench.webhook(body)
    bench.fake.calls.clear()
    assert await bench.handle(50) == 7
    assert [(await bench.invoice(one.id)).state for one in invoices] == [InvoiceState.PAID] * 7
    assert sorted(payment.invoice_id or "" for payment in await bench.payments()) == sorted(one.id for one in invoices)
    told = await bench.told()
    assert (told.count("invoice.paid"), told.count("payment.received")) == (7, 7)
    assert bench.fake.calls.count("fetch_intent") == 7
    async with bench.look() as work:
        assert {one.state for one in await work.inbox.all()} == {InboxState.HANDLED}
        entries = await work.ledger.all()
    assert sum(entry.amount.amount for entry in entries) == 0


async def test_two_payments_of_one_invoice_meet_in_one_go(bench: Bench) -> None:
    """The second finds what the first did, as if it came later: the invoice is not paid twice."""
    invoice = await bench.open_invoice(10_000)
    for _ in range(2):
        bench.fake.pay(await bench.order(invoice, Money(10_000, invoice.currency)))
    for body in await bodies(bench, b"intent.succeeded"):
        await bench.webhook(body)
    await bench.handle(50)
    states = sorted(payment.state.value for payment in await bench.payments())
    assert states == [PaymentState.CONFLICTED.value, PaymentState.SUCCEEDED.value]
    paid = await bench.invoice(invoice.id)
    assert (paid.state, paid.paid) == (InvoiceState.PAID, 10_000)


async def test_one_that_cannot_be_asked_about_does_not_hold_up_the_others(bench: Bench) -> None:
    """It is tried alone, fails for itself, and is tried again later."""
    for _ in range(3):
        bench.fake.pay(await bench.opened_page(await bench.open_invoice()))
    sent = await bodies(bench, b"intent.succeeded")
    for body in sent:
        await bench.webhook(body)
    for _ in range(2):
        bench.fake.fail_next(RetryLater("The provider is busy."))
    await bench.handle(50)
    states = sorted([await told_in(bench, body) for body in sent])
    assert states.count("handled") >= 2
    bench.clock.advance(timedelta(hours=1))
    await bench.handle(50)
    assert [await told_in(bench, body) for body in sent] == ["handled"] * 3
    assert len(await bench.payments()) == 3


async def test_what_somebody_else_works_on_is_left_out(bench: Bench) -> None:
    """A payer is just coming back; their payment has a lock, and is handled when it is free."""
    for _ in range(3):
        bench.fake.pay(await bench.opened_page(await bench.open_invoice()))
    sent = await bodies(bench, b"intent.succeeded")
    for body in sent:
        await bench.webhook(body)
    reference = bench.fake.parse_webhook(sent[0]).intent_reference
    wanted: dict[str, str | None] = {bench.fake.parse_webhook(body).intent_reference or "": None for body in sent}
    lock = f"payment:{bench.org}:fake:{reference}"
    async with bench.leases.hold(lock, for_=timedelta(minutes=1)):
        ours = await bench.settle.intents(bench.org, bench.connection.id, wanted)
    assert set(ours) == set(wanted) - {reference}


async def test_what_went_back_is_asked_for_alone(bench: Bench) -> None:
    """A refund has to be known in full, and that takes a question of its own."""
    _, first = await bench.paid()
    bench.fake.pay(await bench.opened_page(await bench.open_invoice()))
    await bench.refund(bench.caller, first.id, amount="25.00")
    wanted = dict.fromkeys(bench.fake.intents)
    ours = await bench.settle.intents(bench.org, bench.connection.id, wanted)
    assert set(ours) == set(bench.fake.intents) - {first.reference}


@pytest.mark.parametrize("seed", range(5))
async def test_together_or_alone_comes_to_the_same(seed: int) -> None:
    """The same history, handled both ways: the same payments, invoices, events and books."""
    assert await _history(seed, limit=1) == await _history(seed, limit=50)


async def _history(seed: int, *, limit: int) -> list[Any]:
    bench = await Bench().prepare()
    random = Random(seed)
    invoices = [await bench.open_invoice(10_000) for _ in range(4)]
    for _ in range(10):
        invoice = random.choice(invoices)
        page = await bench.order(invoice, Money(random.choice((10_000, 4_000, 6_000)), invoice.currency))
        bench.fake.pay(page)
    for body in await bodies(bench, b"intent."):
        await bench.webhook(body)
        bench.clock.advance(timedelta(seconds=1))
    while await bench.handle(limit):
        pass
    async with bench.look() as work:
        entries = await work.ledger.all()
    balances: dict[str, int] = {}
    for entry in entries:
        balances[entry.account] = balances.get(entry.account, 0) + entry.amount.amount
    return [
        [
            (one.reference, one.state, one.captured.amount)
            for one in sorted(await bench.payments(), key=lambda p: p.reference)
        ],
        [(await bench.invoice(one.id)).state for one in invoices],
        sorted(await bench.told()),
        balances,
    ]
