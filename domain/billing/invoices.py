"""An invoice: what a client owes, and what has been paid of it."""

from datetime import date, datetime
from enum import Enum

import attrs

from domain.billing.lines import Discount, Line, Tax
from domain.billing.settings import Seller
from domain.billing.totals import Totals, reckon
from domain.money import Currency, DoesNotFit, Money
from domain.refusals import Conflict, Fault, Invalid

__all__ = ["Billed", "Discount", "Invoice", "InvoiceState", "Line", "Period", "Reminder", "Tax"]

MAX_LINES = 100
"""Stripe's hosted page takes at most 100 lines (Checkout Session create, line_items)."""

MAX_MEMO = 2000


class InvoiceState(Enum):
    """Where an invoice stands."""

    DRAFT = "draft"
    OPEN = "open"
    PARTLY_PAID = "partly_paid"
    PAID = "paid"
    OVERDUE = "overdue"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"
    """Written off: it is still owed, and nobody asks for it any more."""


@attrs.frozen
class Period:
    """What a subscription's invoice is for."""

    start: datetime
    end: datetime


@attrs.frozen
class Reminder:
    """The client was reminded: `day` days after the due day (below zero: before)."""

    day: int
    at: datetime


@attrs.frozen
class Billed:
    """The client as the invoice names them: a later change of the client's record does not change a sent invoice."""

    id: str
    name: str
    email: str | None


@attrs.frozen
class Invoice:
    """What a client owes.

    paid: captured by all its payments together. refunded: what of that went back. credited: what credit notes took back.
    due_on: a calendar day, no zone.
    """

    id: str
    organisation_id: str
    number: str
    client: Billed
    currency: Currency
    lines: tuple[Line, ...]
    created_at: datetime
    updated_at: datetime
    state: InvoiceState = InvoiceState.DRAFT
    due_on: date | None = None
    memo: str = ""
    paid: int = 0
    refunded: int = 0
    sent_at: datetime | None = None
    paid_at: datetime | None = None
    discount: Discount | None = None
    credited: int = 0
    opened_at: datetime | None = None
    reminders: tuple[Reminder, ...] = ()
    subscription_id: str | None = None
    period: Period | None = None
    source: str | None = None
    """Which bill of a provider's it mirrors (`stripe:in_1`), unique in the organisation."""
    seller: Seller | None = None
    """Who it is from, as it was when the invoice was opened."""
    version: int = 1

    def __attrs_post_init__(self) -> None:
        faults: list[Fault] = []
        if not self.lines:
            faults.append(Fault("lines", "An invoice has at least one line."))
        if len(self.lines) > MAX_LINES:
            faults.append(Fault("lines", f"An invoice has at most {MAX_LINES} lines."))
        for index, line in enumerate(self.lines):
            faults.extend(line.faults(f"lines.{index}", self.currency))
        if self.discount is not None:
            faults.extend(self.discount.faults("discount"))
        if len(self.memo) > MAX_MEMO:
            faults.append(Fault("memo", f"A memo has at most {MAX_MEMO} characters."))
        if not faults:
            faults.extend(self._faults_of_total())
        if faults:
            raise Invalid(*faults)

    def _faults_of_total(self) -> list[Fault]:
        try:
            totals = self.totals
        except DoesNotFit as error:
            return [Fault("lines", f"The total does not fit: {error.reason}")]
        off = self.discount
        if off is not None and off.amount is not None and off.amount > totals.subtotal.amount:
            return [Fault("discount.amount", f"The discount is more than the lines come to ({totals.subtotal}).")]
        if totals.total.amount <= 0:
            field = "lines" if off is None else "discount"
            return [Fault(field, f"The total is {totals.total}: an invoice asks for more than nothing.")]
        return []

    @property
    def totals(self) -> Totals:
        """Subtotal, discount, tax by rate and total."""
        return reckon(self.lines, self.discount, self.currency)

    @property
    def total(self) -> Money:
        """What is asked for, with all taxes and less all discounts. Credit notes are not taken off."""
        return self.totals.total

    @property
    def amount_paid(self) -> Money:
        """Captured so far, refunds not subtracted."""
        return Money(self.paid, self.currency)

    @property
    def amount_refunded(self) -> Money:
        """What went back to the client."""
        return Money(self.refunded, self.currency)

    @property
    def amount_credited(self) -> Money:
        """What credit notes took back."""
        return Money(self.credited, self.currency)

    @property
    def owed(self) -> Money:
        """The total less its credit notes."""
        return self.total - self.amount_credited

    @property
    def amount_due(self) -> Money:
        """What is still to be paid; nothing once it is paid or void."""
        if self.state in (InvoiceState.PAID, InvoiceState.VOID):
            return Money.zero(self.currency)
        return Money(max(self.owed.amount - self._held, 0), self.currency)

    @property
    def overpaid(self) -> Money:
        """What is held beyond what is owed, for a person to settle by a refund."""
        return Money(max(self._held - self.owed.amount, 0), self.currency)

    @property
    def underpaid(self) -> Money:
        """What is missing where something was paid; nothing where nothing was."""
        return self.amount_due if self._held > 0 else Money.zero(self.currency)

    @property
    def _held(self) -> int:
        """What came in and did not go back."""
        return self.paid - self.refunded

    def billed_by(self, provider: str) -> bool:
        """Whether it mirrors a bill that this provider (a slug) wrote and charges by itself."""
        return (self.source or "").startswith(f"{provider}:")

    def revise(self, now: datetime, **changes: object) -> "Invoice":
        """Change a draft. Raises Conflict once it was sent or opened: the client may already hold it."""
        if self.state is not InvoiceState.DRAFT:
            raise Conflict(f"The invoice is {self.state.value}; only a draft can be changed.")
        return attrs.evolve(self, updated_at=now, **changes)  # type: ignore[arg-type]  # names checked by the caller

    def require_payable(self) -> None:
        """Raise Conflict unless there is something left to pay."""
        if self.state is InvoiceState.PAID:
            raise Conflict("The invoice is already paid.")
        if self.state is InvoiceState.VOID:
            raise Conflict("The invoice is void.")

    def open(self, now: datetime, seller: Seller | None = None) -> "Invoice":
        """Make a draft final, from this seller; any other state stays."""
        self.require_payable()
        if self.state is not InvoiceState.DRAFT:
            return self
        return attrs.evolve(self, state=InvoiceState.OPEN, opened_at=now, seller=seller or self.seller, updated_at=now)

    def sent(self, now: datetime) -> "Invoice":
        """It was sent to the client."""
        return attrs.evolve(self.open(now), sent_at=now, updated_at=now)

    def void(self, now: datetime) -> "Invoice":
        """Withdraw it. Raises Conflict when something was paid (refund that first) or credited (it stands in the books)."""
        if self.state is InvoiceState.VOID:
            return self
        if self._held > 0:
            raise Conflict("Something was paid on this invoice; refund it before making the invoice void.")
        if self.credited:
            raise Conflict("There is a credit note for this invoice; write another over the rest instead.")
        return attrs.evolve(self, state=InvoiceState.VOID, updated_at=now)

    def write_off(self, now: datetime) -> "Invoice":
        """Give up what is still owed. A payment that comes all the same opens it again. Raises Conflict."""
        if self.state is InvoiceState.UNCOLLECTIBLE:
            return self
        self.require_payable()
        if self.state is InvoiceState.DRAFT:
            raise Conflict("The invoice is a draft: nobody owes it yet.")
        return attrs.evolve(self, state=InvoiceState.UNCOLLECTIBLE, updated_at=now)

    def credit(self, amount: Money, now: datetime) -> "Invoice":
        """Take part of it, or all, back. It is paid once nothing is left to pay.

        Raises Conflict for a draft, or one that is void or written off; Invalid naming `amount` beyond what is left.
        """
        if self.state in (InvoiceState.DRAFT, InvoiceState.VOID, InvoiceState.UNCOLLECTIBLE):
            raise Conflict(f"The invoice is {self.state.value}; only what is owed or paid can be credited.")
        if amount.currency != self.currency:
            raise Invalid.field("currency", f"The invoice is in {self.currency.code}.")
        if amount.amount <= 0:
            raise Invalid.field("amount", "A credit note is over more than nothing.")
        if amount > self.owed:
            raise Invalid.field("amount", f"Only {self.owed} of {self.total} can still be credited.")
        credited = attrs.evolve(self, credited=self.credited + amount.amount, updated_at=now)
        if credited.state is not InvoiceState.PAID and credited.amount_due.amount == 0:
            return attrs.evolve(credited, state=InvoiceState.PAID, paid_at=now)
        return credited

    def reminded(self, day: int, now: datetime) -> "Invoice":
        """The client was reminded, `day` days after the due day."""
        return attrs.evolve(self, reminders=(*self.reminders, Reminder(day, now)), updated_at=now)

    def settle(self, captured: Money, refunded: Money, now: datetime) -> tuple["Invoice", bool]:
        """Bring the invoice in line with the sums of its payments' facts, one payment's new facts at a time.

        What went back before it was ever paid in full has to be paid again; what goes back afterwards does not open it
        again. A capture and a refund that become known together are one payment's, and the capture came first.

        Returns the invoice and whether it became paid by this. The same sums again change nothing.
        """
        finished = self.state in (InvoiceState.PAID, InvoiceState.VOID)
        held_at_most = captured.amount - min(self.refunded, refunded.amount)
        became_paid = not finished and captured.amount > 0 and held_at_most >= self.owed.amount
        held = captured.amount - refunded.amount
        state = self.state
        begun = held > 0 and state in (InvoiceState.DRAFT, InvoiceState.OPEN)
        if became_paid:
            state = InvoiceState.PAID
        elif begun or (held > self._held and state is InvoiceState.UNCOLLECTIBLE):
            state = InvoiceState.PARTLY_PAID
        elif held <= 0 and self._held > 0 and state is InvoiceState.PARTLY_PAID:
            state = InvoiceState.OPEN
        settled = attrs.evolve(
            self,
            paid=captured.amount,
            refunded=refunded.amount,
            state=state,
            paid_at=now if became_paid else self.paid_at,
        )
        return (self, False) if settled == self else (attrs.evolve(settled, updated_at=now), became_paid)

    def overdue(self, today: date, now: datetime) -> "Invoice":
        """Overdue if its day has passed and something is still open; otherwise itself."""
        waiting = self.state in (InvoiceState.OPEN, InvoiceState.PARTLY_PAID)
        if waiting and self.due_on is not None and self.due_on < today:
            return attrs.evolve(self, state=InvoiceState.OVERDUE, updated_at=now)
        return self
