"""Payments that the caller's own page confirms."""

from typing import Protocol

import pytest

from application.ports.payments import Intent, IntentState, ProviderRefused
from tests.contract.payments.rig import METADATA, PaymentRig


class IntentRig(PaymentRig, Protocol):
    """With payment methods: `good` pays, `declined` does not, and `asking` waits for its owner."""

    good: str
    declined: str
    asking: str


async def confirmed(rig: IntentRig, key: str = "confirmed") -> Intent:
    """A payment that succeeded."""
    intent = await rig.provider.create_intent(rig.access, rig.price, key=f"{key}-create")
    return await rig.provider.confirm_intent(rig.access, intent.reference, method=rig.good, key=f"{key}-confirm")


class IntentContract:
    """The suite. A subclass has a fixture `rig`."""

    async def test_an_intent_is_confirmed_with_a_method(self, rig: IntentRig) -> None:
        """The path for shops with a page of their own."""
        intent = await rig.provider.create_intent(
            rig.access, rig.price, key="k", description="One thing", metadata=METADATA
        )
        assert (intent.state, intent.received.amount) == (IntentState.WAITING, 0)
        assert intent.client_secret
        done = await rig.provider.confirm_intent(rig.access, intent.reference, method=rig.good, key="k2")
        assert (done.state, done.received, done.refunded.amount) == (IntentState.SUCCEEDED, rig.price, 0)
        assert done.metadata.items() >= METADATA.items()
        seen = await rig.provider.fetch_intent(rig.access, intent.reference)
        assert (seen.state, seen.received) == (done.state, done.received)

    async def test_a_declined_method_is_refused_and_leaves_the_intent_waiting(self, rig: IntentRig) -> None:
        """A decline is the payer's matter: it says why, and the payment can still be made."""
        intent = await rig.provider.create_intent(rig.access, rig.price, key="k")
        with pytest.raises(ProviderRefused) as refused:
            await rig.provider.confirm_intent(rig.access, intent.reference, method=rig.declined, key="k2")
        assert "declin" in refused.value.code
        assert refused.value.__cause__ is not None or refused.value.__context__ is None
        now = await rig.provider.fetch_intent(rig.access, intent.reference)
        assert (now.state, bool(now.failure)) == (IntentState.WAITING, True)
        done = await rig.provider.confirm_intent(rig.access, intent.reference, method=rig.good, key="k3")
        assert done.state is IntentState.SUCCEEDED

    async def test_a_method_whose_owner_must_act_leaves_the_intent_waiting(self, rig: IntentRig) -> None:
        """Authentication is neither a success nor a failure."""
        intent = await rig.provider.create_intent(rig.access, rig.price, key="k")
        now = await rig.provider.confirm_intent(rig.access, intent.reference, method=rig.asking, key="k2")
        assert (now.state, now.received.amount) == (IntentState.WAITING, 0)

    async def test_a_waiting_intent_can_be_given_up_once_and_again(self, rig: IntentRig) -> None:
        """Nobody pays what was withdrawn."""
        intent = await rig.provider.create_intent(rig.access, rig.price, key="give-up")
        for _ in range(2):
            given_up = await rig.provider.cancel_intent(rig.access, intent.reference)
            assert given_up.state is IntentState.CANCELED

    async def test_an_intent_that_was_paid_is_not_given_up(self, rig: IntentRig) -> None:
        """Its money came; the caller learns that it was too late."""
        done = await confirmed(rig)
        assert (await rig.provider.cancel_intent(rig.access, done.reference)).state is IntentState.SUCCEEDED

    async def test_a_payment_is_found_by_its_key(self, rig: IntentRig) -> None:
        """When the answer that carried its id was lost."""
        intent = await rig.provider.create_intent(rig.access, rig.price, key="k", metadata=METADATA)
        again = await rig.provider.create_intent(rig.access, rig.price, key="k", metadata=METADATA)
        assert again.reference == intent.reference
