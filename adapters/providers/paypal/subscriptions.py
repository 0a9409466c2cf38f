"""PayPal's words for subscriptions and their charges, and ours. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from adapters.providers.paypal import mapping, notes
from application.ports.payments import ProviderRefused
from application.ports.recurring import ProviderSubscription, Renewal, SubscriptionStanding
from domain.billing.plans import Interval
from domain.money import Money

GOING = (SubscriptionStanding.ACTIVE, SubscriptionStanding.TRIALING, SubscriptionStanding.PAST_DUE)

_STANDINGS = {
    "APPROVAL_PENDING": SubscriptionStanding.INCOMPLETE,
    "APPROVED": SubscriptionStanding.INCOMPLETE,
    "ACTIVE": SubscriptionStanding.ACTIVE,
    "SUSPENDED": SubscriptionStanding.PAUSED,
    "CANCELLED": SubscriptionStanding.CANCELED,
    "EXPIRED": SubscriptionStanding.EXPIRED,
}
_PAID = ("COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED")
_AHEAD = timedelta(hours=1)
"""A start this much after the making is a trial's end, not the seconds that agreeing takes."""


def subscription_of(subscription: Mapping[str, Any], now: datetime, *, url: str | None = None) -> ProviderSubscription:
    """A subscription. url: where its payer agrees to a change; while it is not agreed to at all, its own."""
    status = str(subscription.get("status") or "")
    billing = subscription.get("billing_info") or {}
    begins, made = mapping.moment(subscription.get("start_time")), mapping.moment(subscription.get("create_time"))
    trial = begins if begins is not None and made is not None and begins - made > _AHEAD else None
    last = mapping.moment((billing.get("last_payment") or {}).get("time"))
    standing = _STANDINGS.get(status, SubscriptionStanding.UNKNOWN)
    in_trial = trial is not None and now < trial
    changed = mapping.moment(subscription.get("status_update_time"))
    over = standing in (SubscriptionStanding.CANCELED, SubscriptionStanding.EXPIRED)
    return ProviderSubscription(
        reference=str(subscription["id"]),
        standing=_standing(standing, billing, in_trial=in_trial),
        raw_status=status,
        plan_reference=subscription.get("plan_id"),
        quantity=_whole(subscription.get("quantity"), 1),
        customer_reference=None,
        period_start=made if in_trial else last or begins,
        period_end=trial if in_trial else mapping.moment(billing.get("next_billing_time")),
        trial_ends_at=trial,
        cancel_at_period_end=False,
        cancel_at=None,
        ended_at=changed if over else None,
        metadata=notes.read(subscription.get("custom_id")).metadata,
        updated_at=mapping.moment(subscription.get("update_time")) or changed,
        url=url or (mapping.link(subscription, "approve") if status == "APPROVAL_PENDING" else None),
    )


def _standing(plain: SubscriptionStanding, billing: Mapping[str, Any], *, in_trial: bool) -> SubscriptionStanding:
    """PayPal has no word for a payment that is owed: failures say so, also those it suspended a subscription for."""
    failing = _whole(billing.get("failed_payments_count"), 0) > 0
    if plain in (SubscriptionStanding.ACTIVE, SubscriptionStanding.PAUSED) and failing:
        return SubscriptionStanding.PAST_DUE
    if plain is SubscriptionStanding.ACTIVE and in_trial:
        return SubscriptionStanding.TRIALING
    return plain


def bills_of(
    transactions: Sequence[Mapping[str, Any]], subscription: Mapping[str, Any]
) -> list[tuple[datetime, Renewal]]:
    """A bill for each period, oldest first, with the time of its last transaction. A charge that failed and was made later
    is one bill; one that was never made is what the next transaction is for."""
    bills: list[tuple[datetime, Renewal]] = []
    tries: list[tuple[datetime, Mapping[str, Any]]] = []
    for at, one in sorted(((_time(t), t) for t in transactions), key=lambda pair: pair[0]):
        tries.append((at, one))
        if one.get("status") in _PAID:
            bills.append((at, _bill(len(bills) + 1, tries, subscription)))
            tries = []
    if tries:
        bills.append((tries[-1][0], _bill(len(bills) + 1, tries, subscription)))
    return bills


def _bill(number: int, tries: Sequence[tuple[datetime, Mapping[str, Any]]], subscription: Mapping[str, Any]) -> Renewal:
    """The bill of a period. Its period begins with the first try and ends where the plan says. What was declined was never
    a payment: only the charge that was made has one."""
    begins, (at, last) = tries[0][0], tries[-1]
    amounts = last.get("amount_with_breakdown") or {}
    total = mapping.money_of(amounts.get("gross_amount"))
    if total is None:
        raise ProviderRefused("PayPal's transaction has no amount.", code="answer_unreadable")
    paid = last.get("status") in _PAID
    waits = last.get("status") == "PENDING"
    billing = subscription.get("billing_info") or {}
    next_billing = mapping.moment(billing.get("next_billing_time"))
    newest = mapping.moment((billing.get("last_payment") or {}).get("time")) == at
    retry = mapping.moment((billing.get("last_failed_payment") or {}).get("next_payment_retry_time"))
    return Renewal(
        reference=f"{subscription['id']}/{number}",
        number=None,
        total=total,
        tax=mapping.money_of(amounts.get("tax_amount")) or Money.zero(total.currency),
        description=str((subscription.get("plan") or {}).get("name") or ""),
        period_start=begins,
        period_end=next_billing if newest and next_billing is not None else _after(begins, subscription),
        created_at=begins,
        paid=paid,
        intent_reference=str(last["id"]) if paid or waits else None,
        tries=0 if paid or waits else len(tries),
        next_try_at=None if paid or waits else retry,
    )


def _time(transaction: Mapping[str, Any]) -> datetime:
    at = mapping.moment(transaction.get("time"))
    if at is None:
        raise ProviderRefused("PayPal's transaction has no time.", code="answer_unreadable")
    return at


def _after(at: datetime, subscription: Mapping[str, Any]) -> datetime:
    """One period later; a month that has no such day ends with its last."""
    cycles = (subscription.get("plan") or {}).get("billing_cycles") or ()
    regular = [cycle for cycle in cycles if cycle.get("tenure_type") == "REGULAR"]
    frequency = regular[0].get("frequency") or {} if regular else {}
    count = _whole(frequency.get("interval_count"), 1)
    unit = str(frequency.get("interval_unit") or "MONTH")
    if unit == Interval.DAY.name:
        return at + timedelta(days=count)
    if unit == Interval.WEEK.name:
        return at + timedelta(weeks=count)
    months = at.month - 1 + (count * 12 if unit == Interval.YEAR.name else count)
    year, month = at.year + months // 12, months % 12 + 1
    for day in range(at.day, 27, -1):
        try:
            return at.replace(year=year, month=month, day=day)
        except ValueError:
            continue
    return at.replace(year=year, month=month)


def _whole(value: object, otherwise: int) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise
