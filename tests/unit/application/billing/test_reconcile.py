"""Reconciling: every way in which two sets of books can differ is found, and nothing else."""

from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from application.billing.reconcile import midnight
from application.ports.payments import RetryLater
from application.ports.payouts import PayoutStanding
from application.ports.settlements import Movement, Settled
from application.ports.store import Slice
from domain.billing.payments import Fact, FactKind, Payment
from domain.billing.reconciliation import Difference, Fix, Reconciliation, RunState
from domain.money import Currency, Money
from domain.refusals import Conflict, Invalid, NotFound
from tests.books import assert_books
from tests.fakes.settlements import SETTLED_AFTER
from tests.unit.application.bench import Bench

USD = Currency("USD")
DAY = timedelta(days=1)


async def reconciled(bench: Bench, **window: datetime) -> tuple[Reconciliation, list[Difference]]:
    """Compare all that is older than the provider's books need, by hand."""
    bench.clock.advance(SETTLED_AFTER + timedelta(seconds=1))
    until = bench.clock.now() - SETTLED_AFTER
    window = {"since": until - DAY, "until": until, **window}
    run = await bench.start_reconciliation(bench.caller, "fake", **window)
    await bench.reconcile.carry_out(bench.org, run.id)
    return await ended(bench, run.id)


async def ended(bench: Bench, run_id: str) -> tuple[Reconciliation, list[Difference]]:
    """A run and its differences."""
    async with bench.look() as work:
        return await work.reconciliations.get(run_id), list(await work.differences.all(run_id=run_id))


def said(found: list[Difference]) -> list[tuple[str, str, str, str]]:
    """What the differences say."""
    return [(one.kind.value, one.movement, one.ours, one.theirs) for one in found]


async def test_books_that_agree_have_no_differences(bench: Bench) -> None:
    """A payment with its fee, a refund and a payout; both sides come to the same."""
    _, payment = await bench.paid()
    bench.fake.charge_fee(payment.reference, Money(300, USD))
    await bench.refund(bench.caller, payment.id, amount="25")
    to = {"bank": "044", "account": "12345"}
    payout = await bench.pay_out(bench.caller, provider="fake", amount="10", currency="USD", destination=to)
    assert payout.reference is not None
    bench.fake.move_payout(payout.reference, PayoutStanding.PAID)
    run, found = await reconciled(bench)
    assert (run.state, run.compared, run.differences, said(found)) == (RunState.DONE, 3, 0, [])
    sums = run.totals["USD"]
    assert sums == {
        **{f"ours:{name}": amount for name, amount in (("payment", 10_000), ("refund", 2_500), ("payout", 1_000))},
        **{f"theirs:{name}": amount for name, amount in (("payment", 10_000), ("refund", 2_500), ("payout", 1_000))},
    }
    assert (await bench.told())[-1] == "reconciliation.finished"
    await assert_books(bench.store, bench.org)


async def test_a_payment_that_no_webhook_told_of_is_missing_here_until_it_is_adopted(bench: Bench) -> None:
    """Its metadata says that it is ours; a person's click takes it in, and the invoice is paid."""
    invoice = await bench.open_invoice()
    bench.fake.pay(await bench.opened_page(invoice))
    run, found = await reconciled(bench)
    assert said(found) == [("missing_here", "payment", "nothing", "100.00 USD")]
    fixed = await bench.fix_difference(bench.caller, run.id, found[0].id, Fix.ADOPTED)
    assert (fixed.fix, fixed.fixed_by) == ("adopted", "key:test")
    assert (await bench.invoice(invoice.id)).paid == 10_000
    _, again = await reconciled(bench)
    assert again == []
    async with bench.look() as work:
        assert (await work.audit.all(action="difference.adopted"))[0].subject == fixed.id
    await assert_books(bench.store, bench.org)


async def test_a_payment_made_elsewhere_can_be_counted_for_an_invoice(bench: Bench) -> None:
    """The client paid through the provider's own page: only a person knows what for."""
    invoice = await bench.open_invoice()
    page = bench.fake.pay(await bench.opened_page(invoice))
    assert page.intent_reference is not None
    bench.fake.intents[page.intent_reference] = _foreign(bench.fake.intents[page.intent_reference])
    run, found = await reconciled(bench)
    with pytest.raises(Conflict, match="Name the invoice"):
        await bench.fix_difference(bench.caller, run.id, found[0].id, Fix.ADOPTED)
    with pytest.raises(Invalid, match="no invoice"):
        await bench.fix_difference(bench.caller, run.id, found[0].id, Fix.ADOPTED, invoice_id="inv_x")
    await bench.fix_difference(bench.caller, run.id, found[0].id, Fix.ADOPTED, invoice_id=invoice.id)
    assert (await bench.invoice(invoice.id)).paid == 10_000


def _foreign(intent: Any) -> Any:
    return attrs.evolve(intent, metadata={})


async def test_another_organisations_payment_is_none_of_ours(bench: Bench) -> None:
    """Two organisations may share an account at the provider."""
    invoice = await bench.open_invoice()
    bench.fake.pay(await bench.order(invoice, Money(10_000, USD), organisation="org_other"))
    run, found = await reconciled(bench)
    assert (run.compared, found) == (0, [])


async def test_an_amount_that_cannot_be_kept_is_one_difference(bench: Bench) -> None:
    """Whether the hub has the movement or not; all others are compared, and what is not done moved nothing."""
    _, payment = await bench.paid()
    _, other = await bench.paid()
    refund = await bench.refund(bench.caller, other.id, amount="25")
    to = {"bank": "044", "account": "12345"}
    payout = await bench.pay_out(bench.caller, provider="fake", amount="10", currency="USD", destination=to)
    assert payout.reference is not None
    bench.fake.move_payout(payout.reference, PayoutStanding.PAID)
    bench.fake.unreadable = {
        payment.reference: "0.001 USD",
        str(refund.reference): "0.002 USD",
        payout.reference: "x USD",
    }
    at, near = bench.clock.now(), Money(1, USD)
    bench.fake.also = [
        Settled(Movement.PAYMENT, "unknown here", near, None, at, True, unreadable="0.009 USD"),
        Settled(Movement.PAYMENT, "not done", near, None, at, False, unreadable="0.009 USD"),
    ]
    run, found = await reconciled(bench)
    assert (run.state, run.compared) == (RunState.DONE, 6)
    assert sorted(said(found)) == [
        ("amount", "payment", "100.00 USD", "0.001 USD, which is no whole amount"),
        ("amount", "payout", "10.00 USD", "x USD, which is no whole amount"),
        ("amount", "refund", "25.00 USD", "0.002 USD, which is no whole amount"),
        ("missing_here", "payment", "nothing", "0.009 USD, which is no whole amount"),
    ]
    assert run.totals["USD"] == {
        "ours:payment": 20_000, "theirs:payment": 10_000, "ours:refund": 2_500, "ours:payout": 1_000,
    }  # fmt: skip
    fixed = await bench.fix_difference(bench.caller, run.id, found[0].id, Fix.ACCEPTED, note="a rounding of theirs")
    assert fixed.fix == "accepted"


@pytest.mark.writes_by_hand
async def test_a_payment_that_the_provider_does_not_know_is_missing_there(bench: Bench) -> None:
    """Somebody wrote it into our books, or the provider lost it; it is asked for before it is said."""
    payment = bench.make.payment(bench.org, connection_id=bench.connection.id, provider="fake", reference="made up")
    now = bench.clock.now()
    payment = _at(payment, now)
    payment, _ = payment.learn(Fact(FactKind.CAPTURED, "made up", 700, now), now=now)
    await bench.add("payments", payment)
    _, found = await reconciled(bench)
    assert said(found) == [("missing_there", "payment", "7.00 USD", "nothing")]
    assert found[0].payment_id == payment.id


def _at(payment: Payment, now: datetime) -> Payment:
    return attrs.evolve(payment, asked=Money(700, USD), facts=(), created_at=now, updated_at=now)


async def test_what_is_listed_under_another_day_is_not_missing(bench: Bench) -> None:
    """The hub hears of a payment after it was made: around midnight it is another day's there."""
    _, payment = await bench.paid()
    bench.fake.unlisted.add(payment.reference)
    _, found = await reconciled(bench)
    assert found == []
    assert bench.fake.calls.count("fetch_intent") == 2


async def test_amounts_states_and_fees_that_differ_are_named(bench: Bench) -> None:
    """Each with what both sides say."""
    _, wrong = await bench.paid()
    bench.fake.misread[wrong.reference] = Money(9_900, USD)
    _, fee = await bench.paid()
    bench.fake.charge_fee(fee.reference, Money(300, USD))
    pending = await bench.open_invoice()
    page = bench.fake.pay(await bench.opened_page(pending))
    assert page.intent_reference is not None
    payment = bench.make.payment(
        bench.org, connection_id=bench.connection.id, provider="fake", reference=page.intent_reference
    )
    await bench.add("payments", _at(payment, bench.clock.now()))
    _, found = await reconciled(bench)
    assert sorted(said(found)) == [
        ("amount", "payment", "100.00 USD", "99.00 USD"),
        ("fee", "payment", "0.00 USD", "3.00 USD"),
        ("state", "payment", "pending", "100.00 USD captured"),
    ]


async def test_settling_asks_the_provider_again(bench: Bench) -> None:
    """A fee that became known later is learned, and the books have it."""
    _, payment = await bench.paid()
    bench.fake.charge_fee(payment.reference, Money(300, USD))
    run, found = await reconciled(bench)
    await bench.fix_difference(bench.caller, run.id, found[0].id, Fix.SETTLED)
    _, again = await reconciled(bench)
    assert again == []
    await assert_books(bench.store, bench.org)


async def test_refunds_disputes_and_payouts_made_there_are_missing_here(bench: Bench) -> None:
    """In the provider's dashboard somebody refunded, and its own payout left; nobody told the hub."""
    _, payment = await bench.paid()
    await bench.fake.refund({"secret_key": "x"}, payment.reference, Money(500, USD), key="by hand")
    bench.fake.dispute(payment.reference, Money(9_500, USD))
    reference = bench.fake.pay_out_by_itself(Money(100, USD))
    bench.fake.move_payout(reference, PayoutStanding.PAID)
    run, found = await reconciled(bench)
    kinds = {(one.kind.value, one.movement) for one in found}
    assert kinds == {("missing_here", name) for name in ("refund", "dispute", "payout")}
    for one in found:
        await bench.fix_difference(bench.caller, run.id, one.id, Fix.ADOPTED)
    _, again = await reconciled(bench)
    assert again == []
    await assert_books(bench.store, bench.org)


async def test_what_is_accepted_with_a_note_is_not_told_again(bench: Bench) -> None:
    """The provider's monthly fee belongs to no payment: it is as it is."""
    line = Settled(Movement.FEE, "fee_march", Money(2_000, USD), None, bench.clock.now(), done=True)
    bench.fake.also.append(line)
    run, found = await reconciled(bench)
    older, _ = await reconciled(bench)
    assert said(found) == [("missing_here", "fee", "nothing", "20.00 USD")]
    with pytest.raises(Invalid, match="only be accepted"):
        await bench.fix_difference(bench.caller, run.id, found[0].id, Fix.ADOPTED)
    with pytest.raises(Invalid, match="Say why"):
        await bench.fix_difference(bench.caller, run.id, found[0].id, Fix.ACCEPTED, note=" ")
    await bench.fix_difference(bench.caller, run.id, found[0].id, Fix.ACCEPTED, note="monthly fee")
    with pytest.raises(Conflict, match="already"):
        await bench.fix_difference(bench.caller, run.id, found[0].id, Fix.ACCEPTED, note="again")
    _, in_the_other = await ended(bench, older.id)
    assert [one.fix for one in in_the_other] == ["accepted"]
    _, again = await reconciled(bench)
    assert again == []


async def test_a_line_that_is_listed_twice_counts_once(bench: Bench) -> None:
    """Pages of a list that grows meanwhile overlap."""
    line = Settled(Movement.OTHER, "adjustment", Money(5, USD), None, bench.clock.now(), done=True)
    bench.fake.also += [line, line]
    run, found = await reconciled(bench)
    assert (run.compared, len(found)) == (1, 1)


async def test_every_night_yesterday_is_compared_once(bench: Bench) -> None:
    """And the nights in which the hub was away, one after the other; a failed one is tried again after an hour."""
    bench.clock.advance(4 * DAY)
    for _ in range(6):
        await bench.reconcile()
    runs = await nights(bench)
    days = [run.since for run in runs]
    today = midnight(bench.clock.now() - SETTLED_AFTER)
    assert days == [today - DAY]
    bench.clock.advance(2 * DAY)
    bench.fake.fail_next(RetryLater("away"))
    await bench.reconcile()
    await bench.reconcile()
    assert [run.state for run in await nights(bench)] == [RunState.DONE, RunState.FAILED]
    bench.clock.advance(timedelta(hours=1, seconds=1))
    for _ in range(4):
        await bench.reconcile()
    done = [run for run in await nights(bench) if run.state is RunState.DONE]
    assert [(run.since, run.until) for run in done] == [(today + n * DAY, today + (n + 1) * DAY) for n in (-1, 0, 1)]


async def nights(bench: Bench) -> list[Reconciliation]:
    """Oldest first."""
    async with bench.look() as work:
        page = await work.reconciliations.page(Slice(100, newest_first=False), nightly=True)
    return list(page.items)


async def test_one_that_was_cut_off_says_so(bench: Bench) -> None:
    """The worker died: what was written stays, another can be begun."""
    bench.clock.advance(DAY)
    run = await bench.start_reconciliation(bench.caller, "fake")
    async with bench.store.of(bench.org) as work:
        await work.reconciliations.save(run.begin(bench.clock.now()))
        await work.commit()
    await bench.reconcile.carry_out(bench.org, run.id)
    run, _ = await ended(bench, run.id)
    assert (run.state, run.error) == (RunState.FAILED, "It was cut off. Begin another.")


async def test_times_that_cannot_be_compared_are_refused(bench: Bench) -> None:
    """The provider's books of the last hours are not complete: everything would seem to be missing there."""
    now = bench.clock.now()
    for window, field in (
        ({"until": now}, "until"),
        ({"since": now - DAY, "until": now - 2 * DAY}, "until"),
        ({"since": now - 200 * DAY, "until": now - DAY}, "since"),
    ):
        with pytest.raises(Invalid) as caught:
            await bench.start_reconciliation(bench.caller, "fake", **window)
        assert [fault.field for fault in caught.value.faults] == [field]
    with pytest.raises(NotFound):
        await bench.start_reconciliation(bench.caller, "nowhere")


async def test_a_difference_is_found_under_its_own_run_only(bench: Bench) -> None:
    """An address that mixes two runs is a mistake."""
    bench.fake.also.append(Settled(Movement.OTHER, "x", Money(5, USD), None, bench.clock.now(), done=True))
    _, found = await reconciled(bench)
    other, _ = await reconciled(bench)
    with pytest.raises(NotFound):
        await bench.fix_difference(bench.caller, other.id, found[0].id, Fix.ACCEPTED, note="x")
