"""Stripe's words, and ours. Pure. Its amounts are in amounts.py."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from adapters.providers.stripe.amounts import from_stripe
from application.ports.payers import MethodKind, ProviderMethod
from application.ports.payments import (
    CheckoutState,
    HostedCheckout,
    Intent,
    IntentState,
    ProviderCustomer,
    ProviderRefund,
    ProviderRefused,
    RefundState,
)
from application.ports.payouts import PayoutStanding, ProviderPayout
from domain.money import Money

KEY = "patchbay_key"
"""In the metadata of what the hub makes at Stripe: the idempotency key, by which it is found again."""
UNATTENDED = "patchbay_unattended"
"""In the metadata of a payment that was charged while its payer was away: nobody will try it again."""
REFUND_KEY = "patchbay_refund"
PAYER = "patchbay_client"
_OURS = frozenset((KEY, UNATTENDED, REFUND_KEY))
"""Written by this adapter for itself; nobody else is shown them."""

_CHECKOUTS = {state.value: state for state in CheckoutState}
_INTENTS = {
    "requires_payment_method": IntentState.WAITING,
    "requires_confirmation": IntentState.WAITING,
    "requires_action": IntentState.WAITING,
    "requires_capture": IntentState.WAITING,
    "processing": IntentState.PROCESSING,
    "succeeded": IntentState.SUCCEEDED,
    "canceled": IntentState.CANCELED,
}
_HOLDS_NOTHING = frozenset("won prevented warning_needs_response warning_under_review warning_closed".split())
"""Disputes that were won, warded off, or are only an inquiry so far: Stripe then holds no money."""
_REFUNDS = {
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.CANCELED,
}


def checkout_of(session: Mapping[str, Any]) -> HostedCheckout:
    """A Checkout Session. A status that is unheard of is UNKNOWN: nothing is concluded from it."""
    return HostedCheckout(
        reference=session["id"],
        url=session.get("url"),
        state=_CHECKOUTS.get(session.get("status") or "", CheckoutState.UNKNOWN),
        amount=from_stripe(session.get("amount_total") or 0, session["currency"]) if session.get("currency") else None,
        expires_at=moment(session["expires_at"]),
        paid=session.get("payment_status") in ("paid", "no_payment_required"),
        intent_reference=reference_of(session.get("payment_intent")),
        metadata=texts(session.get("metadata")),
    )


def intent_of(intent: Mapping[str, Any], disputes: Iterable[Mapping[str, Any]] | None = None) -> Intent:
    """A PaymentIntent, best with its `latest_charge.balance_transaction` expanded: the charge knows what went back, the
    balance transaction what Stripe keeps. disputes: those of the payment, if they were asked for.

    A fee in another currency than the payment's (money that Stripe converts) is not told: it is no part of the amount.
    """
    charge = intent.get("latest_charge")
    charge = charge if isinstance(charge, Mapping) else {}
    error = intent.get("last_payment_error")
    metadata = intent.get("metadata") or {}
    state = _INTENTS.get(intent["status"], IntentState.UNKNOWN)
    if state is IntentState.WAITING and error and metadata.get(UNATTENDED):
        state = IntentState.FAILED
    return Intent(
        reference=intent["id"],
        state=state,
        amount=from_stripe(intent["amount"], intent["currency"]),
        received=from_stripe(_received(intent), intent["currency"]),
        refunded=from_stripe(charge.get("amount_refunded", 0), intent["currency"]),
        raw_status=intent["status"],
        client_secret=intent.get("client_secret"),
        failure=(error.get("message") or error.get("code") or "The payment failed.") if error else None,
        metadata=texts(metadata),
        customer_reference=reference_of(intent.get("customer")),
        fee=fee_of(charge.get("balance_transaction"), intent["currency"]),
        disputed=None if disputes is None else _disputed(disputes, intent["currency"]),
    )


def fee_of(line: object, currency: str) -> Money | None:
    """What Stripe kept of a movement in this currency; None while it is not known, in another currency, or a fraction of
    what we can keep."""
    if not isinstance(line, Mapping) or line["currency"].lower() != currency.lower():
        return None
    try:
        return from_stripe(line["fee"], currency)
    except ProviderRefused:
        return None


def _disputed(disputes: Iterable[Mapping[str, Any]], currency: str) -> Money:
    held = (dispute["amount"] for dispute in disputes if dispute["status"] not in _HOLDS_NOTHING)
    return from_stripe(sum(held), currency)


def _received(intent: Mapping[str, Any]) -> int:
    """An old emulator leaves `amount_received` out; a succeeded payment has then received all of it."""
    received = intent.get("amount_received")
    return int(received if received is not None else intent["amount"] * (intent["status"] == "succeeded"))


def refund_of(refund: Mapping[str, Any]) -> ProviderRefund:
    """A Refund. One without a status was made before Stripe had any, and succeeded."""
    return ProviderRefund(
        reference=refund["id"],
        intent_reference=reference_of(refund.get("payment_intent")),
        state=_REFUNDS.get(refund.get("status") or "succeeded", RefundState.UNKNOWN),
        amount=from_stripe(refund["amount"], refund["currency"]),
        failure=refund.get("failure_reason"),
        key=(refund.get("metadata") or {}).get(REFUND_KEY),
    )


def customer_of(customer: Mapping[str, Any]) -> ProviderCustomer:
    """A Customer."""
    return ProviderCustomer(customer["id"], customer.get("email"), customer.get("name"))


def reference_of(link: object) -> str | None:
    """The id of a field that Stripe fills with an id or, when expanded, with the object."""
    if isinstance(link, Mapping):
        link = link.get("id")
    return link if isinstance(link, str) else None


def moment(seconds: int) -> datetime:
    """Stripe's Unix seconds as an aware moment in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def texts(metadata: object) -> dict[str, str]:
    """Metadata without what this adapter wrote for itself."""
    if not isinstance(metadata, Mapping):
        return {}
    return {str(k): str(v) for k, v in metadata.items() if k not in _OURS}


_BANK = frozenset("acss_debit au_becs_debit bacs_debit nz_bank_account sepa_debit us_bank_account".split())
_WALLETS = frozenset("alipay amazon_pay cashapp grabpay kakao_pay link naver_pay paypal revolut_pay wechat_pay".split())


def method_of(method: Mapping[str, Any], default: str | None) -> ProviderMethod:
    """A PaymentMethod. default: the id of the payer's default one."""
    kind = str(method["type"])
    details = method.get(kind) or {}
    known = MethodKind.BANK_ACCOUNT if kind in _BANK else MethodKind.WALLET if kind in _WALLETS else MethodKind.OTHER
    year, month = details.get("exp_year"), details.get("exp_month")
    return ProviderMethod(
        reference=method["id"],
        kind=MethodKind.CARD if kind == "card" else known,
        brand=str(details.get("brand") or details.get("bank_name") or kind),
        last4=str(details.get("last4") or ""),
        expires=(year, month) if isinstance(year, int) and isinstance(month, int) else None,
        is_default=method["id"] == default,
    )


_PAYOUTS = {standing.value: standing for standing in PayoutStanding}


def payout_of(payout: Mapping[str, Any]) -> ProviderPayout:
    """A Payout. Stripe takes no fee of a standard one; what an instant one costs is not told with it."""
    return ProviderPayout(
        reference=payout["id"],
        standing=_PAYOUTS.get(payout["status"], PayoutStanding.UNKNOWN),
        raw_status=payout["status"],
        amount=from_stripe(payout["amount"], payout["currency"]),
        fee=None,
        failure=payout.get("failure_message") or payout.get("failure_code"),
        arrives_on=moment(payout["arrival_date"]).date() if payout.get("arrival_date") else None,
        key=(payout.get("metadata") or {}).get(KEY),
    )
