"""A payment is the sum of its facts, whatever the order and however often they are told."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.payments import Fact, FactKind, MoreThanCaptured, Payment, PaymentState, Refund, RefundState
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


@pytest.mark.parametrize("facts", [(), (failed(),), (canceled(),), (captured(),), (captured(), refunded(100_00))])
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
    assert (learnt.captured, learnt.refunded, learnt.refundable, learnt.state) == (
        expected.captured, expected.refunded, expected.refundable, expected.state,
    )  # fmt: skip
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
