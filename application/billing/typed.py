"""Read words and days that were typed for an invoice."""

from datetime import date, datetime

from domain.refusals import Fault, Invalid
from domain.work.texts import holds_controls

LONGEST_YEARS = 10
"""How many years an invoice may be due before or after it is written: beyond that somebody mistyped."""


def read_words(text: str, field: str) -> str:
    """The text without blanks at its ends; it may have several lines. Raises Invalid naming `field` for control characters:
    PostgreSQL cannot keep them and no paper can show them."""
    faults = faults_of_words(text, field)
    if faults:
        raise Invalid(*faults)
    return text.strip()


def faults_of_words(text: str, field: str) -> tuple[Fault, ...]:
    """What is wrong with a text of one or several lines."""
    return (Fault(field, "This holds a control character."),) if holds_controls(text) else ()


def read_due_day(day: date | None, now: datetime) -> date | None:
    """The day, unless it is absurdly far away. Raises Invalid naming `due_on`."""
    if day is not None and abs(day.year - now.year) > LONGEST_YEARS:
        first, last = now.year - LONGEST_YEARS, now.year + LONGEST_YEARS
        raise Invalid.field("due_on", f"An invoice is due within ten years: in {first} to {last}.")
    return day
