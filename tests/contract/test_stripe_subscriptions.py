"""Subscriptions at Stripe, beyond what every provider must do: over its sandbox."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from application.ports.payments import ProviderRefused
from application.ports.recurring import SubscriptionStanding
from domain.billing.plans import Interval
from domain.money import Money
from tests.contract.stripe_billing_calls import PAGES
from tests.contract.stripe_shop import ACCESS, USD, Shop, opened


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    """A fresh one."""
    async with opened() as shop:
        yield shop


async def test_a_dearer_plan_is_charged_for_the_rest_of_the_period(shop: Shop) -> None:
    """As it was previewed, to the second; 15 of November's 30 days are left."""
    cheap, dear = await shop.plan("100.00"), await shop.plan("200.00")
    of = await shop.subscribed(cheap)
    assert of.period_end == datetime(2026, 12, 1, tzinfo=UTC)
    at = shop.stage.clock.now() + timedelta(days=15)
    shop.stage.clock.advance(timedelta(days=15))
    told = await shop.stripe.preview_change(ACCESS, of.reference, plan_reference=dear, quantity=3, at=at)
    assert (told.credit, told.charge, told.due_now) == (Money(-10000, USD), Money(30000, USD), Money(20000, USD))
    assert (told.next_total, told.next_at) == (Money(60000, USD), of.period_end)
    now = await shop.stripe.change_subscription(
        ACCESS, of.reference, plan_reference=dear, quantity=3, prorate=True, at=at, key="k"
    )
    assert (now.plan_reference, now.quantity, now.period_end) == (dear, 3, of.period_end)
    first, change = await shop.stripe.renewals_of(ACCESS, of.reference)
    assert (first.total, change.total, change.paid) == (Money(20000, USD), Money(20000, USD), True)


async def test_a_cheaper_plan_leaves_credit_for_the_next_bill(shop: Shop) -> None:
    """Nothing is paid back, and the next bill asks for less."""
    cheap, dear = await shop.plan("100.00"), await shop.plan("200.00")
    of = await shop.subscribed(dear)
    shop.stage.clock.advance(timedelta(days=15))
    at = shop.stage.clock.now()
    told = await shop.stripe.preview_change(ACCESS, of.reference, plan_reference=cheap, quantity=2, at=at)
    assert (told.due_now, told.credit + told.charge) == (Money.zero(USD), Money(-10000, USD))
    await shop.stripe.change_subscription(
        ACCESS, of.reference, plan_reference=cheap, quantity=2, prorate=True, at=at, key="k"
    )
    await shop.stage.control(f"subscriptions/{of.reference}/renew")
    bills = await shop.stripe.renewals_of(ACCESS, of.reference)
    assert [bill.total for bill in bills] == [Money(40000, USD), Money(10000, USD)]


async def test_a_change_without_proration_costs_nothing_now(shop: Shop) -> None:
    """The new price begins with the next period; another interval begins a new period at once, which is charged whole."""
    cheap, dear = await shop.plan("100.00"), await shop.plan("200.00")
    yearly = await shop.plan("900.00", interval=Interval.YEAR)
    of = await shop.subscribed(cheap)
    at = shop.stage.clock.now()
    for plan, bills in ((dear, 1), (yearly, 2)):
        await shop.stripe.change_subscription(
            ACCESS, of.reference, plan_reference=plan, quantity=2, prorate=False, at=at, key=plan
        )
        assert len(await shop.stripe.renewals_of(ACCESS, of.reference)) == bills
    assert (await shop.now(of)).period_end == datetime(2027, 11, 1, tzinfo=UTC)


async def test_a_change_that_cannot_be_paid_is_not_made(shop: Shop) -> None:
    """Nobody gets the dearer plan for the cheaper price."""
    cheap, dear = await shop.plan("100.00"), await shop.plan("200.00")
    of = await shop.subscribed(cheap)
    bad = await shop.stage.control(f"customers/{of.customer_reference}/methods", card="4000000000000341")
    await shop.stripe.set_default_method(ACCESS, str(of.customer_reference), bad["id"])
    with pytest.raises(ProviderRefused) as refused:
        await shop.stripe.change_subscription(
            ACCESS, of.reference, plan_reference=dear, quantity=2, prorate=True, at=shop.stage.clock.now(), key="k"
        )
    assert "declin" in refused.value.code
    assert (await shop.now(of)).plan_reference == cheap
    assert len(await shop.stripe.renewals_of(ACCESS, of.reference)) == 1


async def test_a_trial_is_free_and_then_it_is_not(shop: Shop) -> None:
    """No bill of ours comes of the free part."""
    of = await shop.subscribed(await shop.plan(), trial_days=14)
    assert (of.standing, of.trial_ends_at) == (
        SubscriptionStanding.TRIALING,
        shop.stage.clock.now() + timedelta(days=14),
    )
    assert await shop.stripe.renewals_of(ACCESS, of.reference) == ()
    shop.stage.clock.advance(timedelta(days=14))
    now = await shop.now(of)
    assert (now.standing, now.period_end) == (SubscriptionStanding.ACTIVE, datetime(2026, 12, 15, tzinfo=UTC))
    (bill,) = await shop.stripe.renewals_of(ACCESS, of.reference)
    assert (bill.total, bill.paid, bill.period_start) == (Money(25000, USD), True, of.trial_ends_at)


async def test_renewals_come_by_themselves_as_time_goes_by(shop: Shop) -> None:
    """On the same day of each month, and on the last one where there is none."""
    shop.stage.clock.advance(timedelta(days=60))
    of = await shop.subscribed(await shop.plan())
    assert shop.stage.clock.now() == datetime(2026, 12, 31, tzinfo=UTC)
    shop.stage.clock.advance(timedelta(days=100))
    now = await shop.now(of)
    assert (now.period_start, now.period_end) == (datetime(2027, 3, 31, tzinfo=UTC), datetime(2027, 4, 30, tzinfo=UTC))
    starts = [bill.period_start.date().isoformat() for bill in await shop.stripe.renewals_of(ACCESS, of.reference)]
    assert starts == ["2026-12-31", "2027-01-31", "2027-02-28", "2027-03-31"]


async def test_a_renewal_that_fails_is_tried_again_and_in_the_end_it_is_over(shop: Shop) -> None:
    """Past due, paid after all; or cancelled after the fourth try. Each try is told once."""
    of = await shop.subscribed(await shop.plan())
    path = f"subscriptions/{of.reference}"
    await shop.stage.control(f"{path}/renew", declined=True)
    assert (await shop.now(of)).standing is SubscriptionStanding.PAST_DUE
    bill = (await shop.stripe.renewals_of(ACCESS, of.reference))[-1]
    assert (bill.paid, bill.tries, bill.next_try_at) == (False, 1, shop.stage.clock.now() + timedelta(days=3))
    assert bill.intent_reference is not None
    assert (await shop.stripe.fetch_intent(ACCESS, bill.intent_reference)).failure
    await shop.stage.control(f"{path}/retry")
    assert (await shop.now(of)).standing is SubscriptionStanding.ACTIVE
    assert (await shop.stripe.renewals_of(ACCESS, of.reference))[-1].paid
    await shop.stage.control(f"{path}/renew", declined=True)
    for _ in range(3):
        await shop.stage.control(f"{path}/retry", declined=True)
    ended = await shop.now(of)
    assert (ended.standing, ended.ended_at) == (SubscriptionStanding.CANCELED, shop.stage.clock.now())
    told = await shop.types()
    assert told.count("invoice.payment_failed") == told.count("payment_intent.payment_failed") == 5
    assert told.count("customer.subscription.deleted") == 1


async def test_an_end_set_for_later_comes(shop: Shop) -> None:
    """What was paid for is used up first."""
    of = await shop.subscribed(await shop.plan())
    ending = await shop.stripe.cancel_subscription(ACCESS, of.reference, at_period_end=True, reason="Why", key="k")
    assert (ending.cancel_at, ending.standing) == (of.period_end, SubscriptionStanding.ACTIVE)
    shop.stage.clock.advance(timedelta(days=30))
    assert (await shop.now(of)).standing is SubscriptionStanding.CANCELED
    assert len(await shop.stripe.renewals_of(ACCESS, of.reference)) == 1
    for call in (
        shop.stripe.keep_subscription(ACCESS, of.reference, key="keep"),
        shop.stripe.pause_subscription(ACCESS, of.reference, reason="", key="pause"),
    ):
        with pytest.raises(ProviderRefused) as refused:
            await call
        assert not refused.value.missing


async def test_nothing_is_collected_during_a_pause(shop: Shop) -> None:
    """The period goes on, and its bill is void; afterwards it is charged as before."""
    of = await shop.subscribed(await shop.plan())
    await shop.stripe.pause_subscription(ACCESS, of.reference, reason="Holidays", key="p")
    shop.stage.clock.advance(timedelta(days=30))
    now = await shop.now(of)
    assert (now.standing, now.period_start) == (SubscriptionStanding.PAUSED, of.period_end)
    assert len(await shop.stripe.renewals_of(ACCESS, of.reference)) == 1
    await shop.stripe.unpause_subscription(ACCESS, of.reference, reason="Back", key="u")
    shop.stage.clock.advance(timedelta(days=31))
    assert (await shop.now(of)).standing is SubscriptionStanding.ACTIVE
    assert len(await shop.stripe.renewals_of(ACCESS, of.reference)) == 2


async def test_a_customer_deleted_at_stripe_ends_what_they_had(shop: Shop) -> None:
    """And the next page for them is refused as missing, so that a new customer is made."""
    of = await shop.subscribed(await shop.plan())
    await shop.stage.api("DELETE", f"/v1/customers/{of.customer_reference}")
    assert (await shop.now(of)).standing is SubscriptionStanding.CANCELED
    with pytest.raises(ProviderRefused) as refused:
        await shop.stripe.create_intent(ACCESS, Money(500, USD), key="i", customer_reference=of.customer_reference)
    assert (refused.value.missing, refused.value.field) == (True, "customer")


async def test_the_default_method_is_what_subscriptions_are_charged_to(shop: Shop) -> None:
    """A page gives a subscription a method of its own, which would go on being charged."""
    of = await shop.subscribed(await shop.plan())
    payer = str(of.customer_reference)
    new = (await shop.stage.control(f"customers/{payer}/methods", card="5555555555554444"))["id"]
    await shop.stripe.set_default_method(ACCESS, payer, new)
    await shop.stage.control(f"subscriptions/{of.reference}/renew")
    charges = (await shop.stage.api("GET", "/v1/charges")).json()["data"]
    assert charges[0]["payment_method"] == new
    other = await shop.stripe.ensure_customer(ACCESS, our_reference="c2", email=None, name=None, key="c2")
    with pytest.raises(ProviderRefused):
        await shop.stripe.set_default_method(ACCESS, other.reference, new)
    await shop.stripe.detach_method(ACCESS, other.reference, new)
    assert new in {one.reference for one in await shop.stripe.methods_of(ACCESS, payer)}


async def test_the_page_of_a_subscription_says_what_comes_after(shop: Shop) -> None:
    """As a person sees it; a card that its bank asks about works too."""
    plan = await shop.plan("125.00", interval=Interval.WEEK, count=2)
    form = {"mode": "subscription", "line_items[0][price]": plan, "line_items[0][quantity]": "1", **PAGES}
    session = (await shop.stage.api("POST", "/v1/checkout/sessions", **form)).json()
    page = await shop.stage.http.get(session["url"])
    assert "Subscribe to Sandbox shop" in page.text
    assert "Then $125.00 every 2 weeks, until it is cancelled." in page.text
    typed = {"email": "pat@example.com", "card": "4000002500003155", "expiry": "12/34", "cvc": "123", "name": "Pat"}
    asked = await shop.stage.http.post(session["url"], data=typed)
    assert (asked.status_code, "/c/authenticate/pi_" in asked.headers["location"]) == (303, True)
    done = await shop.stage.http.post(f"{shop.stage.url}{asked.headers['location']}", data={"answer": "complete"})
    assert done.headers["location"] == PAGES["success_url"]
    now = (await shop.stage.api("GET", f"/v1/checkout/sessions/{session['id']}")).json()
    assert (now["status"], now["payment_status"], bool(now["subscription"])) == ("complete", "paid", True)


async def test_the_events_of_a_beginning_are_told(shop: Shop) -> None:
    """In the order in which they happen at Stripe; the hub takes them in any."""
    await shop.subscribed(await shop.plan())
    told = [name for name in await shop.types() if name not in ("product.created", "price.created")]
    assert told == [
        "customer.created",
        "payment_intent.created",
        "payment_method.attached",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.created",
        "invoice.finalized",
        "customer.subscription.created",
        "invoice.paid",
        "invoice.payment_succeeded",
        "checkout.session.completed",
    ]
