"""A payment link of ours. It outlives the provider's hosted pages (at Stripe 24 hours): each click opens or reuses one."""

from datetime import datetime, timedelta
from enum import Enum

import attrs

from domain.billing.invoices import Invoice, InvoiceState
from domain.money import Money
from domain.refusals import Conflict

LINK_LIFE = timedelta(days=30)
"""How long a link can be used unless it says otherwise."""

CHECKOUT_LIFE = timedelta(hours=23)
"""How long a hosted page is asked for: below Stripe's limit of 24 hours, so that a slow clock does not matter."""

_ENOUGH_LEFT = timedelta(minutes=10)
"""A page with less time than this left is not handed out again."""


class LinkState(Enum):
    """Whether a link can be used."""

    ACTIVE = "active"
    COMPLETED = "completed"
    EXPIRED = "expired"


class LinkAnswer(Enum):
    """What someone who follows the link is to see."""

    PAY = "pay"
    PAID = "paid"
    VOID = "void"
    EXPIRED = "expired"


@attrs.frozen
class PaymentLink:
    """A link that lets whoever holds it pay one invoice: through one connection, or through one that they choose, in
    which case `connection_id` and `provider` are empty."""

    id: str
    organisation_id: str
    invoice_id: str
    connection_id: str
    provider: str
    token: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    state: LinkState = LinkState.ACTIVE
    version: int = 1

    @property
    def payer_chooses(self) -> bool:
        """Whether whoever pays chooses the provider."""
        return not self.connection_id

    def live(self, now: datetime) -> bool:
        """Whether it can be used."""
        return self.state is LinkState.ACTIVE and now < self.expires_at

    def answer(self, invoice: Invoice, now: datetime) -> LinkAnswer:
        """What someone who follows the link is to see. The invoice's state counts before the link's."""
        if invoice.state is InvoiceState.PAID:
            return LinkAnswer.PAID
        if invoice.state is InvoiceState.VOID:
            return LinkAnswer.VOID
        return LinkAnswer.PAY if self.live(now) else LinkAnswer.EXPIRED

    def expire(self, now: datetime) -> "PaymentLink":
        """Nobody can pay by it any more. Raises Conflict when it was paid."""
        if self.state is LinkState.COMPLETED:
            raise Conflict("The invoice was paid through this link.")
        return attrs.evolve(self, state=LinkState.EXPIRED, updated_at=now)

    def complete(self, now: datetime) -> "PaymentLink":
        """The invoice was paid through it."""
        return attrs.evolve(self, state=LinkState.COMPLETED, updated_at=now)


class CheckoutState(Enum):
    """Where one hosted page stands, as far as we know."""

    OPENING = "opening"
    """Written down, and the provider is being asked: it may or may not exist there."""
    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


@attrs.frozen
class Checkout:
    """One hosted page at the provider, opened for a link. Its id is the idempotency key it was asked for with."""

    id: str
    organisation_id: str
    link_id: str
    invoice_id: str
    connection_id: str
    amount: Money
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    state: CheckoutState = CheckoutState.OPENING
    reference: str | None = None
    url: str | None = None
    version: int = 1

    def at(self, connection_id: str) -> bool:
        """Whether it was opened through this connection."""
        return self.connection_id == connection_id

    def reusable(self, due: Money, now: datetime) -> bool:
        """Whether someone who clicks now can be sent there: still open, for the right amount, with time enough."""
        return (
            self.state is CheckoutState.OPEN
            and self.url is not None
            and self.amount == due
            and now + _ENOUGH_LEFT < self.expires_at
        )

    def resumable(self, due: Money, now: datetime) -> bool:
        """Whether asking the provider again with the same key is right: an earlier ask was cut off before its answer."""
        return self.state is CheckoutState.OPENING and self.amount == due and now < self.created_at + _ENOUGH_LEFT

    def opened(self, reference: str, url: str, expires_at: datetime, now: datetime) -> "Checkout":
        """The provider has made the page. One that is open or finished already stays as it is."""
        if self.state is not CheckoutState.OPENING:
            return self
        return attrs.evolve(
            self, state=CheckoutState.OPEN, reference=reference, url=url, expires_at=expires_at, updated_at=now
        )

    def moved(self, state: CheckoutState, now: datetime) -> "Checkout":
        """The provider reports a state. A finished page never opens again."""
        if self.state in (CheckoutState.COMPLETE, CheckoutState.EXPIRED) or state is self.state:
            return self
        return attrs.evolve(self, state=state, updated_at=now)
