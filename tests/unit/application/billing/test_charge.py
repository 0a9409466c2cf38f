"""Charging while the payer is away: once, whatever becomes of the answer; nothing else can pay the invoice beside it."""

import asyncio
from datetime import timedelta

import attrs
import pytest

from application.billing.charge import MethodToCharge
from application.connections.connect import ProviderUnavailable
from application.ports.payments import IntentState, RetryLater
from domain.billing.attempts import AttemptState
from domain.billing.invoices import Invoice, InvoiceState
from domain.billing.payments import Payment, PaymentState
from domain.money import Currency, Money
from domain.refusals import Conflict
from tests.unit.application.bench import Bench

USD = Currency("USD")
UNANSWERED = RetryLater("No answer.", may_have_happened=True)


async def kept(bench: Bench, *, declines: bool = False) -> MethodToCharge:
    """A card that the payer left at the provider."""
    payer = await bench.fake.ensure_customer(
        {"secret_key": "x"}, our_reference="client_1", email="ada@acme.example", name="Ada", key="payer"
    )
    reference = bench.fake.give_method(payer.reference, declines=declines)
    return MethodToCharge(reference, payer.reference, "ada@acme.example", "visa 4242")


async def charged(bench: Bench, invoice: Invoice, method: MethodToCharge | None = None) -> Payment:
    """The invoice is charged."""
    return await bench.charge(
        bench.org,
        invoice_id=invoice.id,
        connection_id=bench.connection.id,
        method=method or await kept(bench),
        subscription_id="sub_1",
    )


async def test_a_charge_pays_the_invoice(bench: Bench) -> None:
    """And its webhook, however often it comes, adds nothing."""
    invoice = await bench.open_invoice()
    payment = await charged(bench, invoice)
    assert (payment.state, payment.captured, payment.subscription_id) == (
        PaymentState.SUCCEEDED,
        Money(10_000, USD),
        "sub_1",
    )
    assert (payment.attempts[0].state, payment.attempts[0].method) == (AttemptState.SUCCEEDED, "visa 4242")
    assert (await bench.invoice(invoice.id)).state is InvoiceState.PAID
    for body in bench.fake.events:
        await bench.webhook(body)
    await bench.handle()
    assert len(await bench.payments()) == 1
    assert await bench.told() == ["payment.received", "invoice.paid"]


async def test_what_charges_a_method_is_not_shown(bench: Bench) -> None:
    """A token in a log is money."""
    method = MethodToCharge("tok_secret", None, None, "visa 4242")
    assert "tok_secret" not in repr(method)
    assert "tok_secret" not in repr(await bench.payments())


async def test_a_declined_charge_is_an_answer_and_is_told_once(bench: Bench) -> None:
    """The answer and the webhook tell of the same failure; it can be tried again."""
    invoice = await bench.open_invoice()
    payment = await charged(bench, invoice, await kept(bench, declines=True))
    assert (payment.state, payment.attempts[0].failure) == (PaymentState.FAILED, "The card was declined.")
    for body in bench.fake.events:
        await bench.webhook(body)
    await bench.handle()
    assert await bench.told() == ["payment.failed", "invoice.payment_failed"]
    again = await charged(bench, invoice)
    assert (again.state, again.id == payment.id) == (PaymentState.SUCCEEDED, False)


async def test_a_charge_without_an_answer_is_unknown_and_nothing_more_is_charged(bench: Bench) -> None:
    """It may have happened: a second charge could be the second payment."""
    invoice = await bench.open_invoice()
    method = await kept(bench)
    bench.fake.fail_next(UNANSWERED, after_work=True)
    payment = await charged(bench, invoice, method)
    assert (payment.state, payment.at_provider) == (PaymentState.UNKNOWN, False)
    with pytest.raises(Conflict, match="not been answered"):
        await charged(bench, invoice, method)
    assert len(bench.fake.intents) == 1


async def test_its_webhook_finds_a_charge_without_an_answer(bench: Bench) -> None:
    """By the payment's id in its metadata: there is one row, with the provider's reference."""
    invoice = await bench.open_invoice()
    method = await kept(bench)
    bench.fake.fail_next(UNANSWERED, after_work=True)
    unknown = await charged(bench, invoice, method)
    await bench.webhook(bench.fake.events[-1])
    await bench.handle()
    (payment,) = await bench.payments()
    assert (payment.id, payment.state, payment.at_provider) == (unknown.id, PaymentState.SUCCEEDED, True)
    assert payment.attempts[0].state is AttemptState.SUCCEEDED
    assert (await bench.invoice(invoice.id)).state is InvoiceState.PAID


@pytest.mark.parametrize("after_work", [False, True])
async def test_an_unknown_charge_is_looked_up_and_never_guessed(bench: Bench, after_work: bool) -> None:
    """Made or not: after five minutes the provider says which."""
    invoice = await bench.open_invoice()
    method = await kept(bench)
    bench.fake.fail_next(UNANSWERED, after_work=after_work)
    await charged(bench, invoice, method)
    assert await bench.unknown_payments() == {"resolved": 0, "stuck": 0}
    bench.clock.advance(timedelta(minutes=5))
    assert await bench.unknown_payments() == {"resolved": 1, "stuck": 0}
    (payment,) = await bench.payments()
    assert payment.state is (PaymentState.SUCCEEDED if after_work else PaymentState.FAILED)
    assert (await bench.invoice(invoice.id)).state is (InvoiceState.PAID if after_work else InvoiceState.OPEN)
    assert await bench.unknown_payments() == {"resolved": 0, "stuck": 0}
    if not after_work:
        assert (await charged(bench, invoice, method)).state is PaymentState.SUCCEEDED


async def test_a_provider_that_cannot_tell_is_asked_again_later_and_then_a_person_looks(bench: Bench) -> None:
    """After five minutes, an hour, then daily for thirty days."""
    method = await kept(bench)
    bench.fake.fail_next(UNANSWERED, after_work=True)
    await charged(bench, await bench.open_invoice(), method)
    asked: list[timedelta] = []
    begun = bench.clock.now()

    async def later() -> None:
        asked.append(bench.clock.now() - begun)
        raise RetryLater("Its search lags behind.")

    bench.between.before["find_payment"] = later
    stuck = 0
    for _ in range(30 * 24 * 4 + 4):
        bench.clock.advance(timedelta(minutes=15))
        stuck = (await bench.unknown_payments())["stuck"]
    assert asked[:3] == [timedelta(minutes=15), timedelta(hours=1), timedelta(hours=25)]
    assert (len(asked), stuck) == (31, 1)
    assert (await bench.payments())[0].state is PaymentState.UNKNOWN


async def test_a_crash_between_the_charge_and_its_answer_is_looked_up_too(bench: Bench) -> None:
    """The row was written first; nobody noted that there was no answer."""
    invoice = await bench.open_invoice()
    method = await kept(bench)

    async def crash() -> None:
        raise KeyboardInterrupt

    bench.between.after["charge"] = crash
    with pytest.raises(KeyboardInterrupt):
        await charged(bench, invoice, method)
    assert [one.state for one in await bench.payments()] == [PaymentState.PENDING]
    bench.clock.advance(timedelta(minutes=5))
    assert await bench.unknown_payments() == {"resolved": 1, "stuck": 0}
    assert (await bench.invoice(invoice.id)).state is InvoiceState.PAID


async def test_a_failure_that_is_told_before_the_answer_decides_it(bench: Bench) -> None:
    """The webhook is quicker, and the hub dies before the answer: the next charge need not wait for a look-up."""
    invoice = await bench.open_invoice()
    method = await kept(bench, declines=True)

    async def webhook_and_crash() -> None:
        await bench.webhook(bench.fake.events[-1])
        await bench.handle()
        raise KeyboardInterrupt

    bench.between.after["charge"] = webhook_and_crash
    with pytest.raises(KeyboardInterrupt):
        await charged(bench, invoice, method)
    bench.between.after.clear()
    assert [(one.state, one.waits_for_answer) for one in await bench.payments()] == [(PaymentState.FAILED, False)]
    assert (await charged(bench, invoice)).state is PaymentState.SUCCEEDED


async def test_a_provider_that_was_not_reached_charged_nothing(bench: Bench) -> None:
    """It is refused, and counts as no try of the payer's."""
    invoice = await bench.open_invoice()
    method = await kept(bench)
    bench.fake.fail_next(RetryLater("Too many."))
    with pytest.raises(ProviderUnavailable):
        await charged(bench, invoice, method)
    assert [one.state for one in await bench.payments()] == [PaymentState.CANCELED]
    assert await bench.told() == []
    assert (await charged(bench, invoice, method)).state is PaymentState.SUCCEEDED


async def test_a_method_that_asks_for_its_owner_has_failed(bench: Bench) -> None:
    """And cannot be confirmed later beside the next charge."""
    invoice = await bench.open_invoice()
    method = await kept(bench)

    async def ask() -> None:
        (reference,) = bench.fake.intents
        waiting = attrs.evolve(bench.fake.intents[reference], state=IntentState.WAITING, raw_status="requires_action")
        bench.fake.intents[reference] = waiting

    charge = bench.fake.charge

    async def asking(*args: object, **kwargs: object) -> object:
        await charge(*args, **kwargs)  # type: ignore[arg-type]
        await ask()
        return next(iter(bench.fake.intents.values()))

    bench.fake.charge = asking  # type: ignore[assignment, method-assign]
    payment = await charged(bench, invoice, method)
    assert (payment.state, "themselves" in (payment.attempts[0].failure or "")) == (PaymentState.FAILED, True)
    assert [one.raw_status for one in bench.fake.intents.values()] == ["canceled"]


async def test_an_open_page_is_closed_before_the_charge(bench: Bench) -> None:
    """Else the client could pay by the link what is being charged."""
    invoice = await bench.open_invoice()
    reference = await bench.opened_page(invoice)
    payment = await charged(bench, invoice)
    assert payment.state is PaymentState.SUCCEEDED
    assert bench.fake.checkouts[reference].state.value == "expired"


async def test_a_page_that_was_paid_a_moment_ago_is_noticed(bench: Bench) -> None:
    """Its webhook is on its way; nothing is charged."""
    invoice = await bench.open_invoice()
    reference = await bench.opened_page(invoice)
    bench.fake.pay(reference)
    with pytest.raises(Conflict, match="already paid"):
        await charged(bench, invoice)
    assert (await bench.invoice(invoice.id)).paid == 10_000


async def test_a_page_that_cannot_be_closed_keeps_the_charge_from_being_made(bench: Bench) -> None:
    """Better late than twice."""
    invoice = await bench.open_invoice()
    await bench.opened_page(invoice)
    method = await kept(bench)
    bench.fake.fail_next(RetryLater("away"))
    with pytest.raises(ProviderUnavailable, match="nothing was charged"):
        await charged(bench, invoice, method)
    assert bench.fake.intents == {}


async def test_two_charges_at_once_charge_once(bench: Bench) -> None:
    """The scheduler on two nodes, and a person's click."""
    invoice = await bench.open_invoice()
    method = await kept(bench)
    answers = await asyncio.gather(*(charged(bench, invoice, method) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(one, Payment) for one in answers) == 1
    assert sum(isinstance(one, Conflict) for one in answers) == 2
    assert len(bench.fake.intents) == 1
