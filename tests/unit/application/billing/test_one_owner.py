"""An invoice can be paid in several ways at once; whatever comes first must end the others."""

import attrs

from application.connections.manage import Disconnect
from domain.billing.invoices import InvoiceState
from domain.billing.links import CheckoutState
from domain.billing.payments import PaymentState
from domain.connections.connection import ConnectionState
from tests.unit.application.bench import Bench


def disconnect(bench: Bench) -> Disconnect:
    return Disconnect(bench.store, bench.tell, bench.clock, bench.vault, bench.providers, bench.close, bench.settle)


async def test_two_connections_to_one_account_record_a_payment_once(bench: Bench) -> None:
    """Both are told of it by the provider; the money came once."""
    invoice = await bench.open_invoice()
    reference = await bench.opened_page(invoice)
    second = await bench.connect(bench.org, secrets={"secret_key": f"key of {bench.org}", "webhook_secret": "other"})
    bench.fake.pay(reference)
    await bench.settle.checkout(bench.org, bench.connection.id, reference)
    await bench.settle.checkout(bench.org, second.id, reference)
    assert (await bench.invoice(invoice.id)).paid == 10_000
    assert (await bench.told()).count("payment.received") == 1


async def test_a_started_payment_is_handed_out_again(bench: Bench) -> None:
    """Two that wait beside each other could both be made."""
    invoice = await bench.open_invoice()
    first = await bench.start(bench.caller, provider="fake", invoice_id=invoice.id)
    again = await bench.start(bench.caller, provider="fake", invoice_id=invoice.id)
    assert again.payment.id == first.payment.id
    assert len(bench.fake.intents) == 1


async def test_a_started_payment_makes_a_draft_final(bench: Bench) -> None:
    """What is being paid must not change meanwhile."""
    invoice = bench.make.invoice(bench.org)
    await bench.add("invoices", invoice)
    await bench.start(bench.caller, provider="fake", invoice_id=invoice.id)
    assert (await bench.invoice(invoice.id)).state is InvoiceState.OPEN


async def test_a_void_invoice_cancels_the_payment_that_was_started(bench: Bench) -> None:
    """Nobody pays what was withdrawn."""
    invoice = await bench.open_invoice()
    started = await bench.start(bench.caller, provider="fake", invoice_id=invoice.id)
    await bench.void_invoice(bench.caller, invoice.id)
    (payment,) = await bench.payments()
    assert payment.state is PaymentState.CANCELED
    assert bench.fake.intents[started.intent.reference].raw_status == "canceled"


async def test_paying_on_the_hosted_page_cancels_the_payment_that_was_started(bench: Bench) -> None:
    """One owner of the settlement: the invoice is paid once."""
    invoice = await bench.open_invoice()
    await bench.start(bench.caller, provider="fake", invoice_id=invoice.id)
    reference = await bench.opened_page(invoice)
    bench.fake.pay(reference)
    await bench.settle.checkout(bench.org, bench.connection.id, reference)
    assert sorted(p.state.value for p in await bench.payments()) == ["canceled", "succeeded"]
    assert (await bench.invoice(invoice.id)).overpaid.amount == 0


async def test_disconnecting_closes_pages_and_ends_the_webhook(bench: Bench) -> None:
    """Afterwards nobody can: the key is gone."""
    async with bench.store.of(bench.org) as work:
        await work.connections.save(attrs.evolve(bench.connection, webhook_reference="hook_1"))
        await work.commit()
    reference = await bench.opened_page(await bench.open_invoice())
    gone = await disconnect(bench)(bench.caller, bench.connection.id)
    assert gone.state is ConnectionState.DISCONNECTED
    assert bench.fake.checkouts[reference].state.value == CheckoutState.EXPIRED.value
    assert "remove_webhook" in bench.fake.calls


async def test_money_that_came_before_disconnecting_is_noted(bench: Bench) -> None:
    """Its webhook may still be on its way when the key is forgotten."""
    invoice = await bench.open_invoice()
    reference = await bench.opened_page(invoice)
    bench.fake.pay(reference)
    await disconnect(bench)(bench.caller, bench.connection.id)
    assert (await bench.invoice(invoice.id)).state is InvoiceState.PAID


async def test_a_payment_is_refunded_through_a_later_connection_to_the_same_account(bench: Bench) -> None:
    """Reconnecting is what a person does when a key was rotated."""
    async with bench.store.of(bench.org) as work:
        await work.connections.save(attrs.evolve(bench.connection, account="The shop"))
        await work.commit()
    invoice = await bench.open_invoice()
    reference = await bench.opened_page(invoice)
    bench.fake.pay(reference)
    await bench.settle.checkout(bench.org, bench.connection.id, reference)
    await disconnect(bench)(bench.caller, bench.connection.id)
    later = await bench.connect(bench.org)
    async with bench.store.of(bench.org) as work:
        await work.connections.save(attrs.evolve(later, account="The shop"))
        await work.commit()
    (payment,) = await bench.payments()
    refund = await bench.refund(bench.caller, payment.id, amount=None)
    assert refund.state.value == "succeeded"
