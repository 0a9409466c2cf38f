"""Stripe's prices, subscriptions and their bills, and ours. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from adapters.providers.stripe.amounts import from_stripe
from adapters.providers.stripe.mapping import moment, reference_of, texts
from application.ports.recurring import (
    ChangePreview,
    ProviderPlan,
    ProviderSubscription,
    Renewal,
    SubscriptionStanding,
)
from domain.money import Currency, Money

_STANDINGS = {
    "incomplete": SubscriptionStanding.INCOMPLETE,
    "incomplete_expired": SubscriptionStanding.EXPIRED,
    "trialing": SubscriptionStanding.TRIALING,
    "active": SubscriptionStanding.ACTIVE,
    "past_due": SubscriptionStanding.PAST_DUE,
    "unpaid": SubscriptionStanding.PAST_DUE,
    "paused": SubscriptionStanding.PAUSED,
    "canceled": SubscriptionStanding.CANCELED,
}
_GOING_ON = (SubscriptionStanding.ACTIVE, SubscriptionStanding.TRIALING)
_NOT_BILLED = ("draft", "void")


def plan_of(price: Mapping[str, Any]) -> ProviderPlan:
    """A Price."""
    amount = from_stripe(price["unit_amount"], price["currency"])
    return ProviderPlan(price["id"], reference_of(price.get("product")), amount, price["active"])


def subscription_of(subscription: Mapping[str, Any]) -> ProviderSubscription:
    """A Subscription with one item, which has had the period since 2025 (before, the subscription had it).

    One whose collection is paused keeps its status at Stripe; to us it is paused. An end may be told as a moment alone.
    """
    item: Mapping[str, Any] = next(iter((subscription.get("items") or {}).get("data") or ()), {})
    standing = _STANDINGS.get(subscription["status"], SubscriptionStanding.UNKNOWN)
    if subscription.get("pause_collection") and standing in _GOING_ON:
        standing = SubscriptionStanding.PAUSED
    end = item.get("current_period_end") or subscription.get("current_period_end")
    cancel_at = subscription.get("cancel_at")
    at_end = subscription.get("cancel_at_period_end") is True
    return ProviderSubscription(
        reference=subscription["id"],
        standing=standing,
        raw_status=subscription["status"],
        plan_reference=reference_of(item.get("price")),
        quantity=item.get("quantity") or 1,
        customer_reference=reference_of(subscription.get("customer")),
        period_start=_when(item.get("current_period_start") or subscription.get("current_period_start")),
        period_end=_when(end),
        trial_ends_at=_when(subscription.get("trial_end")),
        cancel_at_period_end=at_end or (cancel_at is not None and cancel_at == end),
        cancel_at=_when(cancel_at or (end if at_end else None)),
        ended_at=_when(subscription.get("ended_at")),
        metadata=texts(subscription.get("metadata")),
    )


def item_of(subscription: Mapping[str, Any]) -> str:
    """The id of the subscription's one item."""
    return str(subscription["items"]["data"][0]["id"])


def renewals_in(invoices: Iterable[Mapping[str, Any]]) -> tuple[Renewal, ...]:
    """Invoices, newest first, as renewals, oldest first. What asks for nothing (a trial's, one that credit covered whole)
    is no charge, and what is a draft or void is none (yet, or any more)."""
    billed = [one for one in invoices if one.get("status") not in _NOT_BILLED and one["amount_due"] > 0]
    return tuple(_renewal(invoice) for invoice in reversed(billed))


def _renewal(invoice: Mapping[str, Any]) -> Renewal:
    """The total is what Stripe asks for: the payer's credit there has been taken off, and the tax is no more than that."""
    currency = invoice["currency"]
    tax = sum(each["amount"] for each in invoice.get("total_taxes") or ())
    lines = (invoice.get("lines") or {}).get("data") or ()
    whole = [line for line in lines if not _is_proration(line)] or list(lines)
    next_try = invoice.get("next_payment_attempt")
    period = max((line["period"] for line in whole), key=lambda span: span["end"], default=None)
    return Renewal(
        reference=invoice["id"],
        number=invoice.get("number"),
        total=from_stripe(invoice["amount_due"], currency),
        tax=from_stripe(min(tax, invoice["amount_due"]), currency),
        description=next((line["description"] for line in whole if line.get("description")), "Subscription"),
        period_start=moment(period["start"] if period else invoice["period_start"]),
        period_end=moment(period["end"] if period else invoice["period_end"]),
        created_at=moment(invoice["created"]),
        paid=invoice["status"] == "paid",
        intent_reference=paid_by(invoice),
        tries=invoice.get("attempt_count") or 0,
        next_try_at=_when(next_try) if invoice["status"] == "open" else None,
    )


def paid_by(invoice: Mapping[str, Any]) -> str | None:
    """The payment that paid an invoice, else the one that is to: of its `payments`, which must be expanded."""
    payments = (invoice.get("payments") or {}).get("data") or ()
    ranked = sorted(payments, key=lambda each: (each["status"] != "paid", not each.get("is_default")))
    return next((found for each in ranked if (found := reference_of(each["payment"].get("payment_intent")))), None)


def preview_of(now: Mapping[str, Any], following: Mapping[str, Any]) -> ChangePreview:
    """Two previewed invoices: what would be billed at once, and what at the next renewal."""
    currency = now["currency"]
    amounts = [line["amount"] for line in (now.get("lines") or {}).get("data") or ()]
    return ChangePreview(
        credit=_signed(sum(amount for amount in amounts if amount < 0), currency),
        charge=_signed(sum(amount for amount in amounts if amount > 0), currency),
        due_now=from_stripe(now["amount_due"], currency),
        next_total=from_stripe(max(following["total"], 0), currency),
        next_at=moment(following.get("next_payment_attempt") or following["period_end"]),
    )


def _signed(amount: int, currency: str) -> Money:
    """Stripe may prorate to a fraction of what we keep (UGX, ISK); it bills such an amount rounded, and so it is shown."""
    known = Currency(currency)
    step = 100 if known.code in ("ISK", "UGX") else 1
    return from_stripe((amount + step // 2) // step * step, currency)


def _is_proration(line: Mapping[str, Any]) -> bool:
    parent = line.get("parent") or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    return bool(details.get("proration"))


def _when(seconds: int | None) -> datetime | None:
    return None if seconds is None else moment(seconds)
