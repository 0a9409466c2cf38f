"""What callers may send, made up by Hypothesis from the shapes themselves, and the merge patch as its RFC writes it."""

from datetime import UTC, date, datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from domain.money import Currency, Money
from domain.work.compounds import Amount, Reference, Subject, Tags
from domain.work.fields import Field, Group, ListOf
from domain.work.records import Kind, Record
from domain.work.scalars import Choice, Day, Flag, Moment, Number, Whole
from domain.work.shapes import Shape
from domain.work.texts import CurrencyCode, Email, LongText, Phone, Text, Url

patiently = settings(deadline=None, max_examples=60)
"""Two shared cores make a deadline fail for no reason of ours."""

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

CURRENCIES = st.sampled_from(["USD", "JPY", "KWD", "CLF"])
_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=30).filter(
    lambda text: bool(text.strip())
)


@st.composite
def amounts(draw: st.DrawFn, *, negative: bool) -> dict[str, Any]:
    """Money in one of the two forms that are taken."""
    currency = draw(CURRENCIES)
    money = Money(draw(st.integers(-(10**9) if negative else 0, 10**9)), Currency(currency))
    asked = {"amount": money.decimal, "currency": draw(st.sampled_from([currency, currency.lower()]))}
    shown = {"amount": money.amount, "currency": currency, "decimal": money.decimal}
    return draw(st.sampled_from([asked, shown]))


def references(kind: str) -> st.SearchStrategy[str]:
    """Ids of other records of a kind."""
    return st.sampled_from([Reference(kind).sample, Reference(kind).sample[:-1] + "Z"])


def values(shape: Shape) -> st.SearchStrategy[Any]:
    """Values that a shape takes."""
    match shape:
        case Text() if shape.pattern:
            return st.sampled_from([shape.sample, f"  {shape.sample} "])
        case Text() | LongText():
            return _WORDS
        case Email() | Phone() | Url():
            return st.sampled_from([shape.sample, f" {shape.sample}"])
        case CurrencyCode():
            return CURRENCIES
        case Day():
            return st.dates(date(2026, 1, 1), date(2026, 12, 31)).map(date.isoformat)
        case Moment():
            return st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)).map(
                datetime.isoformat
            )
        case Whole():
            return st.integers(shape.minimum, shape.maximum)
        case Number():
            return st.floats(shape.minimum, shape.maximum)
        case Flag():
            return st.booleans()
        case Choice():
            return st.sampled_from(shape.options)
        case Tags():
            return st.lists(_WORDS, max_size=4)
        case Amount():
            return amounts(negative=shape.negative)
        case Reference():
            return references(shape.kind)
        case Subject():
            return st.sampled_from(shape.kinds).map(lambda kind: Subject((kind,)).sample)
        case Group():
            return objects(shape)
        case ListOf():
            return st.lists(objects(shape.group), max_size=3)
        case _:
            raise NotImplementedError(shape)


def objects(group: Group) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that a group takes."""
    return st.fixed_dictionaries(
        {field.name: values(field.shape) for field in group.fields if field.required},
        optional={field.name: _or_null(field) for field in group.fields if not field.required},
    )


def patches(group: Group) -> st.SearchStrategy[dict[str, Any]]:
    """Merge patches of such objects."""
    return st.fixed_dictionaries({}, optional={field.name: _or_null(field) for field in group.fields})


def _or_null(field: Field) -> st.SearchStrategy[Any]:
    return values(field.shape) if field.required else st.none() | values(field.shape)


def record(kind: Kind, given: dict[str, Any] | None = None, **more: Any) -> Record:
    """A record of these fields."""
    return kind.create({**(given or {}), **more}, id_=f"{kind.name}_1", organisation_id="org_1", now=NOW)


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2, word for word."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result
