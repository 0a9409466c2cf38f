"""The shapes that hold more than one value, and those that name another record."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from domain.ids import PREFIXES, make_id
from domain.money import Currency, Money
from domain.refusals import Fault, Invalid, Refusal
from domain.work.shapes import JsonSchema, Pointer, Shape
from domain.work.texts import CurrencyCode, read_text

_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,20})?")
_ASKED = 'Write the amount as a text in major units, such as "12.50".'


@attrs.frozen
class Amount(Shape):
    """Money: given as `{"amount": "12.50", "currency": "USD"}`, kept as minor units, shown with both.

    The shown form (`{"amount": 1250, "currency": "USD", "decimal": "12.50"}`) may be sent back as it is. A bare number
    is refused, because nobody can tell whether 1250 means dollars or cents. negative: it may be below zero.
    """

    negative: bool = False
    value: str = "1250.00"
    """The sample's amount."""

    def read(self, given: Any, at: str) -> dict[str, Any]:
        """Kept: amount in minor units, currency. Raises Invalid for what does not fit the currency; never rounds."""
        if not isinstance(given, Mapping):
            raise Invalid.field(at, 'This must be an amount such as {"amount": "12.50", "currency": "USD"}.')
        faults = [
            Fault(f"{at}.{str(name)[:100]}", "There is no such field here.")
            for name in sorted(map(str, given.keys() - {"amount", "currency", "decimal"}))[:10]
        ]
        try:
            currency = CurrencyCode().read(given.get("currency") or "", f"{at}.currency")
            if currency is None:
                faults.append(Fault(f"{at}.currency", "This is needed, such as USD."))
        except Invalid as invalid:
            currency = None
            faults.extend(invalid.faults)
        decimal = _decimal(given)
        if decimal is None:
            faults.append(Fault(f"{at}.amount", _ASKED))
        if faults or currency is None or decimal is None:
            raise Invalid(*faults)
        try:
            money = Money.of(decimal, currency, field=f"{at}.amount")
        except Refusal as refusal:
            raise Invalid.field(f"{at}.amount", refusal.reason) from refusal
        if not _agrees(given, money):
            raise Invalid.field(f"{at}.decimal", "This is another amount than `amount`; send only one of the two.")
        if money.amount < 0 and not self.negative:
            raise Invalid.field(f"{at}.amount", "This may not be below zero.")
        return {"amount": money.amount, "currency": money.currency.code}

    @property
    def schema(self) -> JsonSchema:
        """Minor units, currency, and the decimal for people."""
        floor = {} if self.negative else {"minimum": 0}
        return {
            "type": "object",
            "description": "Money: `amount` in minor units (cents for USD, yen for JPY), `decimal` in major units.",
            "properties": {
                "amount": {"type": "integer", **floor},
                "currency": CurrencyCode().schema,
                "decimal": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"},
            },
            "required": ["amount", "currency", "decimal"],
            "additionalProperties": True,
        }

    @property
    def accepts(self) -> JsonSchema:
        """A decimal text and a currency."""
        return {
            "type": "object",
            "description": "Money: `amount` is a decimal text in major units.",
            "properties": {
                "amount": {"type": "string", "pattern": r"^-?[0-9]{1,15}(\.[0-9]{1,4})?$"},
                "currency": CurrencyCode().accepts,
            },
            "required": ["amount", "currency"],
        }

    @property
    def sample(self) -> dict[str, str]:
        """Some dollars."""
        return {"amount": self.value, "currency": "USD"}

    def show(self, kept: Any) -> Any:
        """With the decimal."""
        return {**kept, "decimal": _money(kept).decimal}

    def give(self, kept: Any) -> Any:
        """With the decimal in the place of the minor units."""
        return kept and {"amount": _money(kept).decimal, "currency": kept["currency"]}


def _decimal(given: Mapping[str, Any]) -> str | None:
    amount, decimal = given.get("amount"), given.get("decimal")
    if isinstance(amount, int) and not isinstance(amount, bool):
        amount = decimal
    return amount if isinstance(amount, str) and _DECIMAL.fullmatch(amount) else None


def _agrees(given: Mapping[str, Any], money: Money) -> bool:
    amount, decimal = given.get("amount"), given.get("decimal")
    return amount == money.amount if isinstance(amount, int) else decimal in (None, amount, money.decimal)


def _money(kept: Mapping[str, Any]) -> Money:
    return Money(kept["amount"], Currency(kept["currency"]))


@attrs.frozen
class Tags(Shape):
    """Short words to find things by, in the order given, each once whatever its capitals."""

    maximum: int = 50

    def read(self, given: Any, at: str) -> list[str]:
        """At most `maximum` words of at most 50 characters."""
        if not isinstance(given, list | tuple):
            raise Invalid.field(at, 'This must be a list of words such as ["vip"].')
        if len(given) > self.maximum:
            raise Invalid.field(at, f"This may have {self.maximum} words at most; it has {len(given)}.")
        kept: dict[str, str] = {}
        faults: list[Fault] = []
        for index, word in enumerate(given):
            try:
                text = read_text(word, f"{at}.{index}", 50)
            except Invalid as invalid:
                faults.extend(invalid.faults)
                continue
            if text:
                kept.setdefault(text.casefold(), text)
        if faults:
            raise Invalid(*faults)
        return list(kept.values())

    @property
    def schema(self) -> JsonSchema:
        """An array of strings."""
        return {"type": "array", "items": {"type": "string", "maxLength": 50}, "maxItems": self.maximum}

    @property
    def sample(self) -> list[str]:
        """One word."""
        return ["vip"]

    @property
    def blank(self) -> list[str]:
        """No words."""
        return []


def _is_id(text: Any, kind: str) -> bool:
    return isinstance(text, str) and re.fullmatch(f"{PREFIXES.get(kind, kind)}_[0-9A-Za-z]{{1,40}}", text) is not None


def sample_id(kind: str) -> str:
    """An id for examples: always the same for a kind."""
    return make_id(kind, 1_767_225_600_000, kind.encode().ljust(10, b"-"))


@attrs.frozen
class Reference(Shape):
    """The id of another record of one kind. Whether it exists is for the use case to find out."""

    kind: str

    def read(self, given: Any, at: str) -> str | None:
        """Judged by its prefix."""
        text = read_text(given, at, 60)
        if text and not _is_id(text, self.kind):
            raise Invalid.field(at, f"This must be the id of a {self.kind} ({PREFIXES.get(self.kind, self.kind)}_…).")
        return text or None

    @property
    def schema(self) -> JsonSchema:
        """A string with the kind's prefix."""
        return {"type": "string", "pattern": f"^{PREFIXES.get(self.kind, self.kind)}_[0-9A-Za-z]+$"}

    @property
    def sample(self) -> str:
        """Such an id."""
        return sample_id(self.kind)

    def pointers(self, kept: Any, at: str) -> Iterator[Pointer]:
        """The one record."""
        yield Pointer(at, self.kind, kept)


@attrs.frozen
class Subject(Shape):
    """Any record of several kinds: `{"kind": "deal", "id": "deal_…"}`."""

    kinds: tuple[str, ...]

    def read(self, given: Any, at: str) -> dict[str, str]:
        """The id's prefix must be the kind's."""
        if not isinstance(given, Mapping) or given.keys() - {"kind", "id"}:
            raise Invalid.field(at, 'This must be such as {"kind": "client", "id": "client_…"}.')
        kind, id_ = given.get("kind"), given.get("id")
        if not isinstance(kind, str) or kind not in self.kinds:
            raise Invalid.field(f"{at}.kind", f"This must be one of {', '.join(self.kinds)}.")
        if not _is_id(id_, kind):
            raise Invalid.field(f"{at}.id", f"This must be the id of a {kind} ({PREFIXES.get(kind, kind)}_…).")
        return {"kind": kind, "id": str(id_)}

    @property
    def schema(self) -> JsonSchema:
        """Kind and id."""
        return {
            "type": "object",
            "properties": {"kind": {"type": "string", "enum": list(self.kinds)}, "id": {"type": "string"}},
            "required": ["kind", "id"],
            "additionalProperties": True,
        }

    @property
    def sample(self) -> dict[str, str]:
        """The first kind."""
        return {"kind": self.kinds[0], "id": sample_id(self.kinds[0])}

    def pointers(self, kept: Any, at: str) -> Iterator[Pointer]:
        """The one record."""
        yield Pointer(f"{at}.id", kept["kind"], kept["id"])
