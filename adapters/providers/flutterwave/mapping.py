"""Flutterwave's words and amounts, and ours. Pure.

Amounts are JSON numbers in major units: 125.5 NGN, 5000 UGX. In its answers a number may also be a text.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from application.ports.payments import (
    CheckoutState,
    HostedCheckout,
    Intent,
    IntentState,
    PaidWith,
    ProviderRefund,
    ProviderRefused,
    RefundState,
)
from application.ports.payouts import PayoutStanding, ProviderPayout
from application.ports.recurring import ProviderPlan
from domain.billing.plans import Interval
from domain.money import Currency, DoesNotFit, Money, UnknownCurrency
from domain.refusals import Invalid

CURRENCIES = frozenset(
    "CAD EGP ETB EUR GBP GHS INR KES MUR MWK NGN RWF TZS UGX USD XAF XOF ZAR ZMW".split()
)  # fmt: skip
"""What accounts collect in. Which of them an account has is settled in its dashboard; Flutterwave refuses the others."""

MOST = 999_999_999
"""Major units of the largest charge the hub asks for. Flutterwave's own limits belong to the account and are not told."""

MOBILE_MONEY = {
    "GHS": "mobile_money_ghana",
    "KES": "mpesa",
    "RWF": "mobile_money_rwanda",
    "TZS": "mobile_money_tanzania",
    "UGX": "mobile_money_uganda",
    "XAF": "mobile_money_franco",
    "XOF": "mobile_money_franco",
    "ZMW": "mobile_money_zambia",
}
"""The kind of charge that asks a mobile money payer, by currency (Flutterwave/Node-v3, services/charge)."""

SEVERAL_COUNTRIES = frozenset({"XAF", "XOF"})
"""Currencies whose mobile money charge must say which country."""

WHOLE_UNITS = frozenset({"KES"})
"""Currencies with decimals whose mobile money takes none (M-Pesa)."""

INTERVALS = {
    (Interval.DAY, 1): "daily",
    (Interval.WEEK, 1): "weekly",
    (Interval.MONTH, 1): "monthly",
    (Interval.MONTH, 3): "quarterly",
    (Interval.MONTH, 12): "yearly",
    (Interval.YEAR, 1): "yearly",
}
"""How often a payment plan is charged; Flutterwave has no others."""

_INTENTS = {
    "successful": IntentState.SUCCEEDED,
    "success": IntentState.SUCCEEDED,
    "pending": IntentState.PROCESSING,
    "failed": IntentState.FAILED,
    "cancelled": IntentState.CANCELED,
}
_REFUNDS = {
    "successful": RefundState.SUCCEEDED,
    "completed": RefundState.SUCCEEDED,
    "pending": RefundState.PENDING,
    "new": RefundState.PENDING,
    "processing": RefundState.PENDING,
    "failed": RefundState.FAILED,
}
_PAYOUTS = {
    "new": PayoutStanding.PENDING,
    "pending": PayoutStanding.IN_TRANSIT,
    "successful": PayoutStanding.PAID,
    "failed": PayoutStanding.FAILED,
}
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of what says none."""


def to_wire(money: Money) -> int | float:
    """The amount as a JSON number. A double writes back the same digits up to fifteen of them, and MOST allows eleven."""
    major = Decimal(money.amount).scaleb(-money.currency.exponent)
    return int(major) if major == major.to_integral_value() else float(major)


def from_wire(amount: object, currency: object) -> Money:
    """What Flutterwave counted, in our minor units. Raises ProviderRefused if we cannot keep it exactly."""
    unit = known(currency)
    if unit is None:
        raise ProviderRefused(
            f"Flutterwave spoke of {str(currency)[:20]!r}, which is not kept.", code="currency_unknown"
        )
    try:
        return Money.of(f"{_decimal(amount):f}", unit)
    except (DoesNotFit, ValueError) as error:
        raise ProviderRefused(
            f"{str(amount)[:40]} {unit.code} of Flutterwave's is no whole amount.", code="amount_does_not_fit"
        ) from error


def known(code: object) -> Currency | None:
    """The currency of this code; None for one that the hub does not keep (SLL, which ISO 4217 withdrew)."""
    try:
        return Currency(str(code))
    except UnknownCurrency:
        return None


def fee_of(amount: object, currency: Currency) -> Money | None:
    """A fee, which Flutterwave may count in fractions of the smallest unit (26.875 NGN): rounded half up. None where it
    says none, or nothing that can be read."""
    if amount is None:
        return None
    try:
        minor = _decimal(amount).scaleb(currency.exponent).to_integral_value(ROUND_HALF_UP)
        return Money(int(minor), currency)
    except (DoesNotFit, ValueError):
        return None


def countable(row: Mapping[str, Any], name: str, currency: Currency) -> tuple[Mapping[str, Any], str | None]:
    """A row of a list whose amount under `name` can be kept exactly, and None. Else the row with an amount near it (none
    for what is no number), and the amount in Flutterwave's words: one odd row must not end the list."""
    try:
        from_wire(row.get(name), currency.code)
    except ProviderRefused:
        near = fee_of(row.get(name), currency) or Money.zero(currency)
        return {**row, name: near.decimal}, f"{str(row.get(name))[:40]} {currency.code}"
    return row, None


def check_chargeable(money: Money, *, field: str = "amount") -> None:
    """Raise domain.refusals.Invalid naming `field` unless the hub asks Flutterwave for this."""
    code = money.currency.code
    if code not in CURRENCIES:
        raise Invalid.field(field, f"Flutterwave does not charge in {code}.")
    if money.amount <= 0:
        raise Invalid.field(field, "Flutterwave charges more than nothing.")
    if money > Money.of(MOST, money.currency):
        raise Invalid.field(field, f"A charge through Flutterwave is no more than {MOST:,} {code}.")


def checkout_of(reference: str, transaction: Mapping[str, Any] | None) -> HostedCheckout:
    """A hosted page, as far as the transaction that was made on it tells; None where there is none."""
    if transaction is None:
        return HostedCheckout(reference, None, CheckoutState.OPEN, None, None, False, None, {})
    intent = intent_of(transaction)
    state = {
        IntentState.SUCCEEDED: CheckoutState.COMPLETE,
        IntentState.UNKNOWN: CheckoutState.UNKNOWN,
    }.get(intent.state, CheckoutState.OPEN)
    return HostedCheckout(
        reference,
        None,
        state,
        intent.amount,
        None,
        intent.state is IntentState.SUCCEEDED,
        intent.reference,
        intent.metadata,
    )


def intent_of(transaction: Mapping[str, Any], refunded: Money | None = None) -> Intent:
    """A transaction. Its amount is what was paid, which need not be what was asked for: the caller compares."""
    amount = from_wire(transaction.get("amount"), transaction.get("currency"))
    raw = str(transaction.get("status") or "")
    state = _INTENTS.get(raw.lower(), IntentState.UNKNOWN)
    nothing = Money.zero(amount.currency)
    card = transaction.get("card")
    said = transaction.get("processor_response")
    return Intent(
        reference=str(transaction["id"]),
        state=state,
        amount=amount,
        received=amount if state is IntentState.SUCCEEDED else nothing,
        refunded=refunded or nothing,
        raw_status=raw,
        client_secret=None,
        failure=str(said or "The payment failed.") if state is IntentState.FAILED else None,
        metadata=texts(transaction.get("meta")),
        fee=fee_of(transaction.get("app_fee"), amount.currency) if state is IntentState.SUCCEEDED else None,
        method_reference=_text(card.get("token")) if isinstance(card, Mapping) else None,
        paid_with=_card(card) if isinstance(card, Mapping) else None,
    )


def _card(card: Mapping[str, Any]) -> PaidWith:
    """What is shown of a card. Its expiry is `MM/YY`; anything else is left out."""
    expiry = str(card.get("expiry") or "")
    month, slash, year = expiry.partition("/")
    known = bool(slash) and month.isascii() and month.isdigit() and year.isascii() and year.isdigit() and len(year) == 2
    return PaidWith(
        str(card.get("type") or "")[:60],
        str(card.get("last_4digits") or "")[-4:],
        f"20{year}-{int(month):02d}" if known else None,
    )


def refund_of(refund: Mapping[str, Any], transaction_id: str, currency: Currency) -> ProviderRefund:
    """A refund. Flutterwave names the way it went after the state (`completed-momo`); its comment holds our key."""
    state = _REFUNDS.get(str(refund.get("status") or "").lower().partition("-")[0], RefundState.UNKNOWN)
    return ProviderRefund(
        reference=str(refund["id"]),
        intent_reference=transaction_id,
        state=state,
        amount=from_wire(refund.get("amount_refunded"), currency.code),
        failure="The bank sent it back." if state is RefundState.FAILED else None,
        key=key_in(refund.get("comment") or refund.get("comments")),
    )


def comment_with(key: str, reason: str) -> str:
    """What is written on a refund: the reason for people, and our key by which it is found again."""
    return f"{' '.join(reason.replace('[', '(').replace(']', ')').split())[:150]} [{key}]".strip()


def key_in(comment: object) -> str | None:
    """The key that `comment_with` wrote."""
    text = str(comment or "").rstrip()
    return text[text.rfind("[") + 1 : -1] or None if text.endswith("]") and "[" in text else None


def payout_of(transfer: Mapping[str, Any]) -> ProviderPayout:
    """A transfer."""
    amount = from_wire(transfer.get("amount"), transfer.get("currency"))
    raw = str(transfer.get("status") or "")
    standing = _PAYOUTS.get(raw.lower(), PayoutStanding.UNKNOWN)
    debited = transfer.get("debit_currency")
    same = debited is None or str(debited).upper() == amount.currency.code
    return ProviderPayout(
        reference=str(transfer["id"]),
        standing=standing,
        raw_status=raw,
        amount=amount,
        fee=fee_of(transfer.get("fee"), amount.currency) if same else None,
        failure=str(transfer.get("complete_message") or "The transfer failed.")
        if standing is PayoutStanding.FAILED
        else None,
        arrives_on=None,
        key=_text(transfer.get("reference")),
    )


def plan_of(plan: Mapping[str, Any]) -> ProviderPlan:
    """A payment plan."""
    return ProviderPlan(
        str(plan["id"]), None, from_wire(plan.get("amount"), plan.get("currency")), plan.get("status") == "active"
    )


def moment(text: object) -> datetime:
    """A time as Flutterwave writes it (`2020-07-15T14:31:16.000Z`), aware; NEVER for what is none."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return NEVER
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def texts(meta: object) -> dict[str, str]:
    """Metadata. Flutterwave adds words of its own (`__CheckoutInitAddress`), which are left out."""
    if not isinstance(meta, Mapping):
        return {}
    return {str(k): str(v) for k, v in meta.items() if isinstance(v, str | int) and not str(k).startswith("__")}


def _decimal(amount: object) -> Decimal:
    """Raises ValueError for what is no plain number. A double that JSON brought is read by its shortest digits."""
    if isinstance(amount, bool) or not isinstance(amount, int | float | str):
        raise ValueError(f"{type(amount).__name__} is no amount")
    try:
        number = Decimal(str(amount).strip())
    except InvalidOperation as error:
        raise ValueError("no number") from error
    if not number.is_finite():
        raise ValueError("no number")
    return number


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
