"""Reminders: which step of the schedule is due, and that none is done twice."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.billing.dunning import ASKED_FOR, LATE, day_of, due_step
from domain.billing.invoices import Billed, Invoice, InvoiceState, Line
from domain.money import Currency, Money
from domain.refusals import Conflict
from tests.unit.domain.work.strategies import patiently

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DUE = date(2026, 3, 10)
USD = Currency("USD")
SCHEDULE = (-3, 0, 7, 14)


def invoice(**changes: Any) -> Invoice:
    """An open invoice that is due on the tenth."""
    given: dict[str, Any] = {"state": InvoiceState.OPEN, "due_on": DUE, **changes}
    client = Billed("client_1", "Ada", "ada@acme.example")
    return Invoice("inv_1", "org_1", "INV-1", client, USD, (Line("Design", 1, Money(100, USD)),), NOW, NOW, **given)


def on(day: int) -> date:
    """So many days after the due day."""
    return DUE + timedelta(days=day)


@pytest.mark.parametrize(("day", "step"), [(-4, None), (-3, -3), (-1, -3), (0, 0), (6, 0), (7, 7), (13, 7), (14, 14)])
def test_a_step_is_due_from_its_day_on(day: int, step: int | None) -> None:
    """A hub that was off on the day itself makes up for it."""
    assert due_step(invoice(), SCHEDULE, on(day)) == step


def test_a_step_that_is_long_past_is_passed_over() -> None:
    """A schedule that is made today must not mail every client about every old invoice at once."""
    assert due_step(invoice(), SCHEDULE, on(14 + LATE)) == 14
    assert due_step(invoice(), SCHEDULE, on(14 + LATE + 1)) is None


def test_a_step_is_done_once_and_the_next_in_its_turn() -> None:
    """The job runs every hour."""
    reminded = invoice().reminded(0, NOW)
    assert due_step(reminded, SCHEDULE, on(0)) is None
    assert due_step(reminded, SCHEDULE, on(7)) == 7


def test_a_reminder_by_hand_counts_as_the_step_of_its_day() -> None:
    """Two mails on one day would be rude; one by hand the day before does not spare the client the next step."""
    assert due_step(invoice().reminded(7, NOW), SCHEDULE, on(7)) is None
    assert due_step(invoice().reminded(6, NOW), SCHEDULE, on(7)) == 7


@pytest.mark.parametrize("state", InvoiceState)
def test_only_what_is_asked_for_is_reminded_of(state: InvoiceState) -> None:
    """A paid, withdrawn or written off invoice is nobody's debt to be pressed for; a draft was never sent."""
    assert (due_step(invoice(state=state), SCHEDULE, on(7)) is not None) == (state in ASKED_FOR)
    if state not in ASKED_FOR:
        with pytest.raises(Conflict):
            day_of(invoice(state=state), on(7))


def test_a_subscriptions_invoice_and_one_without_a_due_day_follow_no_schedule() -> None:
    """The one is charged again by itself; of the other nobody said when."""
    assert due_step(invoice(subscription_id="sub_1"), SCHEDULE, on(7)) is None
    assert due_step(invoice(due_on=None), SCHEDULE, on(7)) is None
    assert day_of(invoice(due_on=None), on(7)) == 0


@patiently
@given(st.lists(st.integers(-90, 365), max_size=10, unique=True), st.lists(st.integers(-100, 400), max_size=60))
def test_however_often_the_job_runs_each_step_is_done_at_most_once(schedule: list[int], days: list[int]) -> None:
    """Over restarts, pauses and a clock that only goes forward."""
    bill, done = invoice(), []
    for day in sorted(days):
        step = due_step(bill, schedule, on(day))
        if step is not None:
            done.append(step)
            bill = bill.reminded(step, NOW)
    assert done == sorted(set(done))
    assert set(done) <= set(schedule)
