"""Subscriptions that the hub renews itself: invoices, charges, retries and proration are its own work."""

import asyncio
from datetime import datetime, timedelta

import pytest

from application.billing.subscriptions.preview import ChangeAsked
from application.ports.leases import Held
from application.ports.payments import RetryLater
from domain.billing.invoices import InvoiceState
from domain.billing.payments import PaymentState
from domain.billing.periods import next_end
from domain.billing.plans import Interval
from domain.billing.subscriptions import RenewedBy, Subscription, SubscriptionState
from domain.money import Money
from domain.refusals import Conflict, Invalid
from tests.unit.application.billing.subscriptions.scene import DAY, Scene

MONTH = timedelta(days=31)


async def test_it_begins_when_the_first_period_is_paid(scene: Scene) -> None:
    """On an ordinary hosted page, which keeps the card for the next time."""
    asked = await scene.ask("plain")
    assert (asked.state, asked.renewed_by) == (SubscriptionState.INCOMPLETE, RenewedBy.HUB)
    assert (asked.url or "").startswith("https://hub.example/pay/")
    scene.bench.clock.advance(2 * DAY)
    await scene.pay(asked.invoice_id or "")
    one = await scene.now(asked)
    now = scene.bench.clock.now()
    assert (one.state, one.period_start, one.worth) == (SubscriptionState.ACTIVE, now, 9000)
    assert one.period_end == next_end(now, Interval.MONTH, 1, now)
    assert (await scene.method()).client_id == scene.client_id
    assert (await scene.bench.told()).count("subscription.created") == 1


async def test_each_period_is_charged_once(scene: Scene) -> None:
    """Though the job runs day after day, and twice at once."""
    one = await scene.by_hub()
    await scene.pass_time(3 * MONTH)
    await asyncio.gather(scene.bench.renewals(), scene.bench.renewals(), return_exceptions=True)
    invoices = await scene.invoices(one)
    assert [invoice.state for invoice in invoices] == [InvoiceState.PAID] * 4
    assert len({invoice.period for invoice in invoices}) == 4
    assert sum(intent.received.amount for intent in scene.plain.intents.values()) == 4 * 9000
    assert (await scene.now(one)).state is SubscriptionState.ACTIVE


async def test_months_are_counted_from_the_day_it_began(scene: Scene) -> None:
    """Begun on 31 January: charged on 28 February, 31 March and 30 April."""
    scene.bench.clock.advance(datetime.fromisoformat("2026-01-31T12:00:00Z") - scene.bench.clock.now())
    one = await scene.by_hub()
    await scene.pass_time(timedelta(days=95))
    ends = [(await scene.invoices(one))[n].period for n in range(1, 4)]
    assert [(period.start.month, period.start.day) for period in ends if period] == [(2, 28), (3, 31), (4, 30)]


async def test_a_declined_renewal_is_tried_after_2_5_7_and_7_days_and_then_over(scene: Scene) -> None:
    """Past due at once, so that the host application can say so; the unpaid invoice is withdrawn with the end."""
    one = await scene.by_hub()
    scene.plain.refuse_method(scene.token())
    assert one.period_end is not None
    scene.bench.clock.advance(one.period_end - scene.bench.clock.now())
    await scene.bench.renewals()
    tried = [0]
    for day in range(1, 22):
        before = scene.plain.calls.count("charge")
        scene.bench.clock.advance(DAY)
        assert (await scene.now(one)).state is SubscriptionState.PAST_DUE
        await scene.bench.renewals()
        if scene.plain.calls.count("charge") > before:
            tried.append(day)
    assert tried == [0, 2, 7, 14, 21]
    ended = await scene.now(one)
    assert (ended.state, ended.reason) == (SubscriptionState.CANCELED, "The renewal could not be paid.")
    assert (await scene.invoices(one))[-1].state is InvoiceState.VOID
    told = await scene.bench.told()
    assert told.count("subscription.past_due") == told.count("subscription.canceled") == 1


async def test_a_past_due_one_goes_on_when_its_invoice_is_paid_by_hand(scene: Scene) -> None:
    """The client follows the link, pays, and with that gives another card; the period is the one that was due."""
    one = await scene.by_hub()
    scene.plain.refuse_method(scene.token())
    await scene.pass_time(MONTH + DAY)
    due = await scene.now(one)
    assert due.state is SubscriptionState.PAST_DUE
    assert due.url is not None
    await scene.pay(due.invoice_id or "")
    paid = await scene.now(one)
    assert (paid.state, paid.tries, paid.period_start) == (SubscriptionState.ACTIVE, 0, one.period_end)


async def test_a_stolen_card_is_not_charged_again(scene: Scene) -> None:
    """Each further try costs a fee and earns nothing; the client has a week to give another card."""
    one = await scene.by_hub()
    scene.plain.refuse_method(scene.token(), "stolen_card: The card was reported stolen.")
    await scene.pass_time(MONTH + 6 * DAY)
    assert scene.plain.calls.count("charge") == 1
    assert (await scene.now(one)).state is SubscriptionState.PAST_DUE
    await scene.pass_time(2 * DAY)
    assert scene.plain.calls.count("charge") == 1
    assert (await scene.now(one)).state is SubscriptionState.CANCELED


async def test_a_charge_without_an_answer_blocks_the_next(scene: Scene) -> None:
    """It may have happened. Nothing more is charged until the provider has said what came of it."""
    one = await scene.by_hub()
    charge = scene.plain.charge

    async def cut_off(*args: object, **kwargs: object) -> object:
        await charge(*args, **kwargs)  # type: ignore[arg-type]
        raise RetryLater("No answer", may_have_happened=True)

    scene.plain.charge = cut_off  # type: ignore[assignment, method-assign]
    assert one.period_end is not None
    scene.bench.clock.advance(one.period_end - scene.bench.clock.now())
    for _ in range(5):
        await scene.bench.renewals()
    scene.plain.charge = charge  # type: ignore[method-assign]
    await scene.bench.renewals()
    assert scene.plain.calls.count("charge") == 1
    assert (await scene.now(one)).state is SubscriptionState.ACTIVE
    (unknown,) = [p for p in await scene.bench.payments() if p.state is PaymentState.UNKNOWN]
    await scene.bench.settle.intent(scene.bench.org, scene.at_plain.id, list(scene.plain.intents)[-1])
    renewed = await scene.now(one)
    assert (renewed.period_start, renewed.invoice_id) == (one.period_end, None)
    async with scene.bench.look() as work:
        assert (await work.payments.get(unknown.id)).state is PaymentState.SUCCEEDED


async def test_a_provider_that_is_away_is_not_the_clients_fault(scene: Scene) -> None:
    """No try is used up; it is asked again after an hour."""
    one = await scene.by_hub()
    assert one.period_end is not None
    scene.bench.clock.advance(one.period_end - scene.bench.clock.now())
    scene.plain.fail_next(RetryLater("Away"))
    with pytest.raises(ExceptionGroup):
        await scene.bench.renewals()
    still = await scene.now(one)
    assert (still.state, still.tries) == (SubscriptionState.ACTIVE, 0)
    scene.bench.clock.advance(timedelta(hours=1))
    await scene.bench.renewals()
    assert (await scene.now(one)).period_start == one.period_end


async def test_a_trial_costs_nothing_and_its_end_is_told_three_days_before(scene: Scene) -> None:
    """Then the first period is due; a client who never gave a card is past due, with a link to pay."""
    one = await scene.by_hub(trial_days=14)
    assert (one.state, one.invoice_id, one.url) == (SubscriptionState.TRIALING, None, None)
    await scene.pass_time(10 * DAY)
    assert "subscription.trial_ending" not in await scene.bench.told()
    await scene.pass_time(3 * DAY)
    assert (await scene.bench.told()).count("subscription.trial_ending") == 1
    await scene.pass_time(1 * DAY)
    due = await scene.now(one)
    assert due.state is SubscriptionState.PAST_DUE
    await scene.pay(due.invoice_id or "")
    paid = await scene.now(one)
    assert (paid.state, paid.period_start) == (SubscriptionState.ACTIVE, one.trial_ends_at)


async def test_an_upgrade_is_paid_before_it_is_made(scene: Scene) -> None:
    """The difference for the rest of the period, by the second, is charged at once to the kept card."""
    await scene.new_plan("bureau", "180.00")
    one = await scene.by_hub()
    bench = scene.bench
    bench.clock.advance((one.period_end - one.period_start) / 2)  # type: ignore[operator]
    seen = await bench.preview(bench.caller, ChangeAsked("bureau"), subscription_id=one.id)
    assert (seen.credit.decimal, seen.charge.decimal, seen.due_now.decimal) == ("-45.00", "90.00", "45.00")
    assert (seen.next_total.decimal, seen.next_at) == ("180.00", one.period_end)
    changed = await bench.change_subscription(bench.caller, ChangeAsked("bureau"), subscription_id=one.id)
    assert (changed.price.decimal, changed.planned, changed.worth) == ("180.00", None, 13_500)
    assert [invoice.total.decimal for invoice in await scene.invoices(one)] == ["90.00", "45.00"]
    await scene.pass_time(MONTH)
    assert (await scene.invoices(one))[-1].total.decimal == "180.00"


async def test_a_declined_upgrade_changes_nothing(scene: Scene) -> None:
    """The caller is told why, and the invoice of the difference is withdrawn."""
    await scene.new_plan("bureau", "180.00")
    one = await scene.by_hub()
    scene.plain.refuse_method(scene.token())
    bench = scene.bench
    bench.clock.advance(DAY)
    with pytest.raises(Conflict, match="The card was declined"):
        await bench.change_subscription(bench.caller, ChangeAsked("bureau"), subscription_id=one.id)
    still = await scene.now(one)
    assert (still.plan_id, still.planned) == (one.plan_id, None)
    assert (await scene.invoices(one))[-1].state is InvoiceState.VOID


async def test_a_downgrade_gives_credit_that_comes_off_the_next_bill(scene: Scene) -> None:
    """As a line below zero; nothing is paid back by itself."""
    await scene.new_plan("bureau", "180.00")
    one = await scene.by_hub(plan="bureau")
    bench = scene.bench
    bench.clock.advance((one.period_end - one.period_start) / 2)  # type: ignore[operator]
    seen = await bench.preview(bench.caller, ChangeAsked("studio"), subscription_id=one.id)
    assert (seen.due_now.amount, seen.next_total.decimal) == (0, "45.00")
    changed = await bench.change_subscription(bench.caller, ChangeAsked("studio"), subscription_id=one.id)
    assert (changed.price.decimal, changed.credit) == ("90.00", 4500)
    await scene.pass_time(MONTH)
    invoice = (await scene.invoices(one))[-1]
    assert [line.total.decimal for line in invoice.lines] == ["90.00", "-45.00"]
    renewed = await scene.now(one)
    assert (renewed.credit, renewed.worth) == (0, 9000)


async def _with_credit(scene: Scene) -> Subscription:
    """At the middle of a period of `studio` (90.00), with 45.00 of credit, and `bureau` (180.00) to go to."""
    await scene.new_plan("bureau", "180.00")
    one = await scene.by_hub(plan="bureau")
    scene.bench.clock.advance((one.period_end - one.period_start) / 2)  # type: ignore[operator]
    return await scene.bench.change_subscription(scene.bench.caller, ChangeAsked("studio"), subscription_id=one.id)


async def test_credit_that_is_enough_pays_for_a_change(scene: Scene) -> None:
    """Up, down and up again in one moment costs nothing: what was paid for is had."""
    one, bench = await _with_credit(scene), scene.bench
    seen = await bench.preview(bench.caller, ChangeAsked("bureau"), subscription_id=one.id)
    assert (seen.credit.decimal, seen.charge.decimal, seen.due_now.amount) == ("-90.00", "90.00", 0)
    assert seen.next_total.decimal == "180.00"
    changed = await bench.change_subscription(bench.caller, ChangeAsked("bureau"), subscription_id=one.id)
    assert (changed.price.decimal, changed.credit, changed.worth) == ("180.00", 0, 18_000)
    assert len(await scene.invoices(one)) == 1


async def test_credit_comes_off_the_difference_of_a_change(scene: Scene) -> None:
    """Before the card is charged; it is gone once the rest is paid, and is worth as much as money from then on."""
    one, bench = await _with_credit(scene), scene.bench
    await scene.new_plan("palace", "360.00")
    seen = await bench.preview(bench.caller, ChangeAsked("palace"), subscription_id=one.id)
    assert (seen.credit.decimal, seen.charge.decimal, seen.due_now.decimal) == ("-90.00", "180.00", "90.00")
    scene.plain.refuse_method(scene.token())
    with pytest.raises(Conflict, match=r"difference of 90\.00 USD"):
        await bench.change_subscription(bench.caller, ChangeAsked("palace"), subscription_id=one.id)
    assert (await scene.now(one)).credit == 4500
    scene.plain._declines.clear()
    changed = await bench.change_subscription(bench.caller, ChangeAsked("palace"), subscription_id=one.id)
    assert (changed.price.decimal, changed.credit, changed.worth) == ("360.00", 0, 27_000)
    invoice = (await scene.invoices(one))[-1]
    assert [line.total.decimal for line in invoice.lines] == ["180.00", "-45.00", "-45.00"]


async def test_credit_leaves_as_much_as_can_be_charged(scene: Scene) -> None:
    """A rest below the provider's least amount could not be paid: some of the credit waits then."""
    one, bench = await _with_credit(scene), scene.bench
    await scene.new_plan("more", "180.40")

    def at_least_50(amount: Money, *, field: str = "amount") -> None:
        if amount.amount < 50:
            raise Invalid.field(field, f"{amount} is too little.")

    scene.plain.check_amount = at_least_50  # type: ignore[method-assign]
    seen = await bench.preview(bench.caller, ChangeAsked("more"), subscription_id=one.id)
    assert seen.due_now.decimal == "22.70"
    changed = await bench.change_subscription(bench.caller, ChangeAsked("more"), subscription_id=one.id)
    assert (changed.price.decimal, changed.credit) == ("180.40", 2250)


async def test_credit_may_pay_for_a_whole_period(scene: Scene) -> None:
    """There is no invoice over nothing; what is left waits for the one after."""
    await scene.new_plan("palace", "900.00")
    one = await scene.by_hub(plan="palace")
    bench = scene.bench
    await bench.change_subscription(bench.caller, ChangeAsked("studio"), subscription_id=one.id)
    assert (await scene.now(one)).credit == 81_000
    await scene.pass_time(2 * MONTH)
    later = await scene.now(one)
    assert later.credit == 81_000 - 2 * 9000
    assert len(await scene.invoices(one)) == 1


async def test_what_was_refunded_is_not_credited(scene: Scene) -> None:
    """A credit is never above what was paid."""
    await scene.new_plan("bureau", "180.00")
    one = await scene.by_hub(plan="bureau")
    bench = scene.bench
    (payment,) = await bench.payments()
    await bench.refund(bench.caller, payment.id, amount="170.00")
    seen = await bench.preview(bench.caller, ChangeAsked("studio"), subscription_id=one.id)
    assert (seen.credit.decimal, seen.charge.decimal, seen.due_now.decimal) == ("-10.00", "90.00", "80.00")


async def test_a_change_to_yearly_begins_a_new_year(scene: Scene) -> None:
    """The unused rest of the month is set off against it."""
    await scene.new_plan("studio-yearly", "900.00", interval=Interval.YEAR)
    one = await scene.by_hub()
    bench = scene.bench
    bench.clock.advance((one.period_end - one.period_start) / 2)  # type: ignore[operator]
    now = bench.clock.now()
    changed = await bench.change_subscription(bench.caller, ChangeAsked("studio-yearly"), subscription_id=one.id)
    assert (changed.period_start, changed.anchor) == (now, now)
    assert changed.period_end == now.replace(year=now.year + 1)
    assert (await scene.invoices(one))[-1].total.decimal == "855.00"


async def test_a_change_for_the_periods_end_waits(scene: Scene) -> None:
    """And costs nothing until then."""
    await scene.new_plan("bureau", "180.00")
    one = await scene.by_hub()
    bench = scene.bench
    asked = ChangeAsked("bureau", quantity=2, at_period_end=True)
    waits = await bench.change_subscription(bench.caller, asked, subscription_id=one.id)
    assert (waits.price.decimal, waits.planned and waits.planned.quantity) == ("90.00", 2)
    await scene.pass_time(MONTH)
    later = await scene.now(one)
    assert (later.total.decimal, later.planned) == ("360.00", None)


async def test_canceling_now_withdraws_what_is_unpaid(scene: Scene) -> None:
    """At the period's end it runs out; nothing is charged in either case."""
    asked = await scene.ask("plain")
    bench = scene.bench
    over = await bench.cancel_subscription(bench.caller, subscription_id=asked.id)
    assert over.state is SubscriptionState.EXPIRED
    assert (await scene.invoices(asked))[0].state is InvoiceState.VOID
    one = await scene.by_hub()
    ending = await bench.cancel_subscription(bench.caller, subscription_id=one.id, at_period_end=True)
    assert ending.access_until == one.period_end
    await scene.pass_time(MONTH)
    ended = await scene.now(one)
    assert (ended.state, ended.ended_at) == (SubscriptionState.CANCELED, one.period_end)
    assert "charge" not in scene.plain.calls


async def test_a_paused_one_is_not_charged(scene: Scene) -> None:
    """Let go on after its period, it begins a new one at once."""
    one = await scene.by_hub()
    bench = scene.bench
    await bench.pause_subscription(bench.caller, subscription_id=one.id)
    await scene.pass_time(2 * MONTH)
    assert "charge" not in scene.plain.calls
    going = await bench.pause_subscription.unpause(bench.caller, subscription_id=one.id)
    assert going.state is SubscriptionState.ACTIVE
    await bench.renewals()
    later = await scene.now(one)
    assert (later.period_start, scene.plain.calls.count("charge")) == (bench.clock.now(), 1)


async def test_the_first_period_is_to_be_paid_within_a_week(scene: Scene) -> None:
    """Then nobody can pay for it any more."""
    asked = await scene.ask("plain")
    await scene.pass_time(7 * DAY)
    assert (await scene.now(asked)).state is SubscriptionState.EXPIRED
    assert (await scene.invoices(asked))[0].state is InvoiceState.VOID


async def test_two_changes_at_once_are_one_after_the_other(scene: Scene) -> None:
    """The second is asked to wait rather than to overwrite the first."""
    await scene.new_plan("bureau", "180.00")
    one = await scene.by_hub()
    bench = scene.bench
    bench.clock.advance(DAY)
    asked = ChangeAsked("bureau")
    done = await asyncio.gather(
        *(bench.change_subscription(bench.caller, asked, subscription_id=one.id) for _ in range(2)),
        return_exceptions=True,
    )
    assert sum(not isinstance(one, BaseException) for one in done) == 1
    (other,) = [one for one in done if isinstance(one, BaseException)]
    assert isinstance(other, Invalid | Held | Conflict)
    assert scene.plain.calls.count("charge") == 1


async def test_a_change_that_changes_nothing_is_refused(scene: Scene) -> None:
    """So is one to a plan that is archived, has no price in the currency, or does not exist."""
    one = await scene.by_hub()
    bench = scene.bench
    for asked in (ChangeAsked("studio"), ChangeAsked(quantity=1), ChangeAsked()):
        with pytest.raises(Invalid):
            await bench.preview(bench.caller, asked, subscription_id=one.id)
    await scene.new_plan("old", "10.00")
    await bench.change_plan(bench.caller, "old", archived=True)
    with pytest.raises(Conflict, match="archived"):
        await bench.preview(bench.caller, ChangeAsked("old"), subscription_id=one.id)
