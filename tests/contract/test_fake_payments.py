"""The contract of PaymentProvider, run on the fake that other tests rely on."""

import json
from datetime import datetime, timedelta

import pytest

from application.ports.payments import RefundState, RetryLater
from application.ports.payouts import PayoutStanding
from application.ports.recurring import Begun
from tests.contract.payments.checkouts import CheckoutContract
from tests.contract.payments.intents import IntentContract, IntentRig
from tests.contract.payments.payers import (
    CustomerContract,
    MethodContract,
    MethodRig,
    OffSessionContract,
    OffSessionRig,
)
from tests.contract.payments.payouts import PayoutContract, PayoutRig
from tests.contract.payments.recurring import PlanContract, RecurringRig, SubscriptionContract
from tests.contract.payments.refunds import RefundContract
from tests.contract.payments.settlements import SettlementContract
from tests.contract.payments.settling import SettlingContract
from tests.contract.payments.troubles import TroubleContract
from tests.contract.payments.webhooks import WebhookContract
from tests.fakes.payments import ASKING, DECLINED, GOOD, FakePayments
from tests.fakes.payouts import BANKS
from tests.fakes.providers import FAKE


class FakeRig(IntentRig, MethodRig, OffSessionRig, RecurringRig, PayoutRig):
    """The fake, told directly."""

    abilities = FAKE.abilities
    good, declined, asking = GOOD, DECLINED, ASKING
    signs_twice = True

    def __init__(self) -> None:
        self.provider = self.impatient = self.fake = FakePayments()
        self.access = {"secret_key": "key"}
        self.now = self.fake.clock.now()
        self.destination = {"bank": BANKS[0], "account": "0690000031"}

    async def pay(self, reference: str) -> None:
        """At once; or agree, where the hub is to capture."""
        if self.captures:
            self.fake.approve(reference)
        else:
            self.fake.pay(reference)

    async def decline(self, reference: str) -> None:
        """At once."""
        self.fake.decline(reference)

    async def settle(self) -> None:
        """Everything is done at once, except that a bank takes its time with payouts."""
        for payout in list(self.fake.payouts.values()):
            if payout.standing is PayoutStanding.PENDING:
                self.fake.move_payout(payout.reference, PayoutStanding.PAID)

    async def fail_payout(self, reference: str) -> None:
        """The fake's own word for it."""
        self.fake.move_payout(reference, PayoutStanding.FAILED, "The account is closed.")

    async def agree(self, begun: Begun) -> None:
        """At once."""
        self.fake.agree(begun.checkout_reference or "")

    async def renew(self, reference: str) -> None:
        """At once."""
        self.fake.renew(reference)

    async def fail_refund(self, reference: str) -> None:
        """The fake's own word for it."""
        self.fake.settle_refund(reference, RefundState.FAILED)

    async def put_status(self, intent_reference: str, status: str) -> None:
        """The fake's own word for it."""
        self.fake.put_status(intent_reference, status)

    async def revoke(self) -> None:
        """The fake's own list."""
        self.fake.revoked.add("key")

    async def limit_rate(self, after: timedelta) -> None:
        """As the port says it."""
        self.fake.fail_next(RetryLater("Too many.", after=after))

    async def break_down(self, *, after_work: bool) -> None:
        """As the port says it."""
        self.fake.fail_next(RetryLater("Broken.", may_have_happened=True), after_work=after_work)

    async def swallow_answer(self) -> None:
        """As the port says it."""
        self.fake.fail_next(RetryLater("No answer.", may_have_happened=True), after_work=True)

    async def bodies(self) -> list[bytes]:
        """The fake keeps them."""
        return self.fake.events

    def strange_event(self) -> bytes:
        """An ordinary envelope about something new."""
        about: dict[str, object] = {"kind": "moon", "about": "moon_1", "intent": None, "metadata": {}}
        return json.dumps({"id": "e", "type": "moon.waxed", "at": int(self.now.timestamp()), **about}).encode()

    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        """The fake's scheme."""
        return self.fake.sign(body, secret, at)

    async def delete_customer(self, reference: str) -> None:
        """The fake's own word for it."""
        self.fake.forget_customer(reference)

    async def keep_method(self, customer_reference: str) -> None:
        """The fake's own word for it."""
        self.fake.give_method(customer_reference)

    async def kept(self, *, declining: bool = False) -> tuple[str, str | None, str]:
        """A payer with one card."""
        payer = await self.fake.ensure_customer(
            self.access, our_reference="client_1", email="pat@example.com", name="Pat", key="payer"
        )
        return self.fake.give_method(payer.reference, declines=declining), payer.reference, "pat@example.com"


class TestFakePayments(
    CheckoutContract,
    IntentContract,
    RefundContract,
    TroubleContract,
    WebhookContract,
    CustomerContract,
    MethodContract,
    OffSessionContract,
    PlanContract,
    SubscriptionContract,
    PayoutContract,
    SettlementContract,
    SettlingContract,
):
    """The fake keeps the contract too."""

    @pytest.fixture
    def rig(self) -> FakeRig:
        """A fresh fake."""
        return FakeRig()


class CapturingRig(FakeRig):
    """The fake as a provider whose payer agrees and whose hub captures."""

    captures = True


class TestFakePaymentsThatAreCaptured(CheckoutContract, RefundContract, SettlingContract):
    """As at PayPal."""

    @pytest.fixture
    def rig(self) -> FakeRig:
        """A fresh fake."""
        return CapturingRig()


class ForgetfulRig(FakeRig):
    """The fake as a provider that knows no keys, and nothing of a page that nobody has paid on."""

    keeps_keys = compares_keys = tells_unpaid_pages = False
    forgets_pages = True

    def __init__(self) -> None:
        super().__init__()
        self.fake.key_life = None
        self.fake.keyless = True


class TestFakePaymentsThatKnowNoKeys(CheckoutContract, RefundContract, TroubleContract, SettlingContract):
    """As at Flutterwave."""

    @pytest.fixture
    def rig(self) -> FakeRig:
        """A fresh fake."""
        return ForgetfulRig()
