"""Postings: whatever happens in whatever order, they add up to nothing and say what is owed."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing import postings
from domain.billing.conflicts import ConflictKind, Finding
from domain.billing.credit_notes import CreditNote
from domain.billing.ledger import MAX_SOURCE, DoesNotBalance, Posting, Side, client_moves, source_of
from domain.billing.payments import Fact, FactKind, Payment
from domain.billing.payouts import Payout
from domain.money import Currency, Money

NOW = datetime(2026, 1, 2, tzinfo=UTC)
USD, JPY = Currency("USD"), Currency("JPY")

AMOUNTS = st.integers(1, 10_000)


def payment(invoice_id: str | None = "inv_1") -> Payment:
    """A payment of 100 USD."""
    return Payment("pay_1", "org_1", "con_1", "stripe", "pi_1", Money(10_000, USD), NOW, NOW, invoice_id)


def fact(kind: FactKind, amount: int, reference: str = "x") -> Fact:
    """Something that became known."""
    return Fact(kind, reference, amount, NOW)


def after(now: Mapping[str, int], posting: Posting, subject: str) -> dict[str, int]:
    """How the subject stands once it is posted."""
    sums = dict(now)
    for side in posting.sides:
        if side.subject == subject:
            sums[side.account] = sums.get(side.account, 0) + side.amount.amount
    return sums


def said(posting: Posting) -> dict[str, int]:
    """By account."""
    return {side.account: side.amount.amount for side in posting.sides}


def test_a_posting_that_does_not_add_up_cannot_be_made() -> None:
    """In each currency by itself: 100 yen are not 100 cents."""
    one, other = Side("fees", Money(5, USD), "x"), Side("balance:stripe", Money(-5, JPY), "x")
    with pytest.raises(DoesNotBalance):
        Posting("s", (one, other))
    with pytest.raises(DoesNotBalance):
        Posting("s", (one,))


def test_a_source_fits_its_column_however_long_a_providers_id_is() -> None:
    """And two long ones stay two."""
    long = [source_of("captured", "pay_1", "x" * 300 + end) for end in "ab"]
    assert [len(one) for one in long] == [MAX_SOURCE] * 2
    assert long[0] != long[1]
    assert source_of("captured", "pay_1", "pi_1") == "captured:pay_1:pi_1"


@given(st.lists(st.tuples(st.sampled_from(["paid", "back", "credit", "give up", "void"]), AMOUNTS), max_size=12))
def test_nobody_owes_less_than_nothing_and_we_owe_no_less_either(story: list[tuple[str, int]]) -> None:
    """Any order of payments, refunds, credit notes, writing off and voiding."""
    paying = payment()
    now: dict[str, int] = {}
    now = after(now, postings.opened("inv_1", Money(10_000, USD), Money(1_500, USD), now), "inv_1")
    received = 0
    for number, (what, amount) in enumerate(story):
        if what == "paid":
            posting = postings.learned(paying, fact(FactKind.CAPTURED, amount, str(number)), now, {})
            received += amount
        elif what == "back":
            back = min(amount, received)
            posting = postings.learned(paying, fact(FactKind.REFUNDED, back, str(number)), now, {})
            received -= back
        elif what == "credit":
            note = CreditNote(f"cn_{number}", "org_1", "CN-1", "inv_1", Money(amount, USD), Money(0, USD), "x", NOW)
            posting = postings.credited(note, now)
        elif what == "give up":
            posting = postings.written_off("inv_1", USD, now)
        else:
            posting = postings.voided("inv_1", USD, now)
        assert posting is not None
        now = after(now, posting, "inv_1")
        assert now.get("receivable", 0) >= 0
        assert now.get("overpayments", 0) <= 0
        assert now.get("written_off", 0) >= 0
        assert not (now.get("receivable", 0) and now.get("overpayments", 0))


@given(st.integers(0, 9_999), st.integers(-9_999, 0), st.integers(0, 9_999), st.integers(-20_000, 20_000))
def test_the_moves_of_a_client_add_up_to_the_change(owed: int, over: int, given_up: int, change: int) -> None:
    """Nothing is lost between what is owed, what was paid too much and what was given up."""
    moves = client_moves({"receivable": owed, "overpayments": over, "written_off": given_up}, change)
    assert sum(moves.values()) == change


@given(AMOUNTS, AMOUNTS)
def test_a_refund_that_failed_leaves_the_books_as_they_were(paid: int, back: int) -> None:
    """Whatever it had been taken from."""
    paying, back = payment(), min(paid, back)
    before = after({}, postings.opened("inv_1", Money(5_000, USD), Money(0, USD), {}), "inv_1")
    captured = postings.learned(paying, fact(FactKind.CAPTURED, paid), before, {})
    assert captured is not None
    stands = after(before, captured, "inv_1")
    refund = postings.learned(paying, fact(FactKind.REFUNDED, back, "r"), stands, {})
    assert refund is not None
    made = refund.entries("org_1", lambda kind: kind, NOW)
    then = after(stands, refund, "inv_1")
    failed = postings.refund_failed(paying, fact(FactKind.REFUND_FAILED, back, "r"), made, then)
    ended = after(then, failed, "inv_1")
    assert {name: sum_ for name, sum_ in ended.items() if sum_} == {n: s for n, s in stands.items() if s}


def test_what_is_paid_of_a_written_off_invoice_has_the_rest_owed_again() -> None:
    """Somebody pays after all: what is left is asked for once more."""
    posting = postings.learned(payment(), fact(FactKind.CAPTURED, 3_000), {"written_off": 10_000}, {})
    assert posting is not None
    assert said(posting) == {"balance:stripe": 3_000, "receivable": 7_000, "written_off": -10_000}


def test_conflicted_money_and_what_goes_back_of_it_are_nobodys_income() -> None:
    """Until a person has said what it is."""
    odd = payment().set_aside(Finding(ConflictKind.PAID_TWICE, "twice"), NOW)
    captured = postings.learned(odd, fact(FactKind.CAPTURED, 10_000), {}, {})
    assert captured is not None
    assert said(captured) == {"balance:stripe": 10_000, "suspense": -10_000}
    back = postings.learned(odd, fact(FactKind.REFUNDED, 4_000), {}, {"suspense": -10_000})
    assert back is not None
    assert said(back) == {"balance:stripe": -4_000, "suspense": 4_000}


def test_a_payment_without_an_invoice_is_earned() -> None:
    """A sale that the host application asked for by amount."""
    sale = postings.learned(payment(None), fact(FactKind.CAPTURED, 700), None, {})
    assert sale is not None
    assert said(sale) == {"balance:stripe": 700, "revenue": -700}
    assert postings.learned(payment(None), fact(FactKind.FAILED, 700), None, {}) is None


def test_a_payout_that_the_provider_takes_is_posted_the_other_way_round() -> None:
    """Stripe collects from the bank when the balance is below nothing."""
    taken = Payout("po_1", "org_1", "con_1", "stripe", Money(-300, USD), NOW, NOW)
    assert said(postings.paid_out(taken)) == {"payouts": -300, "balance:stripe": 300}
