"""The surprises of money, at Stripe, PayPal, Flutterwave and the fake in its three manners."""

from collections.abc import AsyncIterator

import pytest

from tests.contract import flutterwave_sandbox, paypal_sandbox, stripe_sandbox
from tests.contract.payments.rig import PaymentRig
from tests.contract.payments.surprises import AwaySurpriseContract, LifeContract, SurpriseContract
from tests.contract.paypal_rig import PayPalRig
from tests.contract.test_fake_payments import CapturingRig, FakeRig, ForgetfulRig
from tests.contract.test_flutterwave_provider import FlutterwaveRig
from tests.contract.test_payment_provider import StripeRig


class TestFake(SurpriseContract, AwaySurpriseContract, LifeContract):
    """The fake."""

    @pytest.fixture
    def rig(self) -> PaymentRig:
        """A fresh one."""
        return FakeRig()


class TestFakeThatIsCaptured(SurpriseContract):
    """As PayPal."""

    @pytest.fixture
    def rig(self) -> PaymentRig:
        """A fresh one."""
        return CapturingRig()


class TestFakeThatKnowsNoKeys(SurpriseContract):
    """As Flutterwave."""

    @pytest.fixture
    def rig(self) -> PaymentRig:
        """A fresh one."""
        return ForgetfulRig()


class TestStripe(SurpriseContract, AwaySurpriseContract, LifeContract):
    """Stripe."""

    @pytest.fixture
    async def rig(self) -> AsyncIterator[PaymentRig]:
        """A fresh sandbox."""
        async with stripe_sandbox.staged() as stage:
            await stage.control("rate", per_second=100_000)
            rig = StripeRig(stage)
            yield rig
            await rig.close()


class TestPayPal(SurpriseContract, LifeContract):
    """PayPal."""

    @pytest.fixture
    async def rig(self) -> AsyncIterator[PaymentRig]:
        """A fresh sandbox."""
        async with paypal_sandbox.staged() as stage:
            rig = PayPalRig(stage)
            yield rig
            await rig.close()


class TestFlutterwave(SurpriseContract, AwaySurpriseContract):
    """Flutterwave, which renews nothing by itself."""

    @pytest.fixture
    async def rig(self) -> AsyncIterator[PaymentRig]:
        """A fresh sandbox."""
        async with flutterwave_sandbox.staged() as stage:
            await stage.control("rate", per_second=100_000)
            rig = FlutterwaveRig(stage)
            yield rig
            await rig.close()
