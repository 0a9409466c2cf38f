"""Taking money through a provider, capability by capability, in our own words.

Every call that changes something takes an idempotency key: one per attempt of ours, never reused for other parameters.
"""

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Protocol, runtime_checkable

import attrs

from domain.money import Money


class ReconnectNeeded(Exception):
    """The provider no longer accepts the connection's credentials; a person must connect again."""


class RetryLater(Exception):
    """The provider could not answer now; it did not (or may not have) happened."""

    def __init__(self, reason: str, *, after: timedelta | None = None, may_have_happened: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after
        self.may_have_happened = may_have_happened


class ProviderRefused(Exception):
    """The provider understood and said no: a declined card, an amount over its maximum, an unknown object.

    code: the provider's own word for it (`amount_too_large`). field: its name for the field, if any.
    missing: the object does not exist there.
    """

    def __init__(self, reason: str, *, code: str = "", field: str | None = None, missing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.field = field
        self.missing = missing


class CheckoutState(Enum):
    """Where a hosted payment page stands."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    """A state this version of the hub has not heard of."""


class IntentState(Enum):
    """Where a payment stands at the provider."""

    WAITING = "waiting"
    """For a method, a confirmation or an action of the payer's."""
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"
    UNKNOWN = "unknown"
    """A status this version of the hub has not heard of; `raw_status` has it."""


class RefundState(Enum):
    """Where a refund stands at the provider."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


@attrs.frozen
class CheckoutOrder:
    """What a hosted page is to ask for. `metadata` comes back on the session, the intent and the webhooks."""

    amount: Money
    description: str
    reference: str
    success_url: str
    cancel_url: str
    expires_at: datetime
    customer_email: str | None = None
    metadata: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class HostedCheckout:
    """A hosted page at the provider."""

    reference: str
    url: str | None
    state: CheckoutState
    amount: Money
    expires_at: datetime
    paid: bool
    intent_reference: str | None
    metadata: Mapping[str, str]


@attrs.frozen
class Intent:
    """A payment at the provider. received: what has been captured. refunded: what went back of it."""

    reference: str
    state: IntentState
    amount: Money
    received: Money
    refunded: Money
    raw_status: str
    client_secret: str | None
    failure: str | None
    metadata: Mapping[str, str]
    customer_reference: str | None = None


@attrs.frozen
class ProviderRefund:
    """A refund at the provider."""

    reference: str
    intent_reference: str | None
    state: RefundState
    amount: Money
    failure: str | None = None


@attrs.frozen
class ProviderCustomer:
    """A payer as the provider knows them."""

    reference: str
    email: str | None
    name: str | None


@attrs.frozen
class ProviderEvent:
    """A verified webhook: its id at the provider, its type in the provider's words, and which object it is about.

    object_kind: `checkout`, `intent`, `refund`, `charge`, or the provider's word for anything else.
    intent_reference: the payment it belongs to, where the body says so. metadata: ours, where the body carries it.
    failed: it reports that a payment was tried and failed; one such event for each try.
    """

    external_id: str
    type: str
    object_kind: str
    object_reference: str
    created_at: datetime
    live: bool
    intent_reference: str | None = None
    metadata: Mapping[str, str] = attrs.field(factory=dict)
    failed: bool = False
    payload: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def object(self) -> str | None:
        """What the event belongs to, for the order of handling: its payment where it has one, else its object."""
        if self.intent_reference:
            return f"intent:{self.intent_reference}"
        return f"{self.object_kind}:{self.object_reference}" if self.object_reference else None


@attrs.frozen
class ListedEvent:
    """An event of the provider's list. body: what `parse_webhook` reads, as near to the webhook's as the list has it."""

    event: ProviderEvent
    body: bytes = attrs.field(repr=False)


class BadSignature(Exception):
    """The webhook's signature is missing, malformed, stale, or wrong. The text says which, never the expected value."""


class PaymentProvider(Protocol):
    """One payment provider, opened with one connection's credentials (`access`: fields with secrets opened).

    All methods raise ReconnectNeeded, RetryLater or ProviderRefused, always from their cause.
    """

    @property
    @abstractmethod
    def slug(self) -> str:
        """The provider's name in URLs and records, such as `stripe`."""

    @abstractmethod
    def check_amount(self, amount: Money, *, field: str = "amount") -> None:
        """Raise domain.refusals.Invalid naming `field` unless this provider can charge the amount in its currency."""

    @abstractmethod
    async def account(self, access: Mapping[str, str]) -> str:
        """The account's name or id at the provider: the cheapest call that proves the credentials."""

    @abstractmethod
    async def create_checkout(self, access: Mapping[str, str], order: CheckoutOrder, *, key: str) -> HostedCheckout:
        """Open a hosted page."""

    @abstractmethod
    async def fetch_checkout(self, access: Mapping[str, str], reference: str) -> HostedCheckout:
        """The page as it is now."""

    @abstractmethod
    async def expire_checkout(self, access: Mapping[str, str], reference: str) -> HostedCheckout:
        """Close an open page. An already complete or expired page is returned as it is."""

    @abstractmethod
    async def create_intent(
        self,
        access: Mapping[str, str],
        amount: Money,
        *,
        key: str,
        description: str = "",
        customer_reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Intent:
        """Start a payment that the caller's own page will confirm."""

    @abstractmethod
    async def confirm_intent(self, access: Mapping[str, str], reference: str, *, method: str, key: str) -> Intent:
        """Confirm with a payment method of the provider's."""

    @abstractmethod
    async def fetch_intent(self, access: Mapping[str, str], reference: str) -> Intent:
        """The payment as it is now."""

    @abstractmethod
    async def cancel_intent(self, access: Mapping[str, str], reference: str) -> Intent:
        """Give up a payment that has not been made. One that succeeded or was canceled is returned as it is."""

    @abstractmethod
    async def refund(
        self, access: Mapping[str, str], intent_reference: str, amount: Money, *, key: str, reason: str = ""
    ) -> ProviderRefund:
        """Send part or all of a payment back."""

    @abstractmethod
    async def refunds_of(self, access: Mapping[str, str], intent_reference: str) -> tuple[ProviderRefund, ...]:
        """Every refund of a payment, to the last page."""

    @abstractmethod
    async def ensure_customer(
        self, access: Mapping[str, str], *, our_reference: str, email: str | None, name: str | None, key: str
    ) -> ProviderCustomer:
        """Create the payer (carrying our reference in its metadata)."""

    @abstractmethod
    async def register_webhook(self, access: Mapping[str, str], url: str, *, key: str) -> tuple[str, str]:
        """Ask the provider to send its webhooks to `url`. Returns (its reference, the signing secret)."""

    @abstractmethod
    async def remove_webhook(self, access: Mapping[str, str], reference: str) -> None:
        """Ask the provider to send no more there. Nothing happens when it knows of no such webhook."""

    @abstractmethod
    def read_webhook(
        self, secrets: tuple[str, ...], headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ProviderEvent:
        """Verify the raw body against any of the secrets and read it. Pure. Raises BadSignature, or ValueError for a
        verified body that is not an event."""

    @abstractmethod
    def parse_webhook(self, body: bytes) -> ProviderEvent:
        """Read a body that was verified when it came. Pure. Raises ValueError when it is not an event."""


@runtime_checkable
class EventList(Protocol):
    """A provider that lists its events, so that a webhook that never came is found."""

    @property
    @abstractmethod
    def events_kept(self) -> timedelta:
        """How far back the list reaches."""

    @abstractmethod
    def events_between(self, access: Mapping[str, str], since: datetime, until: datetime) -> AsyncIterator[ListedEvent]:
        """The events that the hub follows, made at or after `since` and before `until` (whole seconds), oldest first, to
        the last page. Raises as PaymentProvider's methods do."""
