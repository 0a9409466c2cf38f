"""When a client is reminded of an invoice: once for each step of the organisation's schedule, the latest that is due."""

from collections.abc import Sequence
from datetime import date

from domain.billing.invoices import Invoice, InvoiceState
from domain.refusals import Conflict

LATE = 7
"""Days after a step's own day on which it is still done. An older one is passed over: a schedule that is made today, or a
hub that was off for a month, must not mail every client about every old invoice at once."""

ASKED_FOR = (InvoiceState.OPEN, InvoiceState.PARTLY_PAID, InvoiceState.OVERDUE)
"""The states in which the client is expected to pay."""


def due_step(invoice: Invoice, schedule: Sequence[int], today: date) -> int | None:
    """The step (days after the due day, below zero before) that is to be done today; None when there is none.

    Of several that are due the latest is done and the others are passed over. A step is done when a reminder was sent on
    its day or later, so a reminder by hand counts. A subscription's invoice is charged again instead of being asked for.
    """
    if invoice.state not in ASKED_FOR or invoice.due_on is None or invoice.subscription_id is not None:
        return None
    if invoice.amount_due.amount <= 0:
        return None
    day = (today - invoice.due_on).days
    due = [step for step in schedule if day - LATE <= step <= day]
    if not due:
        return None
    step = max(due)
    return None if any(reminder.day >= step for reminder in invoice.reminders) else step


def day_of(invoice: Invoice, today: date) -> int:
    """How many days after its due day it is; 0 for an invoice without one. Raises Conflict where nothing is asked for."""
    if invoice.state not in ASKED_FOR:
        raise Conflict(f"The invoice is {invoice.state.value.replace('_', ' ')}; there is nothing to be reminded of.")
    return (today - invoice.due_on).days if invoice.due_on is not None else 0
