"""A provider on a test bench: what the world around it can be made to do, and in what providers differ."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

import attrs

from application.ports.payments import (
    CheckoutOrder,
    CheckoutState,
    HostedCheckout,
    Intent,
    PaymentProvider,
    WebhookEvidence,
)
from domain.money import Money

SECRET = "whsec_contract"
METADATA = {"patchbay_organisation": "organisation_1", "patchbay_checkout": "checkout_1"}


class PaymentRig(Protocol):
    """What the suites of pages, refunds, troubles and webhooks need.

    The attributes with a value are what most providers do; a rig overrides what is otherwise at its provider.
    """

    provider: PaymentProvider
    impatient: PaymentProvider
    """The same, waiting for answers but a moment."""
    access: Mapping[str, str]
    now: datetime

    price: Money = Money.of("125.00", "USD")
    """An ordinary price, in a currency that it takes; of at least 100 major units."""
    keeps_keys: bool = True
    """Whether the same key gives the same answer. Where it does not, what was asked for with a key is looked up."""
    compares_keys: bool = True
    """Whether a key that comes back with another request is refused."""
    tells_unpaid_pages: bool = True
    """Whether a page that nobody has paid on yet is told with its amount and its end."""
    forgets_pages: bool = False
    """Whether an unknown page is answered like one that nobody has paid on."""
    captures: bool = False
    """Whether the hub takes the money when the payer has agreed."""
    many_refunds: int = 103
    """How many refunds of a payment take more than one page of its list; 3 where a payment tells them all."""
    refunds_fail_later: bool = True
    """Whether a refund that was accepted can come back."""
    secret: str = SECRET
    """What `sign` is given, and `read_webhook`."""
    signs_body: bool = True
    """Whether a webhook's signature is of its body; else the webhook is a hint, and whatever it says is asked for."""
    tolerance: timedelta | None = timedelta(seconds=300)
    """How far from now a signature may have been made; None where it has no time."""
    signs_twice: bool = False
    """Whether one webhook carries several signatures while a secret is changed."""

    @abstractmethod
    async def pay(self, reference: str) -> None:
        """The payer does their part on a hosted page: pays, or agrees where the hub captures."""

    @abstractmethod
    async def decline(self, reference: str) -> None:
        """The payer tries on a hosted page and is declined."""

    @abstractmethod
    async def settle(self) -> None:
        """Time enough passes at the provider for what is pending there to be done."""

    @abstractmethod
    async def fail_refund(self, reference: str) -> None:
        """The bank sends a refund back after all. Not called unless `refunds_fail_later`."""

    @abstractmethod
    async def put_status(self, intent_reference: str, status: str) -> None:
        """The provider has a new word for where a payment stands."""

    @abstractmethod
    async def revoke(self) -> None:
        """The credentials are no longer good."""

    @abstractmethod
    async def limit_rate(self, after: timedelta) -> None:
        """The next call is one too many; it may be made again after so long."""

    @abstractmethod
    async def break_down(self, *, after_work: bool) -> None:
        """The next call fails with an error of the provider's own, before or after its work."""

    @abstractmethod
    async def swallow_answer(self) -> None:
        """The next call is done, and its answer never arrives."""

    @abstractmethod
    async def bodies(self) -> list[bytes]:
        """The webhooks so far, oldest first."""

    @abstractmethod
    def strange_event(self) -> bytes:
        """The body of a webhook of a type that nobody has heard of, about nothing that the hub follows."""

    @abstractmethod
    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        """The headers that the provider sends with a webhook."""


def order(rig: PaymentRig, amount: Money | None = None, **more: object) -> CheckoutOrder:
    """An ordinary order."""
    made = CheckoutOrder(
        amount=amount or rig.price,
        description="Invoice INV-0001",
        reference="invoice_1",
        success_url="https://shop.example/paid",
        cancel_url="https://shop.example/back",
        expires_at=rig.now + timedelta(hours=1),
        customer_email="pat@example.com",
        metadata=METADATA,
        customer_name="Pat Payer",
    )
    return attrs.evolve(made, **more)  # type: ignore[arg-type]


def part(rig: PaymentRig, major: int) -> Money:
    """So many whole units of the rig's currency."""
    return Money.of(str(major), rig.price.currency)


async def complete(rig: PaymentRig, page: HostedCheckout, key: str) -> HostedCheckout:
    """The payer does their part, and the hub its own; the page as it is then."""
    await rig.pay(page.reference)
    now = await rig.provider.fetch_checkout(rig.access, page.reference)
    if rig.captures:
        assert now.state is CheckoutState.APPROVED
        now = await rig.provider.capture_checkout(rig.access, page.reference, key=f"{key}-capture")
    await rig.settle()
    return await rig.provider.fetch_checkout(rig.access, page.reference)


async def paid(rig: PaymentRig, amount: Money | None = None, key: str = "paid") -> Intent:
    """A payment that succeeded."""
    page = await rig.provider.create_checkout(rig.access, order(rig, amount), key=key)
    done = await complete(rig, page, key)
    assert done.intent_reference is not None
    return await rig.provider.fetch_intent(rig.access, done.intent_reference)


async def gather(rig: PaymentRig, headers: Mapping[str, str]) -> None:
    """Have at hand what verifying a webhook takes."""
    if isinstance(rig.provider, WebhookEvidence):
        await rig.provider.gather_evidence({name.lower(): value for name, value in headers.items()})
