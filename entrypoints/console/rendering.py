"""Templates: the environment that every page is rendered in, where everything is escaped, and its filters."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from domain.billing.lines import percent
from domain.events import Event
from domain.money import Money
from domain.notifications.composing import compose
from domain.notifications.message import Message, Tone
from entrypoints.console.reader import Reader

TONES: Mapping[str, str] = {
    **dict.fromkeys(("good", "paid", "delivered", "connected", "active", "handled", "succeeded", "completed"), "good"),
    **dict.fromkeys(("open", "pending", "requested", "trialing"), "info"),
    **dict.fromkeys(("partly_paid", "partially_refunded", "refunded", "retry", "paused", "ignored", "unknown"), "care"),
    Tone.WARNING.value: "care",
    **dict.fromkeys(("bad", "overdue", "past_due", "failed", "failing", "disabled", "refused", "gone"), "bad"),
    **dict.fromkeys(("conflicted", "disputed"), "bad"),
}
"""How a state is meant, for its badge; any other is quiet."""


def environment(*folders: Path) -> Environment:
    """An environment over these folders of templates. A name that is missing is an error, not a hole."""
    made = Environment(
        loader=FileSystemLoader(list(folders)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "ago": _ago,
        "day": _day,
        "duration": _duration,
        "moment": _moment,
        "money": _money,
        "number": _number,
        "percent": percent,
        "pretty": pretty,
        "provider_name": _provider_name,
        "share": _share,
        "short": short,
        "told": told,
        "tone": tone,
        "words": words,
    }
    return made


def tone(state: Enum | str) -> str:
    """good, info, care, bad or quiet."""
    return TONES.get(_value(state), "quiet")


def short(id: str) -> str:
    """Enough of an id to tell it apart in a list: `inv_…XJDME1F`."""
    prefix, underscore, rest = id.partition("_")
    return f"{prefix}_…{rest[-7:]}" if underscore and len(rest) > 12 else id


def told(event: Event) -> Message:
    """An event in words, as its notices say it."""
    return compose(event, organisation="", console_url=None)


@pass_context
def _provider_name(context: Context, slug: str) -> str:
    """What a provider calls itself, as its manifest has it: `PayPal` for `paypal`."""
    return str(context.get("provider_names", {}).get(slug, slug))


def words(state: Enum | str) -> str:
    """A state or an action as people write it: `partly paid`, `payment link created`."""
    return _value(state).replace("_", " ").replace(".", " ")


def pretty(value: Any) -> str:
    """JSON with indents; a text that is not JSON stays as it is."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return str(value)
        if not isinstance(value, dict | list):
            return str(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = list(value)
    return json.dumps(dict(value) if isinstance(value, Mapping) else value, indent=2, ensure_ascii=False)


def _value(state: Enum | str) -> str:
    return str(state.value) if isinstance(state, Enum) else state


def _reader(context: Context) -> Reader:
    reader: Reader = context["reader"]
    return reader


@pass_context
def _money(context: Context, money: Money) -> Markup:
    shown = _reader(context).money(money)
    return Markup('<data class="money" value="{}">{}</data>').format(money, shown)


@pass_context
def _ago(context: Context, moment: datetime) -> Markup:
    """How long ago; the moment itself is its title."""
    reader = _reader(context)
    template = Markup('<time datetime="{}" title="{}" lang="{}">{}</time>')
    return template.format(_iso(moment), reader.moment(moment), reader.tag, reader.ago(moment))


@pass_context
def _moment(context: Context, moment: datetime) -> Markup:
    """The moment itself, and how long ago."""
    reader = _reader(context)
    template = Markup('<time datetime="{}" lang="{}">{} <small>({})</small></time>')
    return template.format(_iso(moment), reader.tag, reader.moment(moment), reader.ago(moment))


@pass_context
def _day(context: Context, day: date) -> Markup:
    reader = _reader(context)
    return Markup('<time datetime="{}" lang="{}">{}</time>').format(day.isoformat(), reader.tag, reader.day(day))


@pass_context
def _number(context: Context, number: int) -> str:
    return _reader(context).number(number)


@pass_context
def _share(context: Context, share: float) -> str:
    return _reader(context).share(share)


@pass_context
def _duration(context: Context, duration: timedelta) -> str:
    return _reader(context).duration(duration)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
