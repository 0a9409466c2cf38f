"""What the sandbox keeps for one application: orders, captures, plans and so on, and the events that they cause. In memory."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

from adapters.providers.paypal import mapping
from application.ports.clock import Clock
from application.ports.ids import Ids
from domain.money import Money

Json = dict[str, Any]

_LETTERS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_PLACES = {**dict.fromkeys(mapping.CURRENCIES, 2), **dict.fromkeys(mapping.WHOLE_UNITS, 0)}


class PayPalFault(Exception):
    """A refusal. name: the error's; issue and field: of its one detail, where it has one."""

    def __init__(
        self,
        status: int,
        name: str,
        issue: str | None = None,
        *,
        field: str | None = None,
        message: str | None = None,
        links: list[Json] | None = None,
    ) -> None:
        super().__init__(f"{status} {name} {issue or ''}")
        self.status = status
        self.name = name
        self.issue = issue
        self.field = field
        self.message = message
        self.links = links


def missing(what: str) -> PayPalFault:
    """There is no such object."""
    return PayPalFault(404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID", field=what)


def wrong(issue: str, field: str) -> PayPalFault:
    """The request is not what the description says."""
    return PayPalFault(400, "INVALID_REQUEST", issue, field=field)


def refused(issue: str, field: str | None = None) -> PayPalFault:
    """The request is well formed and cannot be done."""
    return PayPalFault(422, "UNPROCESSABLE_ENTITY", issue, field=field)


@attrs.frozen
class Call:
    """One HTTP request. headers: lower-case names. body: JSON, None where there is none."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    raw: bytes
    headers: Mapping[str, str]


@attrs.define(eq=False)
class Books:
    """One application's account."""

    client_id: str
    clock: Clock
    ids: Ids
    public_url: Callable[[], str]
    orders: dict[str, Json] = attrs.field(factory=dict)
    captures: dict[str, Json] = attrs.field(factory=dict)
    refunds: dict[str, Json] = attrs.field(factory=dict)
    products: dict[str, Json] = attrs.field(factory=dict)
    plans: dict[str, Json] = attrs.field(factory=dict)
    subscriptions: dict[str, Json] = attrs.field(factory=dict)
    sales: dict[str, list[Json]] = attrs.field(factory=dict)
    """A subscription's transactions."""
    payouts: dict[str, Json] = attrs.field(factory=dict)
    webhooks: dict[str, Json] = attrs.field(factory=dict)
    events: list[Json] = attrs.field(factory=list)
    moves: list[Json] = attrs.field(factory=list)
    """The list of transactions."""
    unsent: list[Json] = attrs.field(factory=list)
    funding: dict[str, str] = attrs.field(factory=dict)
    """What the payer chose to pay an order with."""
    captured_numbers: set[str] = attrs.field(factory=set)
    answered: dict[tuple[str, str, str], tuple[Any, int, Any]] = attrs.field(factory=dict)
    """By PayPal-Request-Id: what was asked, and the answer."""

    def now(self) -> datetime:
        """The moment, to the second."""
        return self.clock.now().replace(microsecond=0)

    def stamp(self) -> str:
        """The moment as PayPal writes it."""
        return mapping.stamp(self.now())

    def id(self, length: int = 17, prefix: str = "") -> str:
        """An id as PayPal's are: capitals and digits."""
        return prefix + "".join(_LETTERS[byte % len(_LETTERS)] for byte in self.ids.randomness(length))

    def link(self, path: str, rel: str, method: str = "GET") -> Json:
        """A link to a place of the API, or of the hosted pages."""
        return {"href": f"{self.public_url()}/paypal{path}", "rel": rel, "method": method}

    def tell(self, type_: str, word: str, resource: Json, summary: str) -> Json:
        """An event; it is sent when the call is over."""
        id_ = self.id(17, "WH-") + "-" + self.id(17)
        event = {
            "id": id_,
            "event_version": "1.0",
            "create_time": self.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "resource_type": word,
            "resource_version": "2.0",
            "event_type": type_,
            "summary": summary,
            "resource": copied(resource),
            "links": [self.link(f"/v1/notifications/webhooks-events/{id_}", "self")],
        }
        self.events.append(event)
        self.unsent.append(event)
        return event

    def move(self, code: str, id_: str, amount: Money, *, fee: Money | None = None, **more: Any) -> None:
        """A line of the list of transactions."""
        sign = -1 if amount.amount < 0 else 1
        info: Json = {
            "transaction_id": id_,
            "transaction_event_code": code,
            "transaction_initiation_date": self.stamp(),
            "transaction_updated_date": self.stamp(),
            "transaction_amount": _signed(amount),
            "transaction_status": "S",
            **more,
        }
        if fee is not None:
            info["fee_amount"] = _signed(Money(-sign * abs(fee.amount), fee.currency))
        self.moves.append(info)


def copied(thing: Any) -> Any:
    """A copy of JSON, so that what was told stays as it was."""
    if isinstance(thing, dict):
        return {name: copied(value) for name, value in thing.items()}
    return [copied(value) for value in thing] if isinstance(thing, list) else thing


def amount_in(thing: Any, field: str, *, currency: str = "currency_code") -> Money:
    """A `money` object of a request, held against PayPal's rules. Raises PayPalFault."""
    if not isinstance(thing, dict) or currency not in thing or "value" not in thing:
        raise wrong("MISSING_REQUIRED_PARAMETER", field)
    code, value = thing[currency], thing["value"]
    if not isinstance(value, str) or not isinstance(code, str):
        raise wrong("INVALID_PARAMETER_SYNTAX", f"{field}/value")
    if code not in _PLACES:
        raise refused("INVALID_CURRENCY_CODE", f"{field}/{currency}")
    try:
        number = Decimal(value)
    except ArithmeticError as error:
        raise wrong("INVALID_PARAMETER_SYNTAX", f"{field}/value") from error
    if number != round(number, _PLACES[code]) or (_PLACES[code] == 0 and "." in value):
        raise refused("DECIMAL_PRECISION", f"{field}/value")
    if number <= 0:
        raise refused("CANNOT_BE_ZERO_OR_NEGATIVE", f"{field}/value")
    if number > Decimal("9999999.99"):
        raise refused("MAX_VALUE_EXCEEDED", f"{field}/value")
    return mapping.from_paypal(value, code)


def fee_of(amount: Money) -> Money:
    """What the sandbox keeps: 3 % and half a unit, never more than the amount."""
    unit = 10 ** (amount.currency.exponent)
    fee = (amount.amount * 3) // 100 + unit // 2
    if amount.currency.code in mapping.WHOLE_UNITS:
        fee -= fee % unit
    return Money(min(fee, amount.amount), amount.currency)


def _signed(amount: Money) -> Json:
    wired = mapping.wire(Money(abs(amount.amount), amount.currency))
    return {**wired, "value": f"-{wired['value']}"} if amount.amount < 0 else wired
