"""PayPal's words and amounts, and ours. Pure.

Amounts are decimal texts in major units (Orders v2, object `money`), in the currencies of
developer.paypal.com/api/rest/reference/currency-codes; three of them take no decimals there.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from adapters.providers.paypal import notes
from application.ports.payments import (
    CheckoutState,
    HostedCheckout,
    Intent,
    IntentState,
    ProviderRefund,
    ProviderRefused,
    RefundState,
)
from domain.money import Currency, Money, UnknownCurrency
from domain.refusals import Invalid, Refusal

WHOLE_UNITS = frozenset(("HUF", "JPY", "TWD"))
"""Charged in whole units only. HUF and TWD have two decimals in ISO 4217, so 1.50 HUF cannot be charged."""
CURRENCIES = WHOLE_UNITS | frozenset(
    "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD ILS MXN MYR NOK NZD PHP PLN SEK SGD THB USD".split()
)
_LARGEST = Decimal("9999999.99")
"""Seven digits before the point; PayPal judges smaller amounts by the account's own limits."""
_EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
_AMOUNT = re.compile(r"-?[0-9]{0,30}(\.[0-9]{1,10})?")

_CHECKOUTS = {
    "CREATED": CheckoutState.OPEN,
    "SAVED": CheckoutState.OPEN,
    "PAYER_ACTION_REQUIRED": CheckoutState.OPEN,
    "APPROVED": CheckoutState.APPROVED,
    "VOIDED": CheckoutState.EXPIRED,
    "COMPLETED": CheckoutState.COMPLETE,
}
_CAPTURES = {
    "COMPLETED": IntentState.SUCCEEDED,
    "PARTIALLY_REFUNDED": IntentState.SUCCEEDED,
    "REFUNDED": IntentState.SUCCEEDED,
    "PENDING": IntentState.PROCESSING,
    "DECLINED": IntentState.FAILED,
    "FAILED": IntentState.FAILED,
}
_REFUNDS = {
    "PENDING": RefundState.PENDING,
    "COMPLETED": RefundState.SUCCEEDED,
    "FAILED": RefundState.FAILED,
    "CANCELLED": RefundState.CANCELED,
}
COUNTED_REFUNDS = (RefundState.PENDING, RefundState.SUCCEEDED)
_TAKEN_BACK = ("CHARGEBACK", "BUYER_COMPLAINT")
_LIVE_HOSTS = ("api.paypal.com", "api-m.paypal.com")


def to_paypal(money: Money, *, field: str = "amount") -> str:
    """The amount as PayPal reads it. Raises domain.refusals.Invalid naming `field`, or `currency`, if it has none."""
    code = money.currency.code
    if code not in CURRENCIES:
        raise Invalid.field("currency", f"PayPal does not charge in {code}.")
    amount = Decimal(money.amount).scaleb(-money.currency.exponent)
    if code in WHOLE_UNITS and amount != amount.to_integral_value():
        raise Invalid.field(field, f"PayPal charges {code} in whole units; {money.decimal} is not one.")
    return f"{amount:.{0 if code in WHOLE_UNITS else 2}f}"


def wire(money: Money, *, field: str = "amount") -> dict[str, str]:
    """The amount as PayPal's `money` object."""
    return {"currency_code": money.currency.code, "value": to_paypal(money, field=field)}


def from_paypal(value: object, currency: object) -> Money:
    """What PayPal counted, in our minor units. Raises ProviderRefused if we cannot keep it exactly."""
    try:
        known = Currency(str(currency))
        text = str(value)
        if not text or not _AMOUNT.fullmatch(text):
            raise InvalidOperation(text[:40])
        minor = Decimal(text).scaleb(known.exponent)
    except UnknownCurrency as error:
        raise ProviderRefused(f"PayPal spoke of {currency!r}, which is not kept.", code="currency_unknown") from error
    except InvalidOperation as error:
        raise ProviderRefused(
            f"PayPal's amount {str(value)[:40]!r} is no amount.", code="amount_does_not_fit"
        ) from error
    if minor != minor.to_integral_value():
        raise ProviderRefused(f"PayPal's {value} {currency} is no whole amount.", code="amount_does_not_fit")
    try:
        return Money(int(minor), known)
    except Refusal as error:
        raise ProviderRefused(error.reason, code="amount_does_not_fit") from error


def money_of(wired: object) -> Money | None:
    """A `money` object (also a payout's, which calls its currency otherwise); None where there is none."""
    if not isinstance(wired, Mapping) or "value" not in wired:
        return None
    return from_paypal(wired["value"], wired.get("currency_code") or wired.get("currency"))


def check_chargeable(money: Money, *, field: str = "amount") -> None:
    """Raise domain.refusals.Invalid naming `field` unless PayPal can charge this."""
    try:
        amount = Decimal(to_paypal(money, field=field))
    except Invalid as error:
        raise Invalid.field(field, error.faults[0].reason) from error
    if amount <= 0:
        raise Invalid.field(field, "PayPal charges nothing below its smallest amount.")
    if amount > _LARGEST:
        raise Invalid.field(field, f"PayPal charges no more than {_LARGEST:,} {money.currency.code} at a time.")


def checkout_of(order: Mapping[str, Any], now: datetime) -> HostedCheckout:
    """An order. One that the hub has closed, or whose time with the hub is over, counts as expired unless it is paid."""
    unit = unit_of(order)
    note = notes.read(unit.get("custom_id"))
    state = _CHECKOUTS.get(str(order.get("status")), CheckoutState.UNKNOWN)
    late = note.ends_at is not None and note.ends_at <= now and state is CheckoutState.OPEN
    if (note.closed or late) and state is not CheckoutState.COMPLETE:
        state = CheckoutState.EXPIRED
    capture = last_capture(order)
    captured = capture and _CAPTURES.get(str(capture.get("status"))) is IntentState.SUCCEEDED
    return HostedCheckout(
        reference=str(order["id"]),
        url=link(order, "payer-action", "approve") if state is CheckoutState.OPEN else None,
        state=state,
        amount=money_of(unit.get("amount")),
        expires_at=note.ends_at,
        paid=bool(captured),
        intent_reference=str(capture["id"]) if capture else None,
        metadata=note.metadata,
    )


def order_as_intent(order: Mapping[str, Any], *, failure: str | None = None) -> Intent:
    """An order for the host's own page, which nobody has paid yet."""
    unit = unit_of(order)
    note = notes.read(unit.get("custom_id"))
    amount = money_of(unit.get("amount"))
    if amount is None:
        raise ProviderRefused("PayPal's order has no amount.", code="amount_does_not_fit")
    status = str(order.get("status"))
    states = {CheckoutState.EXPIRED: IntentState.CANCELED, CheckoutState.UNKNOWN: IntentState.UNKNOWN}
    state = states.get(_CHECKOUTS.get(status, CheckoutState.UNKNOWN), IntentState.WAITING)
    return Intent(
        reference=str(order["id"]),
        state=IntentState.CANCELED if note.closed else state,
        amount=amount,
        received=Money.zero(amount.currency),
        refunded=Money.zero(amount.currency),
        raw_status=status,
        # PayPal's buttons need the order's id and no secret.
        client_secret=str(order["id"]),
        failure=failure,
        metadata=note.metadata,
        updated_at=moment(order.get("update_time") or order.get("create_time")),
    )


def intent_of(capture: Mapping[str, Any], refunds: Sequence[ProviderRefund]) -> Intent:
    """A capture, with the refunds of it. One of an order for the host's own page goes by the order's id, as it began."""
    amount = money_of(capture.get("amount"))
    if amount is None:
        raise ProviderRefused("PayPal's capture has no amount.", code="amount_does_not_fit")
    status = str(capture.get("status"))
    state = _CAPTURES.get(status, IntentState.UNKNOWN)
    nothing = Money.zero(amount.currency)
    back = sum((one.amount.amount for one in refunds if one.state in COUNTED_REFUNDS), 0)
    reason = str((capture.get("status_details") or {}).get("reason") or "")
    fee = money_of((capture.get("seller_receivable_breakdown") or {}).get("paypal_fee"))
    note = notes.read(capture.get("custom_id"))
    return Intent(
        reference=intent_reference(capture),
        state=state,
        amount=amount,
        received=amount if state is IntentState.SUCCEEDED else nothing,
        refunded=Money(back, amount.currency),
        raw_status=status,
        client_secret=None,
        failure=_said(reason) or "PayPal declined the payment." if state is IntentState.FAILED else None,
        metadata=note.metadata,
        fee=fee if fee is not None and fee.currency == amount.currency else None,
        disputed=amount if reason in _TAKEN_BACK else None,
        updated_at=moment(capture.get("update_time") or capture.get("create_time")),
    )


def intent_reference(capture: Mapping[str, Any]) -> str:
    """What a capture goes by here: its order's id where it is of the host's own page, else its own."""
    note = notes.read(capture.get("custom_id"))
    order = order_id(capture)
    return order if note.own_page and order else str(capture["id"])


def order_id(capture: Mapping[str, Any]) -> str | None:
    """The order that a capture was made of, where it tells."""
    related = (capture.get("supplementary_data") or {}).get("related_ids") or {}
    if related.get("order_id"):
        return str(related["order_id"])
    up = link(capture, "up") or ""
    return up.rsplit("/", 1)[-1] if "/v2/checkout/orders/" in up else None


def refund_of(refund: Mapping[str, Any], intent: str | None) -> ProviderRefund:
    """A refund; `intent`: the payment that it is of, as it goes by here. The hub keeps its key in `custom_id`."""
    amount = money_of(refund.get("amount"))
    if amount is None:
        raise ProviderRefused("PayPal's refund has no amount.", code="amount_does_not_fit")
    state = _REFUNDS.get(str(refund.get("status")), RefundState.UNKNOWN)
    reason = str((refund.get("status_details") or {}).get("reason") or "")
    failed = state in (RefundState.FAILED, RefundState.CANCELED)
    return ProviderRefund(
        reference=str(refund["id"]),
        intent_reference=intent,
        state=state,
        amount=Money(abs(amount.amount), amount.currency),
        failure=_said(reason) or "PayPal could not send it back." if failed else None,
        key=refund.get("custom_id") or None,
    )


def unit_of(order: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one purchase unit of an order of the hub's."""
    units = order.get("purchase_units") or [{}]
    first = units[0]
    return first if isinstance(first, Mapping) else {}


def last_capture(order: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The order's capture: the one that went well, else the last that was tried."""
    captures = [c for c in (unit_of(order).get("payments") or {}).get("captures") or () if isinstance(c, Mapping)]
    good = [c for c in captures if _CAPTURES.get(str(c.get("status"))) is not IntentState.FAILED]
    return (good or captures)[-1] if captures else None


def link(thing: Mapping[str, Any], *rels: str) -> str | None:
    """Where one of an object's links leads; the first of `rels` that it has."""
    found = {str(one.get("rel")): one.get("href") for one in thing.get("links") or () if isinstance(one, Mapping)}
    return next((str(found[rel]) for rel in rels if found.get(rel)), None)


def is_email(text: str | None) -> bool:
    """Whether PayPal takes it for an e-mail address; it is stricter than the rest of the world, and takes ASCII alone."""
    return text is not None and 3 <= len(text) <= 254 and ".." not in text and _EMAIL.fullmatch(text) is not None


def moment(text: object) -> datetime | None:
    """A time of PayPal's; None where there is none, or none that can be read."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)


def stamp(at: datetime) -> str:
    """A time as PayPal takes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_live(thing: Mapping[str, Any]) -> bool:
    """Whether an object's links lead into PayPal's live world."""
    hrefs = [str(one.get("href")) for one in thing.get("links") or () if isinstance(one, Mapping)]
    return any(_host(href) in _LIVE_HOSTS for href in hrefs)


def _host(href: str) -> str | None:
    try:
        return urlsplit(href).hostname
    except ValueError:
        return None


def _said(reason: str) -> str | None:
    return f"PayPal says: {reason.replace('_', ' ').lower()}." if reason else None
