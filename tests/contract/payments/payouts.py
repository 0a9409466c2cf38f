"""Money sent out of a provider's balance."""

from typing import Protocol

import attrs
import pytest

from application.ports.payments import ProviderRefused, RetryLater
from application.ports.payouts import PayoutOrder, Payouts, PayoutStanding
from domain.money import Money
from domain.refusals import Invalid
from tests.contract.payments.rig import PaymentRig, part

_MOVING = (PayoutStanding.PENDING, PayoutStanding.IN_TRANSIT, PayoutStanding.PAID)


class PayoutRig(PaymentRig, Protocol):
    """A provider with a balance of at least 1,000 of the rig's currency, from which it pays out."""

    destination: dict[str, str]
    """A destination that it takes; empty where it is the account's own."""

    async def fail_payout(self, reference: str) -> None:
        """The receiving bank refuses it."""


def payout(rig: PayoutRig, major: int = 10) -> PayoutOrder:
    """An ordinary one."""
    return PayoutOrder(part(rig, major), rig.destination, "Week 12", "payout_1")


class PayoutContract:
    """The suite. A subclass has a fixture `rig`."""

    async def test_a_payout_is_sent_and_arrives(self, rig: PayoutRig) -> None:
        """The whole of an ordinary one."""
        payouts = rig.provider
        assert isinstance(payouts, Payouts)
        payouts.check_payout(payout(rig))
        sent = await payouts.create_payout(rig.access, payout(rig), key="payout_1")
        assert (sent.standing in _MOVING, sent.amount) == (True, part(rig, 10))
        await rig.settle()
        seen = await payouts.fetch_payout(rig.access, sent.reference)
        assert (seen.standing, seen.reference, seen.amount) == (PayoutStanding.PAID, sent.reference, part(rig, 10))

    async def test_one_key_pays_out_once(self, rig: PayoutRig) -> None:
        """Paying a supplier twice is money gone: a second question gets the first payout, or a refusal."""
        payouts = rig.provider
        assert isinstance(payouts, Payouts)
        sent = await payouts.create_payout(rig.access, payout(rig), key="payout_1")
        try:
            again = await payouts.create_payout(rig.access, payout(rig), key="payout_1")
        except ProviderRefused as refused:
            assert not refused.missing  # noqa: PT017  # it is one of the two answers that are right
        else:
            assert again.reference == sent.reference
        found = await payouts.find_payout(rig.access, "payout_1")
        assert found is not None
        assert found.reference == sent.reference

    async def test_a_payout_without_an_answer_is_found_by_its_key(self, rig: PayoutRig) -> None:
        """It may have happened; it is never sent again on a guess."""
        payouts, hasty = rig.provider, rig.impatient
        assert isinstance(payouts, Payouts)
        assert isinstance(hasty, Payouts)
        await rig.swallow_answer()
        with pytest.raises(RetryLater) as later:
            await hasty.create_payout(rig.access, payout(rig), key="payout_1")
        assert later.value.may_have_happened
        found = await payouts.find_payout(rig.access, "payout_1")
        assert found is not None
        assert found.amount == part(rig, 10)

    async def test_a_payout_can_fail_later(self, rig: PayoutRig) -> None:
        """A closed bank account sends it back, and the reason is shown."""
        payouts = rig.provider
        assert isinstance(payouts, Payouts)
        sent = await payouts.create_payout(rig.access, payout(rig), key="payout_1")
        await rig.fail_payout(sent.reference)
        seen = await payouts.fetch_payout(rig.access, sent.reference)
        assert seen.standing in (PayoutStanding.FAILED, PayoutStanding.CANCELED)
        assert seen.failure

    async def test_what_is_wrong_with_a_payout_is_named(self, rig: PayoutRig) -> None:
        """Before anything is sent: nothing is paid out to nobody, and nothing of nothing."""
        payouts = rig.provider
        assert isinstance(payouts, Payouts)
        with pytest.raises(Invalid) as invalid:
            payouts.check_payout(attrs.evolve(payout(rig), amount=Money.zero(rig.price.currency)))
        assert "amount" in {fault.field for fault in invalid.value.faults}
        if payouts.destination_fields:
            with pytest.raises(Invalid) as invalid:
                payouts.check_payout(attrs.evolve(payout(rig), destination={}))
            assert all(str(fault.field).startswith("destination.") for fault in invalid.value.faults)

    async def test_a_payout_that_is_not_there_is_missing(self, rig: PayoutRig) -> None:
        """It is told apart from a provider that is away."""
        payouts = rig.provider
        assert isinstance(payouts, Payouts)
        with pytest.raises(ProviderRefused) as refused:
            await payouts.fetch_payout(rig.access, "987654321")
        assert refused.value.missing
