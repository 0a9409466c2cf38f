"""Providers whose webhooks are hints, or that know no keys: everything is asked for, compared, and found without a webhook."""

from datetime import timedelta

import attrs
import pytest

from application.connections.connect import ProviderUnavailable
from application.ports.payments import Intent, RetryLater
from domain.billing.conflicts import ConflictKind
from domain.billing.invoices import InvoiceState
from domain.billing.links import CheckoutState
from domain.billing.payments import PaymentState, RefundState
from domain.money import Currency, Money
from tests.unit.application.bench import Bench

USD = Currency("USD")


@pytest.fixture
async def keyless(bench: Bench) -> Bench:
    """Its provider knows no keys, tells nothing of unpaid pages, and lists no events."""
    bench.fake.keyless = True
    bench.fake.key_life = None
    return bench


async def paid(bench: Bench, amount: Money) -> tuple[str, str]:
    """An invoice over 100 USD and the payment that came by its page, of that amount."""
    invoice = await bench.open_invoice()
    page = bench.fake.pay(await bench.opened_page(invoice), amount)
    await bench.settle.intent(bench.org, bench.connection.id, page.intent_reference or "")
    return invoice.id, page.intent_reference or ""


async def test_a_page_is_known_by_our_own_id_where_the_provider_calls_it_so(keyless: Bench) -> None:
    """Its metadata may be lost on the way: the reference is ours."""
    invoice = await keyless.open_invoice()
    reference = await keyless.opened_page(invoice)
    assert [one.id for one in await keyless.checkouts()] == [reference]
    page = keyless.fake.pay(reference)
    keyless.fake.checkouts[reference] = attrs.evolve(page, metadata={})
    intent: Intent = keyless.fake.intents[page.intent_reference or ""]
    keyless.fake.intents[intent.reference] = attrs.evolve(intent, metadata={})
    assert await keyless.settle.checkout(keyless.org, keyless.connection.id, reference)
    assert (await keyless.invoice(invoice.id)).state is InvoiceState.PAID


async def test_too_little_is_counted_and_named(keyless: Bench) -> None:
    """A bank transfer of 60 for 100: the invoice is partly paid, and somebody sees why."""
    invoice_id, _ = await paid(keyless, Money(6_000, USD))
    (payment,) = await keyless.payments()
    assert (payment.state, payment.conflict_kind) == (PaymentState.CONFLICTED, ConflictKind.UNDERPAID)
    left = await keyless.invoice(invoice_id)
    assert (left.state, left.amount_due) == (InvoiceState.PARTLY_PAID, Money(4_000, USD))


async def test_too_much_pays_the_invoice_and_is_named(keyless: Bench) -> None:
    """What is too much is the client's; a person sends it back or keeps it."""
    invoice_id, _ = await paid(keyless, Money(15_000, USD))
    (payment,) = await keyless.payments()
    assert (payment.state, payment.conflict_kind) == (PaymentState.CONFLICTED, ConflictKind.OVERPAID)
    settled = await keyless.invoice(invoice_id)
    assert (settled.state, settled.overpaid) == (InvoiceState.PAID, Money(5_000, USD))
    assert await keyless.told() == ["payment.received", "payment.conflicted", "invoice.paid"]


async def test_a_webhook_that_never_comes_is_made_up_for_by_asking(bench: Bench) -> None:
    """Mobile money is confirmed minutes later, without a redirect and without a webhook."""
    plain = bench.providers.plain
    plain.keyless, plain.late = True, True
    connection = await bench.connect(bench.org, provider="plain")
    invoice = await bench.open_invoice()
    link = await bench.link(bench.caller, invoice_id=invoice.id, provider="plain")
    await bench.follow(link.link.token)
    (reference,) = plain.checkouts
    page = plain.pay(reference)
    bench.poll_pages._providers = Unlisted(bench)  # type: ignore[assignment]
    bench.clock.advance(timedelta(minutes=5))
    assert await bench.poll_pages() == {"looked": 1}
    assert [one.state for one in await bench.payments()] == [PaymentState.PENDING]
    assert await bench.poll_pages() == {"looked": 0}
    plain.confirm(page.intent_reference or "")
    bench.clock.advance(timedelta(minutes=10))
    await bench.poll_pages()
    assert (await bench.invoice(invoice.id)).state is InvoiceState.PAID
    assert (await bench.payments())[0].connection_id == connection.id


class Unlisted:
    """Providers of which none lists its events."""

    def __init__(self, bench: Bench) -> None:
        self._providers = bench.providers

    def payments(self, slug: str) -> object:
        """One of the fakes, without its list."""
        return WithoutList(self._providers.payments(slug))


class WithoutList:
    """A payment provider, except for its list of events."""

    def __init__(self, provider: object) -> None:
        self._provider = provider

    def __getattr__(self, name: str) -> object:
        if name.startswith("events"):
            raise AttributeError(name)
        return getattr(self._provider, name)


async def test_a_page_that_nobody_paid_on_is_looked_at_less_and_less_and_then_given_up(bench: Bench) -> None:
    """A few calls a page, not a call a minute for ever."""
    await bench.opened_page(await bench.open_invoice())
    bench.poll_pages._providers = Unlisted(bench)  # type: ignore[assignment]
    looked = 0
    for _ in range(6 * 24 * 12):
        bench.clock.advance(timedelta(minutes=5))
        looked += (await bench.poll_pages())["looked"]
    assert 10 < looked < 60
    assert [one.state for one in await bench.checkouts()] == [CheckoutState.EXPIRED]


async def test_a_page_whose_opening_was_cut_off_and_was_paid_is_found(bench: Bench) -> None:
    """The payer had a second window; no reference is known here, and its webhook was lost."""
    invoice = await bench.open_invoice()
    link = await bench.linked(invoice)
    await bench.cut_off("create_checkout", lambda: bench.follow(link.token))
    (reference,) = bench.fake.checkouts
    bench.fake.pay(reference)
    bench.clock.advance(timedelta(minutes=5))
    assert await bench.poll_pages() == {"looked": 1}
    assert (await bench.invoice(invoice.id)).state is InvoiceState.PAID
    assert [one.state for one in await bench.checkouts()] == [CheckoutState.COMPLETE]


async def test_a_refund_is_never_sent_a_second_time_without_looking(keyless: Bench) -> None:
    """The provider knows no keys: sending it again would send the money twice."""
    _, payment = await keyless.paid()
    await keyless.cut_off("refund", lambda: keyless.refund(keyless.caller, payment.id, amount="60"))
    assert [one.state for one in await keyless.refunds()] == [RefundState.UNKNOWN]
    keyless.clock.advance(timedelta(minutes=5))
    assert await keyless.resume_refunds() == {"refunds": 1, "stuck": 0}
    assert (await keyless.refunds())[0].state is RefundState.SUCCEEDED
    assert len(keyless.fake.refunds) == 1
    assert keyless.fake.calls.count("refund") == 1


async def test_a_refund_that_was_surely_not_made_is_sent(keyless: Bench) -> None:
    """The provider looked and there is none: it can be asked for."""
    _, payment = await keyless.paid()
    keyless.fake.fail_next(RetryLater("away", may_have_happened=True))
    with pytest.raises(ProviderUnavailable):
        await keyless.refund(keyless.caller, payment.id, amount="60")
    keyless.clock.advance(timedelta(minutes=5))
    assert await keyless.resume_refunds() == {"refunds": 1, "stuck": 0}
    assert keyless.fake.calls[-5:].count("find_refund") == 1
    assert len(keyless.fake.refunds) == 1


async def test_a_refund_of_which_the_provider_cannot_tell_yet_waits(keyless: Bench) -> None:
    """It is looked up after 5 minutes, an hour and daily; nothing is guessed, and after 30 days a person looks."""
    _, payment = await keyless.paid()
    await keyless.cut_off("refund", lambda: keyless.refund(keyless.caller, payment.id, amount="60"))

    async def later() -> None:
        raise RetryLater("Its list lags behind.")

    keyless.between.before["find_refund"] = later
    looks = 0
    for _ in range(31 * 24):
        keyless.clock.advance(timedelta(hours=1))
        before = keyless.fake.calls.count("refund")
        await keyless.resume_refunds()
        looks += keyless.fake.calls.count("refund") - before
    assert looks == 0
    assert await keyless.resume_refunds() == {"refunds": 0, "stuck": 1}
    assert (await keyless.refunds())[0].state is RefundState.UNKNOWN


async def test_a_refund_whose_key_is_forgotten_is_looked_up(bench: Bench) -> None:
    """A day later the provider may have forgotten the key: the same question would be a new one."""
    _, payment = await bench.paid()
    await bench.cut_off("refund", lambda: bench.refund(bench.caller, payment.id, amount="60"))
    assert [one.state for one in await bench.refunds()] == [RefundState.REQUESTED]
    bench.clock.advance(timedelta(days=2))
    await bench.resume_refunds()
    assert "find_refund" in bench.fake.calls
    assert (len(bench.fake.refunds), (await bench.refunds())[0].state) == (1, RefundState.SUCCEEDED)
