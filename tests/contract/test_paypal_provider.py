"""The contract of PaymentProvider, run on PayPal's adapter over its sandbox."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from adapters.providers.paypal.webhook import EARLY, OLDEST
from application.ports.payments import BadSignature, IntentState, ProviderRefused
from tests.contract.payments.checkouts import CheckoutContract
from tests.contract.payments.intents import IntentContract, IntentRig
from tests.contract.payments.payouts import PayoutContract
from tests.contract.payments.recurring import PlanContract, SubscriptionContract
from tests.contract.payments.refunds import RefundContract
from tests.contract.payments.rig import PaymentRig, gather, paid
from tests.contract.payments.settlements import SettlementContract
from tests.contract.payments.settling import SettlingContract
from tests.contract.payments.troubles import TroubleContract
from tests.contract.payments.webhooks import WebhookContract
from tests.contract.paypal_rig import PayPalRig
from tests.contract.paypal_sandbox import staged


@pytest.fixture
async def rig() -> AsyncIterator[PaymentRig]:
    """A fresh sandbox."""
    async with staged() as stage:
        rig = PayPalRig(stage)
        yield rig
        await rig.close()


class TestPayPalCheckouts(CheckoutContract):
    """Orders that a payer agrees to."""


class TestPayPalIntents(IntentContract):
    """Orders for a page of the host's own."""

    async def test_a_declined_method_is_refused_and_leaves_the_intent_waiting(self, rig: IntentRig) -> None:
        """As everywhere, but that PayPal's order does not remember why it was declined."""
        intent = await rig.provider.create_intent(rig.access, rig.price, key="k")
        with pytest.raises(ProviderRefused) as refused:
            await rig.provider.confirm_intent(rig.access, intent.reference, method=rig.declined, key="k2")
        assert refused.value.code == "INSTRUMENT_DECLINED"
        assert (await rig.provider.fetch_intent(rig.access, intent.reference)).state is IntentState.WAITING
        done = await rig.provider.confirm_intent(rig.access, intent.reference, method=rig.good, key="k3")
        assert done.state is IntentState.SUCCEEDED


class TestPayPalRefunds(RefundContract):
    """Refunds of captures."""


class TestPayPalPlans(PlanContract):
    """Products and plans."""


class TestPayPalSubscriptions(SubscriptionContract):
    """Subscriptions that PayPal renews."""


class TestPayPalPayouts(PayoutContract):
    """Batches of one."""


class TestPayPalSettlements(SettlementContract):
    """The list of transactions."""


class TestPayPalSettling(SettlingContract):
    """The hub's books, with PayPal at the other end."""


class TestPayPalTroubles(TroubleContract):
    """What goes wrong."""


class TestPayPalWebhooks(WebhookContract):
    """Webhooks signed with the sandbox's certificate."""

    async def test_an_old_or_future_signature_is_not_believed(self, rig: PaymentRig) -> None:
        """PayPal sends for three days, so what is old is measured in days; its clock may be ahead by minutes."""
        await paid(rig)
        body = (await rig.bodies())[-1]
        signed = rig.sign(body, rig.secret, rig.now)
        await gather(rig, signed)
        event = rig.provider.parse_webhook(body)
        second = timedelta(seconds=1)
        for edge, beyond in ((OLDEST, OLDEST + second), (-EARLY, -EARLY - second)):
            assert rig.provider.read_webhook((rig.secret,), signed, body, rig.now + edge) == event
            with pytest.raises(BadSignature):
                rig.provider.read_webhook((rig.secret,), signed, body, rig.now + beyond)
