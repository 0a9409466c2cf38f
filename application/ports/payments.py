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


class Action(Enum):
    """What is asked of a provider, as far as its memory of idempotency keys differs."""

    CHECKOUT = "checkout"
    CHARGE = "charge"
    REFUND = "refund"
    SUBSCRIPTION = "subscription"
    PAYOUT = "payout"


class CheckoutState(Enum):
    """Where a hosted payment page stands."""

    OPEN = "open"
    APPROVED = "approved"
    """The payer agreed, and the money comes when the hub captures it (PayPal)."""
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
    FAILED = "failed"
    """It was tried and failed for good: another try is another payment there (PayPal's captures, Flutterwave)."""
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
class Account:
    """The account behind a connection's credentials. reference: its id there, the same for every key of the account and
    another for its test mode; customers, plans and payments belong to it. name: what people call it."""

    reference: str
    name: str


@attrs.frozen
class CheckoutOrder:
    """What a hosted page is to ask for. `metadata` comes back on the session, the intent and the webhooks.

    customer_reference: the payer at the provider, if known there. save_method: let the payer be charged again later,
    without them (a subscription renewed by the hub).
    """

    amount: Money
    description: str
    reference: str
    success_url: str
    cancel_url: str
    expires_at: datetime
    customer_email: str | None = None
    metadata: Mapping[str, str] = attrs.field(factory=dict)
    customer_name: str | None = None
    customer_reference: str | None = None
    save_method: bool = False


@attrs.frozen
class HostedCheckout:
    """A hosted page at the provider. What a provider does not tell of a page is None (Flutterwave tells nothing of one
    that nobody has paid on yet). intent_reference: the payment made on it, or the last that was tried."""

    reference: str
    url: str | None
    state: CheckoutState
    amount: Money | None
    expires_at: datetime | None
    paid: bool
    intent_reference: str | None
    metadata: Mapping[str, str]


@attrs.frozen
class PaidWith:
    """The card of a payment, for people to know it again. brand: such as `VISA`. expires_on: `2027-09`."""

    brand: str
    last4: str
    expires_on: str | None = None


@attrs.frozen
class Intent:
    """A payment at the provider. received: what has been captured. refunded: what went back of it.

    fee: what the provider keeps, once it says so. disputed: what the payer's bank has taken back or holds.
    method_reference: what charges the same payer again, where the provider hands it out; a secret (Flutterwave's token).
    updated_at: when the provider last changed it, where it says so. paid_with: what `method_reference` stands for.
    """

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
    fee: Money | None = None
    disputed: Money | None = None
    method_reference: str | None = attrs.field(default=None, repr=False)
    updated_at: datetime | None = None
    paid_with: PaidWith | None = None


@attrs.frozen
class ProviderRefund:
    """A refund at the provider. key: the idempotency key of ours that it was made with, where the provider kept it."""

    reference: str
    intent_reference: str | None
    state: RefundState
    amount: Money
    failure: str | None = None
    key: str | None = None


@attrs.frozen
class ProviderCustomer:
    """A payer as the provider knows them."""

    reference: str
    email: str | None
    name: str | None


@attrs.frozen
class ProviderEvent:
    """A verified webhook: its id at the provider, its type in the provider's words, and which object it is about.

    object_kind: `checkout`, `intent`, `refund`, `charge`, `dispute`, `subscription`, `invoice` (a subscription's, at the
    provider), `payout`, `customer`, `method`, `plan`, or the provider's word for anything else.
    intent_reference: the payment it belongs to, where the body says so. subscription_reference: the subscription it
    belongs to, likewise; such an event is handled in that subscription's turn. metadata: ours, where the body carries it.
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
    subscription_reference: str | None = None

    @property
    def object(self) -> str | None:
        """What the event belongs to, for the order of handling: its subscription or payment where it has one, else its
        object."""
        if self.subscription_reference:
            return f"subscription:{self.subscription_reference}"
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


class CannotVerify(Exception):
    """Whether the webhook is signed cannot be found out here and now (its certificate is not at hand): the provider is
    asked, or asked to send it again. Nothing is believed meanwhile."""


class PaymentProvider(Protocol):
    """One payment provider, opened with one connection's credentials (`access`: fields with secrets opened).

    All methods raise ReconnectNeeded, RetryLater or ProviderRefused, always from their cause.
    """

    @property
    @abstractmethod
    def slug(self) -> str:
        """The provider's name in URLs and records, such as `stripe`."""

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of connections."""

    @property
    @abstractmethod
    def currencies(self) -> frozenset[str]:
        """The ISO 4217 codes that it charges in."""

    @abstractmethod
    def keeps_keys(self, action: Action) -> timedelta | None:
        """For how long, at least, the same key means the same thing there; None where it knows no keys. After that, a
        question that got no answer is not asked again but looked up (`find_payment`, `find_refund`)."""

    @abstractmethod
    def check_amount(self, amount: Money, *, field: str = "amount") -> None:
        """Raise domain.refusals.Invalid naming `field` unless this provider can charge the amount in its currency."""

    @abstractmethod
    async def account(self, access: Mapping[str, str]) -> Account:
        """The account: the cheapest call that proves the credentials."""

    @abstractmethod
    async def create_checkout(self, access: Mapping[str, str], order: CheckoutOrder, *, key: str) -> HostedCheckout:
        """Open a hosted page."""

    @abstractmethod
    async def fetch_checkout(self, access: Mapping[str, str], reference: str) -> HostedCheckout:
        """The page as it is now."""

    @abstractmethod
    async def capture_checkout(self, access: Mapping[str, str], reference: str, *, key: str) -> HostedCheckout:
        """Take the money of a page that is APPROVED. One in any other state is returned as it is."""

    @abstractmethod
    async def expire_checkout(
        self, access: Mapping[str, str], reference: str, *, url: str | None = None
    ) -> HostedCheckout:
        """Close an open page. `url`: its address, which some providers know it by. An already complete or expired page is
        returned as it is."""

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
    async def find_payment(self, access: Mapping[str, str], key: str) -> Intent | None:
        """The payment that was asked for with this key of ours (a checkout's or a charge's), however it came out; None
        when the provider is sure that there is none. Raises RetryLater when it cannot tell yet."""

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
    async def find_refund(self, access: Mapping[str, str], intent_reference: str, key: str) -> ProviderRefund | None:
        """The refund that was asked for with this key of ours; None when the provider is sure that there is none. Raises
        RetryLater when it cannot tell yet."""

    @abstractmethod
    async def register_webhook(self, access: Mapping[str, str], url: str, *, key: str) -> tuple[str, str]:
        """Ask the provider to send its webhooks to `url`. Returns (its reference, the signing secret)."""

    @abstractmethod
    async def remove_webhook(self, access: Mapping[str, str], reference: str) -> None:
        """Ask the provider to send no more there. Nothing happens when it knows of no such webhook."""

    def webhook_secret_of(self, settings: Mapping[str, str], secret: str) -> str:
        """The text that `read_webhook` takes as this connection's secret. A provider whose webhooks come in several
        versions (Flutterwave) says in it which one the connection's settings choose; the others take it as it is."""
        return secret

    @abstractmethod
    def read_webhook(
        self, secrets: tuple[str, ...], headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ProviderEvent:
        """Verify the raw body against any of the secrets and read it. Pure. Raises BadSignature, CannotVerify, or ValueError
        for a verified body that is not an event."""

    @abstractmethod
    def parse_webhook(self, body: bytes) -> ProviderEvent:
        """Read a body that was verified when it came. Pure. Raises ValueError when it is not an event."""


@runtime_checkable
class WebhookEvidence(Protocol):
    """A provider whose webhooks cannot be verified by a shared secret alone (PayPal: a certificate)."""

    @abstractmethod
    async def gather_evidence(self, headers: Mapping[str, str]) -> None:
        """Have at hand what `read_webhook` needs for a webhook with these headers (lower-case names); cheap when it is
        there already. What cannot be had is left out: `read_webhook` then raises CannotVerify."""

    @abstractmethod
    async def ask_whether_signed(
        self, access: Mapping[str, str], secret: str, headers: Mapping[str, str], body: bytes
    ) -> bool:
        """Ask the provider about a webhook that could not be verified here. Raises as PaymentProvider's methods do."""


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
