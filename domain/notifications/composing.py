"""From an event to words: what a person reads in Slack, Discord or a mail when something happened.

One table (stories.py) says it all: a template's `{path}` is looked up in the event's data, and a part in [brackets]
gives way when something in it is missing, so that no text ever shows a hole.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

from domain.events import Event
from domain.money import MAX_MINOR_UNITS, Currency, Money
from domain.notifications.message import Action, Fact, Message
from domain.notifications.shortening import one_line, shorten
from domain.notifications.stories import CONSOLE_PAGES, STORIES, Story
from domain.refusals import Refusal

MAX_FACTS = 10
"""More than this is a table, not a notice; it is also what one section of a Slack message takes."""

MAX_FACT = 300
"""The most characters of a value whose meaning is unknown: the whole of it is one click away."""

_UNLESS_ZERO = ("Still due", "Refunded")
_PART = re.compile(r"\[((?:[^\]{|]|\{[^}]*\})*)(?:\|([^\]]*))?\]|\{([a-z_.|]+)\}")
_PLACE = re.compile(r"\{([a-z_.|]+)\}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}.*")
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def compose(event: Event, *, organisation: str, console_url: str | None) -> Message:
    """Put the event into words. Never raises, whatever `data` holds or lacks.

    Args:
        organisation: who speaks; the message's source.
        console_url: where the console is, without a slash at the end; the message then links to the thing there, unless
            the data brings a link of its own.
    """
    story = STORIES.get(event.type) or _unheard_of(event.type)
    facts = tuple(_facts(story, event.data)) if story.facts else tuple(_flat_facts(event.data))
    return Message(
        title=_fill(story.title, event.data),
        text=_fill(story.text, event.data),
        at=event.occurred_at,
        facts=facts[:MAX_FACTS],
        action=_action(story, event, console_url),
        tone=story.tone,
        source=one_line(organisation) or "Patchbay",
    )


def _unheard_of(type_: str) -> Story:
    words = re.sub(r"[._]+", " ", type_).strip()
    return Story(title=words[:1].upper() + words[1:], text=f"The event {type_} was published.", kind="", facts=())


def _fill(template: str, data: Mapping[str, Any]) -> str:
    def part(match: re.Match[str]) -> str:
        inside, otherwise, place = match.groups()
        if inside is None:
            return _say(_find(data, place))
        values = {path: _say(_find(data, path)) for path in _PLACE.findall(inside)}
        return _PLACE.sub(lambda found: values[found[1]], inside) if all(values.values()) else otherwise or ""

    return one_line(_PART.sub(part, template))


def _facts(story: Story, data: Mapping[str, Any]) -> Iterator[Fact]:
    for label, path in story.facts:
        found = _find(data, path)
        value = _say(found)
        if value and not (label in _UNLESS_ZERO and isinstance(found, Mapping) and found.get("amount") == 0):
            yield Fact(label, value.replace("_", " ") if label == "Status" else value)


def _flat_facts(data: Mapping[str, Any]) -> Iterator[Fact]:
    for key, value in data.items():
        said = _say(value)
        if said and (not isinstance(value, Mapping) or _money(value)):
            label = one_line(str(key).replace("_", " "))
            yield Fact(shorten(label[:1].upper() + label[1:], MAX_FACT) or "…", shorten(said, MAX_FACT))


def _action(story: Story, event: Event, console_url: str | None) -> Action | None:
    given = _find(event.data, story.link)
    if isinstance(given, str) and _is_link(given):
        return Action(story.link_label, given)
    if not console_url:
        return None
    key = _find(event.data, f"{story.kind}.id") if story.kind else None
    page = CONSOLE_PAGES.get(story.kind)
    if page and isinstance(key, str) and re.fullmatch(r"[\w-]+", key):
        return Action(story.link_label, f"{console_url}{page}/{key}")
    return Action("Open event", f"{console_url}/events/{event.id}")


def _is_link(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", text)
    except ValueError:
        return False


def _find(data: Mapping[str, Any], paths: str) -> Any:
    """The first of `a.b|c.d` that is there. A record's own fields may also stand at the top: `b` for `a.b`."""
    for path in paths.split("|"):
        first, *rest = path.split(".")
        for start, steps in ((data, [first, *rest]), (data if first not in data else {}, rest or [first])):
            value: Any = start
            for step in steps:
                value = value.get(step) if isinstance(value, Mapping) else None
            if value not in (None, "", [], {}):
                return value
    return None


def _say(value: Any) -> str:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, int | float):
        return str(value) if abs(value) <= MAX_MINOR_UNITS else ""
    if isinstance(value, str):
        return one_line(_date(value))
    return _money(value) if isinstance(value, Mapping) else ""


def _money(value: Mapping[str, Any]) -> str:
    """`125.00 USD` for the data's money, {"amount": 12500, "currency": "USD", "decimal": "125.00"}, else ""."""
    amount, currency, decimal = value.get("amount"), value.get("currency"), value.get("decimal")
    if not isinstance(currency, str) or not currency:
        return ""
    if isinstance(decimal, str) and decimal:
        return one_line(f"{decimal} {currency}")
    try:
        return str(Money(amount, Currency(currency))) if isinstance(amount, int) else ""
    except Refusal:
        return ""


def _date(text: str) -> str:
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
        if _MOMENT.fullmatch(text):
            at = datetime.fromisoformat(text)
            zone = ""
            if at.tzinfo:
                at, zone = at.astimezone(UTC), " UTC"
            return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M}{zone}"
    except (ValueError, OverflowError):
        pass  # it only looked like a date: it is said as it is
    return text
