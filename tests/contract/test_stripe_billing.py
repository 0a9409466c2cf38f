"""Payers, payouts, bills and books at Stripe, beyond what every provider must do: over its sandbox."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import attrs
import pytest

from adapters.providers.stripe.payments import StripePayments
from application.ports.payments import IntentState, ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.payouts import PayoutOrder, PayoutStanding
from application.ports.provider_invoices import ProviderInvoiceOrder
from application.ports.settlements import Movement
from domain.billing.lines import Discount, Line, Tax
from domain.billing.totals import reckon
from domain.money import Money
from domain.refusals import Invalid
from tests.contract.payments.rig import METADATA
from tests.contract.stripe_sandbox import KEY
from tests.contract.stripe_shop import ACCESS, USD, Shop, opened


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    """A fresh one."""
    async with opened() as shop:
        yield shop


@pytest.mark.parametrize("lags", [True, False])
async def test_what_was_asked_for_is_found_before_stripe_s_search_knows_it(shop: Shop, lags: bool) -> None:
    """It may be an hour behind; to believe it would be to charge twice."""
    await shop.stage.control("search", key=KEY, lags=lags)
    payer = await shop.stripe.ensure_customer(ACCESS, our_reference="c'1\"", email="a@b.example", name=None, key="c")
    for number in range(120):
        await shop.stripe.create_intent(ACCESS, Money(500 + number, USD), key=f"k'{number}\"")
    found = await shop.stripe.find_payment(ACCESS, "k'0\"")
    assert found is not None
    assert found.amount == Money(500, USD)
    assert "patchbay_key" not in found.metadata
    assert await shop.stripe.find_payment(ACCESS, "k") is None
    same = await shop.stripe.find_customer(ACCESS, our_reference="c'1\"", email="a@b.example")
    assert same == payer
    elsewhere = await shop.stripe.find_customer(ACCESS, our_reference="c'1\"", email="new@b.example")
    assert elsewhere == (None if lags else payer)


async def test_a_charge_that_needs_its_payer_fails_while_they_are_away(shop: Shop) -> None:
    """The bank wants to ask them something; it is a decline with that reason, under its own key."""
    payer = await shop.stripe.ensure_customer(ACCESS, our_reference="c1", email=None, name=None, key="c")
    kept = await shop.stage.control(f"customers/{payer.reference}/methods", card="4000002500003155")
    charged = [
        await shop.stripe.charge(
            ACCESS,
            Money(500, USD),
            method=kept["id"],
            customer_reference=payer.reference,
            customer_email=None,
            key="k",
            metadata=METADATA,
        )
        for _ in range(2)
    ]
    assert charged[0] == charged[1]
    assert (charged[0].state, charged[0].metadata) == (IntentState.FAILED, METADATA)
    found = await shop.stripe.find_payment(ACCESS, "k")
    assert found is not None
    assert (found.reference, found.state) == (charged[0].reference, IntentState.FAILED)


async def test_a_dispute_is_told_until_it_is_won(shop: Shop) -> None:
    """What the bank holds cannot be refunded; a fee of the bank's comes with it."""
    made = await shop.stripe.create_intent(ACCESS, Money(5000, USD), key="i")
    paid = await shop.stripe.confirm_intent(ACCESS, made.reference, method="pm_card_visa", key="c")
    assert (paid.fee, paid.disputed) == (Money(175, USD), None)
    dispute = await shop.stage.control(f"intents/{made.reference}/dispute")
    held = await shop.stripe.fetch_intent(ACCESS, made.reference)
    assert (held.disputed, held.received, held.state) == (Money(5000, USD), Money(5000, USD), IntentState.SUCCEEDED)
    with pytest.raises(ProviderRefused) as refused:
        await shop.stripe.refund(ACCESS, made.reference, Money(100, USD), key="r")
    assert refused.value.code == "charge_disputed"
    await shop.stage.control(f"disputes/{dispute['id']}/close", won=True)
    assert (await shop.stripe.fetch_intent(ACCESS, made.reference)).disputed == Money.zero(USD)
    lines = [line for line in await shop.listed() if line.movement is Movement.DISPUTE]
    assert [(line.reference, line.amount.amount, line.done) for line in lines] == [
        (dispute["id"], 5000, False),
        (dispute["id"], 5000, True),
    ]
    assert {line.intent_reference for line in lines} == {made.reference}


async def test_the_books_are_listed_to_the_last_page(shop: Shop) -> None:
    """A hundred a page; and together they are the balance, to the cent."""
    paid = []
    for number in range(103):
        made = await shop.stripe.create_intent(ACCESS, Money(5000, USD), key=f"i{number}")
        await shop.stripe.confirm_intent(ACCESS, made.reference, method="pm_card_visa", key=f"c{number}")
        paid.append(made.reference)
    await shop.stripe.refund(ACCESS, paid[0], Money(1000, USD), key="r")
    lines = await shop.listed()
    assert len({line.reference for line in lines}) == len(lines) == 104
    signs = {Movement.PAYMENT: 1, Movement.REFUND: -1}
    sum_ = sum(signs[line.movement] * line.amount.amount - (line.fee.amount if line.fee else 0) for line in lines)
    balance = (await shop.stage.api("GET", "/v1/balance")).json()["available"][0]["amount"]
    assert sum_ == balance == 103 * (5000 - 175) - 1000


async def test_a_list_that_is_refused_says_what_to_do(shop: Shop) -> None:
    """It is read past the SDK, but its errors are the SDK's; a hiccup is asked again at once."""
    await shop.stage.control("top_up", key=KEY, amount=5000, currency="usd")
    await shop.stage.control("faults", status=503)
    assert len(await shop.listed()) == 1
    await shop.stage.control("faults", status=429, retry_after=7, count=2)
    with pytest.raises(RetryLater) as later:
        await shop.listed()
    assert (later.value.after, later.value.may_have_happened) == (timedelta(seconds=7), False)
    await shop.stage.control("keys/revoke", key=KEY)
    with pytest.raises(ReconnectNeeded):
        await shop.listed()


async def test_a_fee_that_comes_later_is_told(shop: Shop) -> None:
    """Stripe captures by itself a moment after the payer saw that it succeeded; an event says when the fee is known."""
    await shop.stage.control("fees", key=KEY, late=True)
    made = await shop.stripe.create_intent(ACCESS, Money(5000, USD), key="i")
    paid = await shop.stripe.confirm_intent(ACCESS, made.reference, method="pm_card_visa", key="c")
    assert (paid.received, paid.fee) == (Money(5000, USD), None)
    assert await shop.listed() == []
    await shop.stage.control("fees", key=KEY, late=False)
    assert (await shop.stripe.fetch_intent(ACCESS, made.reference)).fee == Money(175, USD)
    now = shop.stage.clock.now()
    events = [one.event async for one in shop.stripe.events_between(ACCESS, now, now + timedelta(seconds=1))]
    assert (events[-1].type, events[-1].intent_reference) == ("charge.updated", made.reference)
    assert [line.fee for line in await shop.listed()] == [Money(175, USD)]


async def test_more_than_the_balance_is_not_paid_out(shop: Shop) -> None:
    """And what the bank sent back is there again."""
    order = PayoutOrder(Money(5000, USD), {}, "Week 12", "payout_1")
    with pytest.raises(ProviderRefused) as refused:
        await shop.stripe.create_payout(ACCESS, order, key="k")
    assert refused.value.code == "balance_insufficient"
    assert await shop.stripe.find_payout(ACCESS, "k") is None
    await shop.stage.control("top_up", key=KEY, amount=5000, currency="usd")
    sent = await shop.stripe.create_payout(ACCESS, order, key="k2")
    assert (sent.standing, sent.fee) == (PayoutStanding.PENDING, None)
    with pytest.raises(ProviderRefused):
        await shop.stripe.create_payout(ACCESS, order, key="k3")
    shop.stage.clock.advance(timedelta(minutes=1))
    assert (await shop.stripe.fetch_payout(ACCESS, sent.reference)).standing is PayoutStanding.PAID
    await shop.stage.control(f"payouts/{sent.reference}/settle", status="failed")
    failed = await shop.stripe.fetch_payout(ACCESS, sent.reference)
    assert (failed.standing, bool(failed.failure)) == (PayoutStanding.FAILED, True)
    await shop.stripe.create_payout(ACCESS, order, key="k4")


@pytest.mark.parametrize(
    ("amount", "destination", "field"),
    [
        (Money.of("0", "USD"), {}, "amount"),
        (Money.of("10.50", "HUF"), {}, "amount"),
        (Money.of("10", "KPW"), {}, "currency"),
        (Money.of("10", "USD"), {"iban": "DE1"}, "destination.iban"),
    ],
)
def test_what_stripe_cannot_pay_out_is_named(amount: Money, destination: dict[str, str], field: str) -> None:
    """Before anything is written down."""
    with pytest.raises(Invalid) as invalid:
        StripePayments().check_payout(PayoutOrder(amount, destination, "", "payout_1"))
    assert [fault.field for fault in invalid.value.faults] == [field]


async def test_an_invoice_at_stripe_asks_for_what_ours_does(shop: Shop) -> None:
    """To the cent, with discounts and taxes; its payment carries what says whose it is."""
    lines = (
        Line("Care", 3, Money.of("33.33", "USD"), Tax("VAT", 1950), Discount(percent=1000)),
        Line("Setup", 1, Money.of("19.99", "USD"), Tax("VAT", 1950)),
        Line("Book", 1, Money.of("10.70", "USD"), Tax("Reduced", 700, included=True)),
    )
    order = ProviderInvoiceOrder(
        USD,
        lines,
        None,
        "in@example.com",
        "Ina",
        datetime(2026, 12, 1).date(),
        "Thanks",
        "invoice_1",
        "INV-1",
        METADATA,
    )
    made = await shop.stripe.create_invoice(ACCESS, order, key="k")
    assert await shop.stripe.create_invoice(ACCESS, order, key="k") == made
    assert (made.status, bool(made.number), bool(made.url)) == ("open", True, True)
    assert made.intent_reference is not None
    intent = await shop.stripe.fetch_intent(ACCESS, made.intent_reference)
    assert intent.amount == reckon(lines, None, USD).total
    assert intent.metadata == METADATA
    assert (await shop.stripe.send_invoice(ACCESS, made.reference, key="s")).status == "open"
    page = await shop.stage.http.get(str(made.url))
    assert "3 × Care" in page.text
    assert "is paid" in (await shop.stage.http.post(str(made.url))).text
    assert (await shop.stripe.fetch_invoice(ACCESS, made.reference)).status == "paid"
    with pytest.raises(Invalid) as invalid:
        await shop.stripe.create_invoice(ACCESS, attrs.evolve(order, customer_email=None), key="k2")
    assert [fault.field for fault in invalid.value.faults] == ["client.email"]
