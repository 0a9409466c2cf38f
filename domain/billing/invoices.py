"""An invoice: what a client owes, and what has been paid of it."""

from datetime import date, datetime
from enum import Enum

import attrs

from domain.money import Currency, DoesNotFit, Money
from domain.refusals import Conflict, Fault, Invalid

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


@attrs.frozen
class Line:
    """One line: quantity times unit price. The price is in the invoice's currency."""

    description: str
    quantity: int
    unit_price: Money

    @property
    def total(self) -> Money:
        """Quantity times unit price."""
        return self.unit_price * self.quantity


@attrs.frozen
class Billed:
    """The client as the invoice names them: a later change of the client's record does not change a sent invoice."""

    id: str
    name: str
    email: str | None


@attrs.frozen
class Invoice:
    """What a client owes.

    paid: captured by all its payments together. refunded: what of that went back. due_on: a calendar day, no zone.
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
    version: int = 1

    def __attrs_post_init__(self) -> None:
        faults: list[Fault] = []
        if not self.lines:
            faults.append(Fault("lines", "An invoice has at least one line."))
        if len(self.lines) > MAX_LINES:
            faults.append(Fault("lines", f"An invoice has at most {MAX_LINES} lines."))
        for index, line in enumerate(self.lines):
            if not line.description.strip() or len(line.description) > 500:
                faults.append(Fault(f"lines.{index}.description", "A description has 1 to 500 characters."))
            if not 1 <= line.quantity <= 1_000_000:
                faults.append(Fault(f"lines.{index}.quantity", "A quantity is a whole number from 1 to 1000000."))
            if line.unit_price.currency != self.currency:
                faults.append(Fault(f"lines.{index}.unit_price", f"The price is not in {self.currency.code}."))
        if len(self.memo) > MAX_MEMO:
            faults.append(Fault("memo", f"A memo has at most {MAX_MEMO} characters."))
        if not faults:
            faults.extend(self._faults_of_total())
        if faults:
            raise Invalid(*faults)

    def _faults_of_total(self) -> list[Fault]:
        try:
            total = self.total
        except DoesNotFit as error:
            return [Fault("lines", f"The total does not fit: {error.reason}")]
        if total.amount <= 0:
            return [Fault("lines", f"The total is {total}: an invoice asks for more than nothing.")]
        return []

    @property
    def total(self) -> Money:
        """The sum of the lines."""
        return sum((line.total for line in self.lines), Money.zero(self.currency))

    @property
    def amount_paid(self) -> Money:
        """Captured so far, refunds not subtracted."""
        return Money(self.paid, self.currency)

    @property
    def amount_refunded(self) -> Money:
        """What went back to the client."""
        return Money(self.refunded, self.currency)

    @property
    def amount_due(self) -> Money:
        """What is still to be paid; nothing once it is paid or void."""
        if self.state in (InvoiceState.PAID, InvoiceState.VOID):
            return Money.zero(self.currency)
        return Money(max(self.total.amount - self.paid, 0), self.currency)

    @property
    def overpaid(self) -> Money:
        """What came in beyond the total, for a person to settle."""
        return Money(max(self.paid - self.total.amount, 0), self.currency)

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

    def open(self, now: datetime) -> "Invoice":
        """Make a draft final; any other state stays."""
        self.require_payable()
        if self.state is not InvoiceState.DRAFT:
            return self
        return attrs.evolve(self, state=InvoiceState.OPEN, updated_at=now)

    def sent(self, now: datetime) -> "Invoice":
        """It was sent to the client."""
        return attrs.evolve(self.open(now), sent_at=now, updated_at=now)

    def void(self, now: datetime) -> "Invoice":
        """Withdraw it. Raises Conflict when something was paid: refund that first."""
        if self.state is InvoiceState.VOID:
            return self
        if self.paid > self.refunded:
            raise Conflict("Something was paid on this invoice; refund it before making the invoice void.")
        return attrs.evolve(self, state=InvoiceState.VOID, updated_at=now)

    def settle(self, captured: Money, refunded: Money, now: datetime) -> tuple["Invoice", bool]:
        """Bring the invoice in line with the sums of its payments' facts.

        Returns the invoice and whether it became paid by this. The same sums again change nothing.
        """
        paid_in_full = captured.amount >= self.total.amount
        became_paid = paid_in_full and self.state not in (InvoiceState.PAID, InvoiceState.VOID)
        state = self.state
        if became_paid:
            state = InvoiceState.PAID
        elif 0 < captured.amount < self.total.amount and state in (InvoiceState.DRAFT, InvoiceState.OPEN):
            state = InvoiceState.PARTLY_PAID
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
