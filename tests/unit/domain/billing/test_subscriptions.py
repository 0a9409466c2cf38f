"""What becomes of a subscription that the hub renews."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from domain.billing.invoices import Billed, Period
from domain.billing.subscriptions import RenewedBy, Subscription, SubscriptionState
from domain.money import Currency, Money
from domain.refusals import Conflict, Invalid

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
PERIOD = Period(NOW, NOW + 31 * DAY)
NEXT = Period(NOW + 31 * DAY, NOW + 59 * DAY)


def subscription(quantity: int = 1) -> Subscription:
    """One that nobody has agreed to yet."""
    return Subscription(
        "sub_1",
        "org_1",
        Billed("client_1", "Ada", None),
        "plan_1",
        Money(9000, Currency("USD")),
        quantity,
        "plain",
        "con_1",
        "account",
        RenewedBy.HUB,
        NOW,
        NOW,
    )


ACTIVE = subscription().paid(PERIOD, 9000, NOW)


def test_it_costs_its_price_for_every_unit() -> None:
    """And has at least one."""
    assert subscription(3).total == Money(27_000, Currency("USD"))
    for quantity in (0, -1, 1_000_001):
        with pytest.raises(Invalid):
            subscription(quantity)


def test_a_period_is_paid_for_once() -> None:
    """The same again, or an older one late, changes nothing."""
    assert ACTIVE.paid(PERIOD, 9000, NOW + DAY) is ACTIVE
    renewed = ACTIVE.paid(NEXT, 9000, NEXT.start)
    assert (renewed.period_start, renewed.anchor) == (NEXT.start, NOW)
    assert renewed.paid(PERIOD, 9000, NEXT.start) is renewed


def test_retries_come_after_the_organisations_waits() -> None:
    """The last failure has no next."""
    one, waits = ACTIVE, []
    for _ in range(3):
        one = one.failed((2, 5), NOW)
        waits.append(one.next_try_at and one.next_try_at - NOW)
    assert waits == [2 * DAY, 5 * DAY, None]
    assert (one.state, one.tries) == (SubscriptionState.PAST_DUE, 3)


def test_a_lost_card_leaves_one_more_try_with_another() -> None:
    """After the longest wait."""
    lost = ACTIVE.failed_for_good((2, 7, 5), NOW)
    assert lost.next_try_at == NOW + 7 * DAY
    assert lost.failed((2, 7, 5), NOW).next_try_at is None
    assert ACTIVE.failed_for_good((), NOW).next_try_at is None


def test_access_lasts_as_long_as_was_paid_for() -> None:
    """Also once it is to end, and while a renewal is retried."""
    assert not subscription().gives_access
    assert ACTIVE.ending("", NOW).access_until == PERIOD.end
    asked = attrs.evolve(subscription(), period_start=NOW, period_end=PERIOD.end)
    assert asked.access_until is None, "PayPal names the end of a trial before anybody has agreed to it"
    assert ACTIVE.failed((2,), NOW).gives_access
    over = ACTIVE.ended("Enough", NOW + DAY)
    assert (over.gives_access, over.access_until, over.reason) == (False, NOW + DAY, "Enough")
    assert over.ended("Again", NOW) is over


def test_what_was_never_agreed_to_expires_rather_than_ends() -> None:
    """Nothing is told of it: it never began."""
    assert subscription().ended("", NOW).state is SubscriptionState.EXPIRED


def test_what_cannot_be_done_now_says_in_which_state_it_is() -> None:
    """A caller learns what to wait for."""
    with pytest.raises(Conflict, match="incomplete"):
        subscription().paused(NOW)
    with pytest.raises(Conflict, match="being charged"):
        ACTIVE.charging("inv_1", 0, NOW).paused(NOW)
    with pytest.raises(Conflict, match="nothing to take back"):
        ACTIVE.kept(NOW)
    with pytest.raises(Conflict, match="has ended"):
        ACTIVE.ended("", NOW).kept(NOW)
    with pytest.raises(Conflict, match="active"):
        ACTIVE.unpaused(NOW)


def test_a_pause_within_the_period_takes_nothing_away() -> None:
    """Beyond it, a new period is due when it goes on."""
    paused = ACTIVE.paused(NOW + DAY)
    assert paused.unpaused(NOW + 2 * DAY).period_end == PERIOD.end
    late = paused.unpaused(NOW + 90 * DAY)
    assert (late.anchor, late.period_end) == (NOW + 90 * DAY, NOW + 90 * DAY)
    trial = subscription().on_trial(NOW + 14 * DAY, NOW).paused(NOW)
    assert trial.unpaused(NOW + DAY).state is SubscriptionState.TRIALING
