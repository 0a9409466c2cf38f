"""A payment is the sum of its facts, whatever the order and however often they are told."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.attempts import AttemptState
from domain.billing.payments import (
    Disputed,
    Fact,
    FactKind,
    MoreThanCaptured,
    Payment,
    PaymentState,
    Refund,
    RefundState,
)
from domain.money import Currency, Money
from domain.refusals import Conflict, Invalid
from tests.unit.domain.work.strategies import patiently

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
USD, JPY = Currency("USD"), Currency("JPY")


def usd(cents: int) -> Money:
    """Dollars, in cents."""
    return Money(cents, USD)


def captured(amount: int = 100_00, reference: str = "ch_1") -> Fact:
    """Money came in."""
    return Fact(FactKind.CAPTURED, reference, amount, NOW)


def refunded(amount: int, reference: str = "re_1") -> Fact:
    """Money went back."""
    return Fact(FactKind.REFUNDED, reference, amount, NOW)


def came_back(amount: int, reference: str = "re_1") -> Fact:
    """A refund did not arrive."""
    return Fact(FactKind.REFUND_FAILED, reference, amount, NOW)


def failed(reference: str = "fail_1") -> Fact:
    """A try of the payer's failed."""
    return Fact(FactKind.FAILED, reference, 100_00, NOW)


def canceled(reference: str = "pi_1") -> Fact:
    """It was given up before it was made."""
    return Fact(FactKind.CANCELED, reference, 100_00, NOW)


def payment(*facts: Fact, **changes: Any) -> Payment:
    """A payment of 100.00 USD that was told these facts."""
    new = Payment("pay_1", "org_1", "con_1", "acme", "pi_1", usd(100_00), NOW, NOW, **changes)
    return new.learn(*facts, now=NOW)[0]


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ((), PaymentState.PENDING),
        ((failed(),), PaymentState.FAILED),
        ((failed(), failed("fail_2")), PaymentState.FAILED),
        ((canceled(),), PaymentState.CANCELED),
        ((failed(), canceled()), PaymentState.CANCELED),
        ((canceled(), captured()), PaymentState.SUCCEEDED),
        ((captured(),), PaymentState.SUCCEEDED),
        ((failed(), captured()), PaymentState.SUCCEEDED),
        ((captured(), failed()), PaymentState.SUCCEEDED),
        ((captured(), refunded(1)), PaymentState.PARTLY_REFUNDED),
        ((captured(), refunded(99_99)), PaymentState.PARTLY_REFUNDED),
        ((captured(), refunded(100_00)), PaymentState.REFUNDED),
        ((captured(), refunded(60_00), refunded(40_00, "re_2")), PaymentState.REFUNDED),
        ((captured(), refunded(100_00), came_back(100_00)), PaymentState.SUCCEEDED),
        ((captured(), refunded(60_00), refunded(40_00, "re_2"), came_back(60_00)), PaymentState.PARTLY_REFUNDED),
        ((captured(), captured(50_00, "ch_2"), refunded(100_00)), PaymentState.PARTLY_REFUNDED),
    ],
)
def test_the_facts_add_up_to_a_state(facts: tuple[Fact, ...], state: PaymentState) -> None:
    """Told in order or backwards, one by one or at once: the order of webhooks says nothing."""
    assert payment(*facts).state is state
    assert payment(*reversed(facts)).state is state


@pytest.mark.parametrize(
    ("facts", "payable"),
    [
        ((), True),
        ((failed(),), True),
        ((canceled(),), False),
        ((failed(), canceled()), False),
        ((captured(),), False),
        ((captured(), refunded(1)), False),
        ((captured(), refunded(100_00)), False),
    ],
)
def test_a_payment_can_be_completed_until_it_is_made_or_given_up(facts: tuple[Fact, ...], payable: bool) -> None:
    """A try that failed may be followed by another; what can still be paid is closed when the invoice is settled."""
    assert payment(*facts).payable is payable


@pytest.mark.parametrize("facts", [(), (failed(),), (canceled(),), (captured(),), (captured(), refunded(99_99))])
def test_a_conflict_is_a_conflict_whatever_else_is_known(facts: tuple[Fact, ...]) -> None:
    """A person has to look; a friendlier state would hide it."""
    odd = payment(*facts, conflict="It was made in JPY, the invoice is in USD.")
    assert odd.state is PaymentState.CONFLICTED


def test_a_payment_in_conflict_can_still_be_refunded() -> None:
    """Sending the money back is the usual way out."""
    payment(captured(), conflict="It was made in JPY.").check_refund(usd(100_00))


def test_a_fact_told_twice_counts_once() -> None:
    """Providers deliver at least once."""
    once = payment(captured(), refunded(10_00))
    again, new = once.learn(captured(), refunded(10_00), now=LATER)
    assert again is once
    assert new == ()


def test_a_fact_told_twice_in_one_breath_counts_once() -> None:
    """A provider's list may hold the same refund on two pages."""
    told, new = payment().learn(captured(), captured(), now=LATER)
    assert (told.captured, new) == (usd(100_00), (captured(),))


def test_only_what_is_new_is_given_back() -> None:
    """What is given back is announced; the rest was announced before."""
    told, new = payment(captured()).learn(captured(), refunded(5_00), now=LATER)
    assert new == (refunded(5_00),)
    assert told.facts == (captured(), refunded(5_00))
    assert told.updated_at == LATER


def test_a_known_fact_is_not_overwritten_by_another_amount() -> None:
    """Facts are only ever added: what was announced stays true."""
    told, new = payment(captured(100_00)).learn(captured(1), now=LATER)
    assert (told.captured, new) == (usd(100_00), ())


def test_the_same_reference_of_another_kind_is_another_fact() -> None:
    """A refund and its failure share the refund's id."""
    told, new = payment(captured(), refunded(30_00)).learn(came_back(30_00), now=LATER)
    assert len(new) == 1
    assert (told.refunded, told.refundable) == (usd(0), usd(100_00))


def test_a_refund_that_came_back_can_be_made_again() -> None:
    """The client still waits for it."""
    payment(captured(), refunded(100_00), came_back(100_00)).check_refund(usd(100_00))


def test_money_that_never_came_cannot_go_back() -> None:
    """Whether it is waited for, failed or was given up."""
    for unpaid in (payment(), payment(failed()), payment(canceled())):
        with pytest.raises(MoreThanCaptured):
            unpaid.check_refund(usd(1))


@pytest.mark.parametrize(
    ("facts", "limit"),
    [
        ((captured(),), 100_00),
        ((captured(), refunded(99_99)), 1),
        ((captured(), refunded(30_00), refunded(20_00, "re_2")), 50_00),
        ((captured(), refunded(30_00), refunded(20_00, "re_2"), came_back(30_00)), 80_00),
        ((captured(), captured(50_00, "ch_2")), 150_00),
    ],
)
def test_all_that_is_left_can_go_back_and_not_a_cent_more(facts: tuple[Fact, ...], limit: int) -> None:
    """One cent over is the hub's own money."""
    paid = payment(*facts)
    assert paid.refundable == usd(limit)
    paid.check_refund(usd(limit))
    with pytest.raises(MoreThanCaptured) as refused:
        paid.check_refund(usd(limit + 1))
    assert [fault.field for fault in refused.value.faults] == ["amount"]
    assert isinstance(refused.value, Conflict)


@pytest.mark.parametrize("amount", [0, -1])
def test_a_refund_is_more_than_nothing(amount: int) -> None:
    """A negative refund would be a charge."""
    with pytest.raises(Invalid) as refused:
        payment(captured()).check_refund(usd(amount))
    assert [fault.field for fault in refused.value.faults] == ["amount"]


def test_a_refund_in_another_currency_is_refused() -> None:
    """100 yen are not 100 cents."""
    with pytest.raises(Invalid) as refused:
        payment(captured()).check_refund(Money(1, JPY))
    assert [fault.field for fault in refused.value.faults] == ["currency"]


def test_a_payment_counts_in_the_currency_it_was_made_in() -> None:
    """Its facts are bare numbers of minor units."""
    yen = attrs.evolve(payment(captured(5000)), asked=Money(5000, JPY))
    assert yen.captured == Money(5000, JPY)


def disputed(amount: int, number: int = 1) -> Fact:
    """The payer's bank took it back."""
    return Fact(FactKind.DISPUTED, f"pi_1:{number}", amount, NOW)


def won(amount: int, number: int = 1) -> Fact:
    """It is ours again."""
    return Fact(FactKind.DISPUTE_WON, f"pi_1:{number}", amount, NOW)


def test_what_is_disputed_cannot_be_refunded() -> None:
    """The bank has given the payer their money: a refund would give it to them again."""
    odd = payment(captured(), disputed(100_00))
    assert (odd.state, odd.disputed, odd.refundable) == (PaymentState.DISPUTED, usd(100_00), usd(0))
    with pytest.raises(Disputed, match="dispute"):
        odd.check_refund(usd(1))
    partly = payment(captured(), disputed(40_00))
    with pytest.raises(Disputed):
        partly.check_refund(usd(1))


def test_a_dispute_that_is_won_is_over() -> None:
    """Then the money is refundable as before; a second dispute is another."""
    kept = payment(captured(), disputed(100_00), won(100_00))
    assert (kept.state, kept.refundable) == (PaymentState.SUCCEEDED, usd(100_00))
    kept.check_refund(usd(100_00))
    assert payment(captured(), disputed(30_00), won(30_00), disputed(20_00, 2)).disputed == usd(20_00)


def test_fees_add_up() -> None:
    """A provider that gives part of its fee back says so with a fact below nothing."""
    assert payment(captured(), Fact(FactKind.FEE, "pi_1", 320, NOW), Fact(FactKind.FEE, "pi_1:2", -20, NOW)).fee == usd(
        300
    )


def test_a_charge_without_an_answer_is_unknown_until_it_is_known() -> None:
    """It may have happened: it is neither a success nor a failure, and nobody else may pay it meanwhile."""
    asked = payment().asked_with("att_1", "visa 4242", NOW)
    assert (asked.state, asked.waits_for_answer, asked.payable) == (PaymentState.PENDING, True, False)
    unknown = asked.answered(AttemptState.UNKNOWN, LATER)
    assert (unknown.state, unknown.waits_for_answer, unknown.payable) == (PaymentState.UNKNOWN, True, False)
    assert unknown.learn(captured(), now=LATER)[0].state is PaymentState.SUCCEEDED
    failed_ = unknown.answered(AttemptState.FAILED, LATER, "Declined.").learn(failed("att_1"), now=LATER)[0]
    assert (failed_.state, failed_.waits_for_answer, failed_.payable) == (PaymentState.FAILED, False, False)
    assert failed_.attempts[0].failure == "Declined."
    assert failed_.answered(AttemptState.SUCCEEDED, LATER) is failed_


def test_what_got_no_answer_is_looked_up_after_5_minutes_an_hour_and_then_daily() -> None:
    """And after 30 days a person has to look."""
    now, moments = NOW, []
    asked = attrs.evolve(payment(), reference="asked:pay_1").asked_with("att_1", "", NOW)
    waiting = asked.answered(AttemptState.UNKNOWN, NOW)
    while not waiting.attempts[-1].stuck(now):
        if waiting.attempts[-1].due(now):
            moments.append(now - NOW)
            waiting = waiting.looked_up(now)
        now += timedelta(minutes=5)
    day = timedelta(days=1)
    assert moments[:4] == [
        timedelta(minutes=5),
        timedelta(hours=1),
        timedelta(hours=1) + day,
        timedelta(hours=1) + 2 * day,
    ]
    assert len(moments) == 31
    assert not waiting.attempts[-1].due(now + day)


def test_a_charge_that_is_under_way_at_the_provider_is_not_unknown() -> None:
    """A bank debit takes days; the provider has it, and says so."""
    under_way = payment().asked_with("att_1", "", NOW).looked_up(LATER)
    assert (under_way.state, under_way.attempts[0].checks) == (PaymentState.PENDING, 1)


def test_a_refund_is_asked_for_again_soon_and_looked_up_in_time() -> None:
    """While the provider knows its key a refund is asked for again every few minutes; else it is looked up."""
    refund = Refund("ref_1", "org_1", "pay_1", usd(10_00), NOW, NOW).asking(NOW)
    assert not refund.due(NOW + timedelta(minutes=1))
    assert refund.due(NOW + timedelta(minutes=2))
    unknown = refund.unanswered(NOW)
    assert (unknown.state, unknown.waiting) == (RefundState.UNKNOWN, True)
    assert not unknown.due(NOW + timedelta(minutes=4))
    assert unknown.due(NOW + timedelta(minutes=5))
    again = unknown.unanswered(NOW + timedelta(minutes=5))
    assert not again.due(NOW + timedelta(minutes=59))
    assert again.due(NOW + timedelta(hours=1))
    assert again.stuck(NOW + timedelta(days=30))
    assert not again.due(NOW + timedelta(days=30))


@st.composite
def tellings(draw: st.DrawFn) -> tuple[list[Fact], list[Sequence[Fact]]]:
    """Facts as they happened; and the same shuffled, some repeated, in batches as webhooks bring them."""
    amounts = draw(st.lists(st.integers(1, 100_00), min_size=1, max_size=3))
    facts = [captured(amount, f"ch_{n}") for n, amount in enumerate(amounts)]
    facts += [failed(f"fail_{n}") for n in range(draw(st.integers(0, 2)))]
    facts += [canceled()] * draw(st.integers(0, 1))
    for n, share in enumerate(draw(st.lists(st.integers(1, 30), max_size=3))):
        amount = max(sum(amounts) * share // 100, 1)
        facts.append(refunded(amount, f"re_{n}"))
        if draw(st.booleans()):
            facts.append(came_back(amount, f"re_{n}"))
    for n, amount in enumerate(draw(st.lists(st.integers(1, 50_00), max_size=2))):
        facts.append(disputed(amount, n))
        if draw(st.booleans()):
            facts.append(won(amount, n))
    facts += [Fact(FactKind.FEE, f"fee_{n}", draw(st.integers(-50, 500)), NOW) for n in range(draw(st.integers(0, 2)))]
    shuffled = draw(st.permutations(facts + draw(st.lists(st.sampled_from(facts), max_size=6))))
    size = draw(st.integers(1, 4))
    return facts, [shuffled[at : at + size] for at in range(0, len(shuffled), size)]


@patiently
@given(tellings())
def test_any_order_and_repetition_of_facts_gives_the_same_payment(
    told: tuple[list[Fact], list[Sequence[Fact]]],
) -> None:
    """This is what makes a webhook that arrives twice, late or out of order harmless."""
    facts, batches = told
    expected, learnt = payment(*facts), payment()
    announced: list[Any] = []
    for batch in batches:
        learnt, new = learnt.learn(*batch, now=LATER)
        announced += new
    sums = [
        (one.captured, one.refunded, one.refundable, one.disputed, one.fee, one.state) for one in (learnt, expected)
    ]
    assert sums[0] == sums[1]
    assert sorted(announced, key=repr) == sorted(facts, key=repr)


def test_a_refund_is_written_down_before_the_provider_is_asked() -> None:
    """It counts from then on, so that two at once cannot send back more than came in."""
    refund = Refund("ref_1", "org_1", "pay_1", usd(10_00), NOW, NOW)
    assert (refund.state, refund.reference, refund.failure) == (RefundState.REQUESTED, None, None)


def test_a_refund_ends_well_or_with_a_reason() -> None:
    """One that succeeded may still come back from the payer's bank."""
    done = Refund("ref_1", "org_1", "pay_1", usd(10_00), NOW, NOW).done("re_1", LATER)
    assert (done.state, done.reference, done.updated_at) == (RefundState.SUCCEEDED, "re_1", LATER)
    back = done.failed("The account is closed.", LATER)
    assert (back.state, back.reference, back.failure) == (RefundState.FAILED, "re_1", "The account is closed.")
