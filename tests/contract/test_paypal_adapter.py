"""What is PayPal's own: closing orders, late money, consent, numbers used once, windows of time, certificates."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, final

import attrs
import pytest

from adapters.providers.paypal import sandbox_payouts
from adapters.providers.paypal.payments import PayPalPayments
from application.ports.payments import (
    BadSignature,
    CannotVerify,
    CheckoutState,
    IntentState,
    ProviderRefused,
    ReconnectNeeded,
    RefundState,
    RetryLater,
)
from application.ports.payouts import PayoutOrder, PayoutStanding
from application.ports.recurring import PlanTerms, ProviderSubscription, SubscriptionOrder, SubscriptionStanding
from application.ports.settlements import Movement
from domain.billing.plans import Interval
from domain.ids import make_id
from domain.money import Money
from domain.refusals import Invalid
from tests.contract.event_list import EventListContract, ListRig
from tests.contract.paypal_sandbox import ACCESS, CLIENT, Stage, staged
from tests.contract.stripe_sandbox import Mailbox, served
from tests.contract.test_paypal_specs import order

PRICE = Money.of("125.00", "USD")
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A fresh sandbox."""
    async with staged() as stage:
        yield stage


async def paid(stage: Stage, key: str = "k", amount: Money = PRICE) -> str:
    """A payment that was made; its reference."""
    page = await stage.payments.create_checkout(ACCESS, order(stage, amount), key=key)
    done = await stage.paid(page, key)
    assert done.intent_reference is not None
    return done.intent_reference


async def test_a_closed_order_is_never_captured_though_its_payer_agrees(stage: Stage) -> None:
    """PayPal cannot close an order; the invoice may have been paid elsewhere meanwhile."""
    page = await stage.payments.create_checkout(ACCESS, order(stage, PRICE), key="k")
    await stage.payments.expire_checkout(ACCESS, page.reference)
    await stage.agree(page.reference)
    now = await stage.payments.capture_checkout(ACCESS, page.reference, key="k")
    assert (now.state, now.paid, now.metadata) == (CheckoutState.EXPIRED, False, page.metadata)
    assert stage.sandbox.books_of(CLIENT).captures == {}


async def test_an_order_that_its_payer_agreed_to_can_still_be_closed(stage: Stage) -> None:
    """As long as the money was not taken."""
    page = await stage.payments.create_checkout(ACCESS, order(stage, PRICE), key="k")
    await stage.agree(page.reference)
    assert (await stage.payments.expire_checkout(ACCESS, page.reference)).state is CheckoutState.EXPIRED


async def test_a_page_is_not_handed_out_longer_than_paypal_keeps_the_order(stage: Stage) -> None:
    """A link of ours lives for days; an order some hours, and then it is gone."""
    asked = order(stage, PRICE, expires_at=stage.clock.now() + timedelta(days=30))
    page = await stage.payments.create_checkout(ACCESS, asked, key="k")
    assert page.expires_at == stage.clock.now() + timedelta(hours=3)
    stage.clock.advance(timedelta(hours=3))
    with pytest.raises(ProviderRefused) as refused:
        await stage.payments.fetch_checkout(ACCESS, page.reference)
    assert refused.value.missing


async def test_money_from_a_bank_account_comes_days_later_or_not_at_all(stage: Stage) -> None:
    """Until then it is none."""
    for ending, state, received in (
        ("complete", IntentState.SUCCEEDED, PRICE.amount),
        ("deny", IntentState.FAILED, 0),
    ):
        page = await stage.payments.create_checkout(ACCESS, order(stage, PRICE), key=ending)
        await stage.agree(page.reference, "echeck")
        done = await stage.payments.capture_checkout(ACCESS, page.reference, key=ending)
        assert (done.state, done.paid) == (CheckoutState.COMPLETE, False)
        assert done.intent_reference
        pending = await stage.payments.fetch_intent(ACCESS, done.intent_reference)
        assert (pending.state, pending.received.amount) == (IntentState.PROCESSING, 0)
        await stage.control(f"captures/{done.intent_reference}/{ending}")
        ended = await stage.payments.fetch_intent(ACCESS, done.intent_reference)
        assert (ended.state, ended.received.amount) == (state, received)


async def test_one_invoice_number_is_paid_once_at_paypal_too(stage: Stage) -> None:
    """When PayPal has forgotten the request id, this still stands between a retry and a second payment."""
    await paid(stage, "k")
    stage.sandbox.books_of(CLIENT).answered.clear()
    with pytest.raises(ProviderRefused) as refused:
        await stage.payments.create_checkout(ACCESS, order(stage, PRICE), key="k")
    assert refused.value.code == "DUPLICATE_INVOICE_ID"


async def test_what_the_payer_s_bank_took_back_is_disputed_and_cannot_be_refunded(stage: Stage) -> None:
    """Refunding it would pay twice."""
    reference = await paid(stage)
    await stage.control(f"captures/{reference}/take_back")
    assert (await stage.payments.fetch_intent(ACCESS, reference)).disputed == PRICE
    with pytest.raises(ProviderRefused) as refused:
        await stage.payments.refund(ACCESS, reference, PRICE, key="r")
    assert refused.value.code == "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK"


async def test_a_key_that_was_never_paid_with_is_known_for_that_after_a_day(stage: Stage) -> None:
    """Its own time says when it was made; before that PayPal may not have listed it yet, and nothing is guessed."""
    at = stage.clock.now()
    for age, known in ((timedelta(hours=23), False), (timedelta(hours=25), True)):
        key = make_id("checkout", int((at - age).timestamp() * 1000), b"0123456789")
        if known:
            assert await stage.payments.find_payment(ACCESS, key) is None
        else:
            with pytest.raises(RetryLater):
                await stage.payments.find_payment(ACCESS, key)
    with pytest.raises(RetryLater):
        await stage.payments.find_payment(ACCESS, "no id")


async def test_a_payment_of_long_ago_is_found_by_its_key(stage: Stage) -> None:
    """The list is read from the moment on that the key was made, however many windows that takes."""
    key = make_id("checkout", int(stage.clock.now().timestamp() * 1000), b"0123456789")
    reference = await paid(stage, key)
    stage.clock.advance(timedelta(days=100))
    found = await stage.payments.find_payment(ACCESS, key)
    assert found is not None
    assert found.reference == reference


async def test_without_transaction_search_nothing_is_taken_for_unpaid(stage: Stage) -> None:
    """It is a feature that is switched on for an application, or is not."""
    await stage.control("faults", path="/v1/reporting", status=403)
    old = make_id("checkout", int((stage.clock.now() - timedelta(days=9)).timestamp() * 1000), b"0123456789")
    with pytest.raises(RetryLater, match="does not list"):
        await stage.payments.find_payment(ACCESS, old)


async def test_a_payment_on_the_host_s_own_page_has_one_name_from_the_first_to_the_last(stage: Stage) -> None:
    """It begins as an order, is paid as a capture, and is listed as a transaction."""
    started = await stage.payments.create_intent(ACCESS, PRICE, key="i", metadata={"patchbay_payment": "pay_1"})
    await stage.control(f"orders/{started.reference}/approve", funding="good")
    done = await stage.payments.confirm_intent(ACCESS, started.reference, method="paypal", key="i")
    (capture,) = stage.sandbox.books_of(CLIENT).captures
    assert (await stage.payments.fetch_intent(ACCESS, capture)).reference == done.reference == started.reference
    back = await stage.payments.refund(ACCESS, started.reference, Money.of("5", "USD"), key="r")
    assert back.intent_reference == started.reference
    assert (await stage.payments.fetch_intent(ACCESS, started.reference)).refunded == Money.of("5", "USD")
    now = stage.clock.now()
    books = [one async for one in stage.payments.settled_between(ACCESS, now - MINUTE, now + MINUTE)]
    assert [one.reference for one in books if one.movement is Movement.PAYMENT] == [started.reference]
    assert [one.metadata for one in books if one.movement is Movement.PAYMENT] == [{"patchbay_payment": "pay_1"}]
    read = [stage.payments.parse_webhook(json.dumps(e).encode()) for e in stage.sandbox.books_of(CLIENT).events]
    assert {one.intent_reference for one in read if one.object_kind == "intent"} == {started.reference}


# Subscriptions


async def subscribed(stage: Stage, *, trial_days: int = 0, price: str = "9.00", key: str = "s") -> ProviderSubscription:
    """Its payer agreed."""
    terms = PlanTerms("Basic", "", Money.of(price, "USD"), Interval.MONTH, 1, 0, "plan_1")
    plan = await stage.payments.ensure_plan(ACCESS, terms, product=None, key=f"plan-{price}")
    wanted = SubscriptionOrder(
        plan.reference,
        1,
        trial_days,
        None,
        "pat@example.com",
        None,
        "Basic",
        "https://shop.example/in",
        "https://shop.example/out",
        {"patchbay_subscription": "subscription_1"},
    )
    begun = await stage.payments.begin_subscription(ACCESS, wanted, key=key)
    assert begun.url
    await stage.http.post(begun.url, data={"answer": "agree"})
    found = await stage.payments.find_subscription(ACCESS, begun)
    assert found is not None
    return found


async def test_a_trial_is_a_start_that_lies_ahead(stage: Stage) -> None:
    """Nothing is charged before it, and it is told apart from a subscription that is paid for."""
    found = await subscribed(stage, trial_days=14)
    ends = stage.clock.now() + timedelta(days=14)
    assert (found.standing, found.trial_ends_at, found.period_end) == (SubscriptionStanding.TRIALING, ends, ends)
    assert await stage.payments.renewals_of(ACCESS, found.reference) == ()
    stage.clock.advance(timedelta(days=14))
    await stage.control(f"subscriptions/{found.reference}/renew")
    now = await stage.payments.fetch_subscription(ACCESS, found.reference)
    assert (now.standing, now.period_start) == (SubscriptionStanding.ACTIVE, ends)
    (bill,) = await stage.payments.renewals_of(ACCESS, found.reference)
    assert (bill.period_start, bill.period_end) == (ends, now.period_end)


async def test_a_charge_that_failed_makes_it_past_due_and_is_told(stage: Stage) -> None:
    """PayPal has no such word: it counts failures, and suspends after the second."""
    found = await subscribed(stage)
    for tries in (1, 2):
        stage.clock.advance(timedelta(days=31))
        await stage.control(f"subscriptions/{found.reference}/fail")
        now = await stage.payments.fetch_subscription(ACCESS, found.reference)
        assert now.standing is SubscriptionStanding.PAST_DUE
        assert now.raw_status == ("ACTIVE" if tries == 1 else "SUSPENDED")
    bills = await stage.payments.renewals_of(ACCESS, found.reference)
    assert [(bill.paid, bill.tries) for bill in bills] == [(True, 0), (False, 2)]
    assert bills[-1].next_try_at == stage.clock.now() + timedelta(days=5)


async def test_a_charge_that_is_made_at_the_second_try_is_one_bill(stage: Stage) -> None:
    """Else the client would be billed for one month twice, once for each transaction."""
    found = await subscribed(stage)
    stage.clock.advance(timedelta(days=31))
    await stage.control(f"subscriptions/{found.reference}/fail")
    failed = (await stage.payments.renewals_of(ACCESS, found.reference))[-1]
    stage.clock.advance(timedelta(days=5))
    await stage.control(f"subscriptions/{found.reference}/renew")
    bills = await stage.payments.renewals_of(ACCESS, found.reference)
    assert (len(bills), bills[-1].reference, bills[-1].period_start) == (2, failed.reference, failed.period_start)
    assert (failed.paid, failed.intent_reference, bills[-1].paid) == (False, None, True)
    later = await stage.payments.renewals_of(ACCESS, found.reference, stage.clock.now() - MINUTE)
    assert [bill.reference for bill in later] == [failed.reference]


async def test_a_change_of_plan_waits_for_the_payer(stage: Stage) -> None:
    """Until they agree at PayPal, everything is as it was."""
    found = await subscribed(stage)
    dearer = await stage.payments.ensure_plan(
        ACCESS,
        PlanTerms("Basic", "", Money.of("19.00", "USD"), Interval.MONTH, 1, 0, "plan_1"),
        product="PATCHBAY-SUBSCRIPTIONS",
        key="dearer",
    )
    changing = await stage.payments.change_subscription(
        ACCESS,
        found.reference,
        plan_reference=dearer.reference,
        quantity=2,
        prorate=False,
        at=stage.clock.now(),
        key="c",
    )
    assert changing.url
    assert (changing.plan_reference, changing.quantity) == (found.plan_reference, 1)
    await stage.http.post(changing.url, data={"answer": "agree"})
    now = await stage.payments.fetch_subscription(ACCESS, found.reference)
    assert (now.plan_reference, now.quantity, now.url) == (dearer.reference, 2, None)
    await stage.control(f"subscriptions/{found.reference}/renew")
    assert (await stage.payments.renewals_of(ACCESS, found.reference))[-1].total == Money.of("38.00", "USD")


async def test_a_plan_s_product_is_found_again(stage: Stage) -> None:
    """Made by a process that died before it could note it."""
    first = PlanTerms("Basic", "", Money.of("9.00", "USD"), Interval.MONTH, 1, 0, "plan_1")
    made = await stage.payments.ensure_plan(ACCESS, first, product=None, key="one")
    again = await stage.payments.ensure_plan(
        ACCESS, attrs.evolve(first, amount=Money.of("8.00", "EUR")), product=None, key="two"
    )
    assert again.product == made.product
    assert len(stage.sandbox.books_of(CLIENT).products) == 1


async def test_what_paypal_lacks_is_refused_and_not_pretended(stage: Stage) -> None:
    """The manifest says that the hub does these; asking PayPal for them would be a mistake of ours."""
    found = await subscribed(stage)
    with pytest.raises(ProviderRefused, match="at once only"):
        await stage.payments.cancel_subscription(ACCESS, found.reference, at_period_end=True, reason="", key="c")
    with pytest.raises(ProviderRefused, match="takes back no end"):
        await stage.payments.keep_subscription(ACCESS, found.reference, key="k")
    with pytest.raises(ProviderRefused, match="what a change would cost"):
        await stage.payments.preview_change(
            ACCESS, found.reference, plan_reference="P", quantity=1, at=stage.clock.now()
        )
    with pytest.raises(Invalid, match="12 months"):
        await stage.payments.ensure_plan(
            ACCESS, PlanTerms("B", "", PRICE, Interval.MONTH, 13, 0, "p"), product=None, key="k"
        )


async def test_a_subscription_s_payment_is_refunded_and_its_refunds_are_found(stage: Stage) -> None:
    """It was made of no order, which would have its refunds: the list of transactions tells."""
    found = await subscribed(stage)
    (bill,) = await stage.payments.renewals_of(ACCESS, found.reference)
    assert bill.intent_reference
    assert await stage.payments.refunds_of(ACCESS, bill.intent_reference) == ()
    back = await stage.payments.refund(ACCESS, bill.intent_reference, Money.of("4.00", "USD"), key="r")
    assert back.state is RefundState.SUCCEEDED
    (listed,) = await stage.payments.refunds_of(ACCESS, bill.intent_reference)
    assert (listed.reference, listed.key) == (back.reference, "r")
    assert (await stage.payments.fetch_intent(ACCESS, bill.intent_reference)).refunded == Money.of("4.00", "USD")


async def test_a_subscription_s_webhooks_are_handled_in_its_own_turn(stage: Stage) -> None:
    """Also those of its payments: else a payment could be learned before the subscription is there."""
    found = await subscribed(stage)
    await stage.control(f"subscriptions/{found.reference}/fail")
    events = stage.sandbox.books_of(CLIENT).events
    read = [stage.payments.parse_webhook(json.dumps(event).encode()) for event in events]
    assert {one.subscription_reference for one in read} == {found.reference}
    assert all(one.metadata == {"patchbay_subscription": "subscription_1"} for one in read)


# Payouts and the books


@pytest.mark.parametrize(
    ("state", "standing"),
    [
        ("SUCCESS", PayoutStanding.PAID),
        ("UNCLAIMED", PayoutStanding.IN_TRANSIT),
        ("ONHOLD", PayoutStanding.IN_TRANSIT),
        ("RETURNED", PayoutStanding.FAILED),
        ("BLOCKED", PayoutStanding.FAILED),
        ("FAILED", PayoutStanding.FAILED),
    ],
)
async def test_a_payout_stands_as_its_item_does(stage: Stage, state: str, standing: PayoutStanding) -> None:
    """The batch is a success for PayPal as soon as it was worked through."""
    wanted = PayoutOrder(Money.of("10.00", "USD"), {"email": "to@example.com"}, "For work", "po_1")
    made = await stage.payments.create_payout(ACCESS, wanted, key="po_1")
    await stage.control(f"payouts/{made.reference}/settle", status=state)
    now = await stage.payments.fetch_payout(ACCESS, made.reference)
    assert (now.standing, now.raw_status, now.key) == (standing, state, "po_1")
    assert bool(now.failure) is (standing is PayoutStanding.FAILED)
    assert (now.arrives_on is not None) is (standing is PayoutStanding.PAID)


async def test_a_number_that_paypal_knows_leads_to_the_payout_that_has_it(stage: Stage) -> None:
    """When it has forgotten the request id, it still takes a batch's number once."""
    wanted = PayoutOrder(Money.of("10.00", "USD"), {"email": "to@example.com"}, "", "po_1")
    made = await stage.payments.create_payout(ACCESS, wanted, key="po_1")
    stage.sandbox.books_of(CLIENT).answered.clear()
    assert (await stage.payments.create_payout(ACCESS, wanted, key="po_1")).reference == made.reference
    assert len(stage.sandbox.books_of(CLIENT).payouts) == 1


async def test_a_payout_of_which_nothing_is_told_yet_is_not_taken_for_none(stage: Stage) -> None:
    """Else it would be sent again under another key."""
    with pytest.raises(RetryLater):
        await stage.payments.find_payout(ACCESS, "po_1")


async def test_the_books_are_read_in_windows_and_to_the_last_page(stage: Stage) -> None:
    """PayPal answers for 31 days and 500 transactions at a time."""
    books = stage.sandbox.books_of(CLIENT)
    begin = stage.clock.now()
    for number in range(1_200):
        books.move("T0006", f"T{number}", Money(1000 + number, PRICE.currency), fee=Money(50, PRICE.currency))
        stage.clock.advance(timedelta(hours=1))
    found = [one async for one in stage.payments.settled_between(ACCESS, begin, stage.clock.now())]
    assert [one.reference for one in found] == [f"T{number}" for number in range(1_200)]
    assert {one.fee for one in found} == {Money(50, PRICE.currency)}
    asked = [one for one in stage.recorder.exchanges if one.path.endswith("/reporting/transactions")]
    assert len(asked) == 2 + 1


async def test_a_window_with_too_many_transactions_is_cut_in_two(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """PayPal lists 10,000 at most, and says so with an error."""
    monkeypatch.setattr(sandbox_payouts, "MOST_LISTED", 20)
    books = stage.sandbox.books_of(CLIENT)
    begin = stage.clock.now()
    for number in range(90):
        books.move("T0006", f"T{number}", PRICE)
        stage.clock.advance(timedelta(minutes=7))
    found = [one.reference async for one in stage.payments.settled_between(ACCESS, begin, stage.clock.now())]
    assert sorted(set(found), key=lambda name: int(name[1:])) == [f"T{number}" for number in range(90)]


@pytest.mark.parametrize(
    ("code", "sign", "movement"),
    [
        ("T0006", 1, Movement.PAYMENT),
        ("T0002", 1, Movement.PAYMENT),
        ("T0006", -1, Movement.OTHER),
        ("T0001", -1, Movement.PAYOUT),
        ("T0106", -1, Movement.FEE),
        ("T1107", -1, Movement.REFUND),
        ("T1201", -1, Movement.DISPUTE),
        ("T0400", -1, Movement.OTHER),
        ("T9999", 1, Movement.OTHER),
    ],
)
async def test_what_a_transaction_was(stage: Stage, code: str, sign: int, movement: Movement) -> None:
    """Amounts are above zero whichever way they went; a payment that the account itself made is none of ours."""
    stage.sandbox.books_of(CLIENT).move(code, "T1", Money(sign * 700, PRICE.currency))
    now = stage.clock.now()
    (one,) = [one async for one in stage.payments.settled_between(ACCESS, now, now + MINUTE)]
    assert (one.movement, one.amount, one.done) == (movement, Money(700, PRICE.currency), True)


# Credentials


async def test_many_calls_at_once_ask_for_one_token(stage: Stage) -> None:
    """PayPal limits tokens, and a token lasts for hours."""
    await asyncio.gather(*(stage.payments.create_checkout(ACCESS, order(stage, PRICE), key=f"k{n}") for n in range(20)))
    assert [one.path for one in stage.recorder.exchanges].count("/paypal/v1/oauth2/token") == 1


async def test_a_token_that_is_no_longer_taken_is_replaced_once(stage: Stage) -> None:
    """PayPal may end one early; nobody notices."""
    await paid(stage, "one")
    stage.sandbox._tokens.clear()  # the sandbox forgets them, as PayPal may
    await paid(stage, "two")
    assert [one.path for one in stage.recorder.exchanges].count("/paypal/v1/oauth2/token") == 2


async def test_credentials_that_are_no_longer_taken_ask_for_a_person(stage: Stage) -> None:
    """Also where a token was at hand, and where they could not even be sent."""
    await paid(stage)
    stage.sandbox.revoked.add(CLIENT)
    with pytest.raises(ReconnectNeeded):
        await stage.payments.fetch_checkout(ACCESS, "X")
    for wrong in ({}, {**ACCESS, "client_secret": ""}, {**ACCESS, "client_id": "é"}):
        with pytest.raises(ReconnectNeeded):
            await stage.payments.account(wrong)


async def test_the_two_worlds_are_two_accounts(stage: Stage) -> None:
    """Customers and plans of one are never taken for the other's."""
    sandbox, live = [await stage.payments.account({**ACCESS, "mode": mode}) for mode in ("sandbox", "live")]
    assert sandbox.reference != live.reference


# Webhooks, delivered


async def test_a_webhook_that_is_delivered_verifies_here_and_at_paypal(stage: Stage) -> None:
    """The whole way: registered, signed with the sandbox's certificate, fetched, checked."""
    mailbox = Mailbox()
    async with served(mailbox) as url:
        hook, secret = await stage.payments.register_webhook(ACCESS, f"{url}/in", key="w")
        await paid(stage)
        await stage.sandbox.post.idle()
    assert [json.loads(body)["event_type"] for _, body in mailbox.got] == [
        "CHECKOUT.ORDER.APPROVED",
        "PAYMENT.CAPTURE.COMPLETED",
    ]
    headers, body = mailbox.got[-1]
    now = stage.clock.now()
    with pytest.raises(CannotVerify):
        stage.payments.read_webhook((secret,), headers, body, now)
    assert await stage.payments.ask_whether_signed(ACCESS, hook, headers, body)
    assert not await stage.payments.ask_whether_signed(ACCESS, hook, headers, body.replace(b"125.00", b"125.01"))
    assert not await stage.payments.ask_whether_signed(ACCESS, hook, headers, b'{"id":"x"},"webhook_id":"mine"')
    assert not await stage.payments.ask_whether_signed(ACCESS, hook, {}, body)
    await stage.payments.gather_evidence(headers)
    assert stage.payments.read_webhook((secret,), headers, body, now).type == "PAYMENT.CAPTURE.COMPLETED"
    with pytest.raises(BadSignature):
        stage.payments.read_webhook((secret,), headers, body + b"\n", now)


async def test_one_address_has_one_webhook(stage: Stage) -> None:
    """PayPal keeps ten in all; a connection that is made again takes the one that is there."""
    first = await stage.payments.register_webhook(ACCESS, "http://127.0.0.1:9/in", key="w")
    assert await stage.payments.register_webhook(ACCESS, "http://127.0.0.1:9/in", key="w2") == first


async def test_an_emulator_that_is_away_leaves_the_question_open(stage: Stage) -> None:
    """Nothing is believed and nothing refused."""
    away = PayPalPayments(stage.clock, "http://127.0.0.1:9")
    headers = {**stage.sandbox.seal(b"{}", "W", stage.clock.now())}
    headers["Paypal-Cert-Url"] = "http://127.0.0.1:9/v1/notifications/certs/CERT-1"
    await away.gather_evidence({name.lower(): value for name, value in headers.items()})
    with pytest.raises(CannotVerify):
        away.read_webhook(("W",), headers, b"{}", stage.clock.now())
    await away.aclose()


@final
class PayPalList(ListRig):
    """PayPal, emulated."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.events = self.payments = stage.payments
        self.access = ACCESS

    def happen(self, count: int) -> tuple[Any, list[str]]:
        books, first = self.stage.sandbox.books_of(CLIENT), self.stage.clock.now()
        for number in range(count):
            books.tell("PAYMENT.CAPTURE.COMPLETED", "capture", {"id": f"C{number}"}, "")
            books.tell("VAULT.CREDIT-CARD.CREATED", "credit_card", {"id": f"V{number}"}, "")  # not followed
            self.stage.clock.advance(MINUTE)
        return first, [one["id"] for one in books.events if one["event_type"].startswith("PAYMENT.")]

    def revoke(self) -> None:
        self.stage.sandbox.revoked.add(CLIENT)


class TestPayPalEventList(EventListContract):
    """PayPal's."""

    @pytest.fixture
    def rig(self, stage: Stage) -> ListRig:
        return PayPalList(stage)
