"""A payment link and the hosted pages behind it: who is shown what, and when a page is used again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from domain.billing.invoices import Billed, Invoice, InvoiceState, Line
from domain.billing.links import (
    CHECKOUT_LIFE,
    LINK_LIFE,
    Checkout,
    CheckoutState,
    LinkAnswer,
    LinkState,
    PaymentLink,
)
from domain.money import Currency, Money
from domain.refusals import Conflict

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
ENOUGH_LEFT = timedelta(minutes=10)
USD = Currency("USD")
DUE = Money(100_00, USD)
ENDS = NOW + LINK_LIFE


def invoice(state: InvoiceState) -> Invoice:
    """An invoice over 100.00 USD."""
    lines = (Line("Design", 1, DUE),)
    return Invoice("inv_1", "org_1", "INV-1", Billed("client_1", "Ada", None), USD, lines, NOW, NOW, state)


def link(state: LinkState = LinkState.ACTIVE) -> PaymentLink:
    """A link that can be used for thirty days."""
    return PaymentLink("lnk_1", "org_1", "inv_1", "con_1", "acme", "token", NOW, NOW, ENDS, state)


def checkout(**changes: Any) -> Checkout:
    """A hosted page that was just asked for."""
    asked = Checkout("chk_1", "org_1", "lnk_1", "inv_1", "con_1", DUE, NOW, NOW, NOW + CHECKOUT_LIFE)
    return attrs.evolve(asked, **changes)


def page(**changes: Any) -> Checkout:
    """A hosted page that is open until 23 hours from now."""
    opened = checkout().opened("cs_1", "https://pay.acme.example/1", NOW + CHECKOUT_LIFE, NOW)
    return attrs.evolve(opened, **changes)


UNPAID = tuple(state for state in InvoiceState if state not in (InvoiceState.PAID, InvoiceState.VOID))
MOMENTS = {"long before": NOW, "just before": ENDS - MOMENT, "at": ENDS, "after": ENDS + MOMENT}


@pytest.mark.parametrize("link_state", LinkState)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    ("state", "answer"), [(InvoiceState.PAID, LinkAnswer.PAID), (InvoiceState.VOID, LinkAnswer.VOID)]
)
def test_a_paid_or_void_invoice_is_shown_as_such_whatever_became_of_the_link(
    state: InvoiceState, answer: LinkAnswer, link_state: LinkState, moment: str
) -> None:
    """ "Your link has expired" would frighten a client who has paid."""
    assert link(link_state).answer(invoice(state), MOMENTS[moment]) is answer


@pytest.mark.parametrize("state", UNPAID)
@pytest.mark.parametrize(
    ("link_state", "moment", "answer"),
    [
        (LinkState.ACTIVE, "long before", LinkAnswer.PAY),
        (LinkState.ACTIVE, "just before", LinkAnswer.PAY),
        (LinkState.ACTIVE, "at", LinkAnswer.EXPIRED),
        (LinkState.ACTIVE, "after", LinkAnswer.EXPIRED),
        *((LinkState.EXPIRED, moment, LinkAnswer.EXPIRED) for moment in MOMENTS),
        *((LinkState.COMPLETED, moment, LinkAnswer.EXPIRED) for moment in MOMENTS),
    ],
)
def test_what_is_still_owed_can_be_paid_while_the_link_lives(
    state: InvoiceState, link_state: LinkState, moment: str, answer: LinkAnswer
) -> None:
    """Only an active link before its last moment leads to a page to pay on."""
    assert link(link_state).answer(invoice(state), MOMENTS[moment]) is answer


def test_a_link_can_be_taken_back() -> None:
    """The wrong person got the mail."""
    expired = link().expire(NOW + MOMENT)
    assert (expired.state, expired.updated_at) == (LinkState.EXPIRED, NOW + MOMENT)
    assert not expired.live(NOW + MOMENT)


def test_a_link_that_was_paid_through_cannot_be_taken_back() -> None:
    """Its page is the client's receipt."""
    with pytest.raises(Conflict, match="paid"):
        link().complete(NOW).expire(NOW)


def test_taking_back_twice_is_no_mistake() -> None:
    """The scheduler and a person may both do it."""
    assert link().expire(NOW).expire(NOW).state is LinkState.EXPIRED


def test_a_link_is_completed_even_after_it_expired() -> None:
    """A hosted page that was opened in time may be paid after the link has lapsed."""
    assert link(LinkState.EXPIRED).complete(NOW).state is LinkState.COMPLETED


def test_a_hosted_page_is_asked_for_less_than_a_day() -> None:
    """The provider refuses more than 24 hours, counted by its own clock."""
    assert CHECKOUT_LIFE + timedelta(minutes=30) <= timedelta(hours=24)


def test_an_open_page_is_used_again_until_ten_minutes_before_its_end() -> None:
    """A client who fetches the card from the other room must not find the page closed."""
    last = NOW + CHECKOUT_LIFE - ENOUGH_LEFT
    assert page().reusable(DUE, NOW)
    assert page().reusable(DUE, last - MOMENT)
    assert not page().reusable(DUE, last)
    assert not page().reusable(DUE, NOW + CHECKOUT_LIFE)


@pytest.mark.parametrize("due", [Money(99_99, USD), Money(100_01, USD), Money(100_00, Currency("EUR"))])
def test_a_page_for_another_amount_is_not_used(due: Money) -> None:
    """Part of the invoice may have been paid meanwhile."""
    assert not page().reusable(due, NOW)
    assert not checkout().resumable(due, NOW)


@pytest.mark.parametrize("state", [CheckoutState.OPENING, CheckoutState.COMPLETE, CheckoutState.EXPIRED])
def test_a_page_that_is_not_open_is_not_used(state: CheckoutState) -> None:
    """Nobody pays twice on the same page."""
    assert not page(state=state).reusable(DUE, NOW)


def test_a_page_without_an_address_is_not_used() -> None:
    """There is nowhere to send the client."""
    assert not page(url=None).reusable(DUE, NOW)


def test_asking_again_with_the_same_key_is_right_for_ten_minutes() -> None:
    """After a cut-off answer the same key brings the same page; much later the order would ask for a time in the past."""
    assert checkout().resumable(DUE, NOW)
    assert checkout().resumable(DUE, NOW + ENOUGH_LEFT - MOMENT)
    assert not checkout().resumable(DUE, NOW + ENOUGH_LEFT)


@pytest.mark.parametrize("state", [CheckoutState.OPEN, CheckoutState.COMPLETE, CheckoutState.EXPIRED])
def test_only_a_page_that_may_or_may_not_exist_is_asked_for_again(state: CheckoutState) -> None:
    """The provider's answer to the others is known."""
    assert not checkout(state=state).resumable(DUE, NOW)


def test_the_provider_says_where_the_page_is_and_until_when() -> None:
    """Its own expiry counts, not the one that was asked for."""
    opened = checkout().opened("cs_1", "https://pay.acme.example/1", NOW + ENOUGH_LEFT, NOW + MOMENT)
    assert (opened.state, opened.reference, opened.url) == (CheckoutState.OPEN, "cs_1", "https://pay.acme.example/1")
    assert (opened.expires_at, opened.updated_at) == (NOW + ENOUGH_LEFT, NOW + MOMENT)


@pytest.mark.parametrize("reported", CheckoutState)
@pytest.mark.parametrize("finished", [CheckoutState.COMPLETE, CheckoutState.EXPIRED])
def test_a_finished_page_never_opens_again(finished: CheckoutState, reported: CheckoutState) -> None:
    """A webhook that comes late tells of a state that has passed."""
    done = page(state=finished)
    assert done.moved(reported, NOW + MOMENT) is done


@pytest.mark.parametrize("finished", [CheckoutState.COMPLETE, CheckoutState.EXPIRED])
@pytest.mark.parametrize("before", [CheckoutState.OPENING, CheckoutState.OPEN])
def test_a_page_moves_as_the_provider_reports(before: CheckoutState, finished: CheckoutState) -> None:
    """Also when the report overtakes the answer that the page was made."""
    moved = page(state=before).moved(finished, NOW + MOMENT)
    assert (moved.state, moved.updated_at) == (finished, NOW + MOMENT)


def test_the_same_state_again_changes_nothing() -> None:
    """No new version for old news."""
    same = page()
    assert same.moved(CheckoutState.OPEN, NOW + MOMENT) is same
