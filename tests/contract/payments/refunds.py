"""Money on its way back."""

import asyncio

import pytest

from application.ports.payments import IntentState, ProviderRefused, RefundState, RetryLater
from domain.money import Money
from tests.contract.payments.rig import PaymentRig, paid, part

SENT = (RefundState.PENDING, RefundState.SUCCEEDED)


class RefundContract:
    """The suite. A subclass has a fixture `rig`."""

    async def test_part_and_then_the_rest_go_back(self, rig: PaymentRig) -> None:
        """The commonest refunds."""
        intent = await paid(rig)
        some = part(rig, 25)
        first = await rig.provider.refund(rig.access, intent.reference, some, key="r1", reason="Wrong size")
        assert (first.state in SENT, first.intent_reference, first.amount) == (True, intent.reference, some)
        await rig.settle()
        now = await rig.provider.fetch_intent(rig.access, intent.reference)
        assert (now.refunded, now.received, now.state) == (some, rig.price, IntentState.SUCCEEDED)
        await rig.provider.refund(rig.access, intent.reference, rig.price - some, key="r2")
        await rig.settle()
        now = await rig.provider.fetch_intent(rig.access, intent.reference)
        assert (now.refunded, now.received, now.state) == (rig.price, rig.price, IntentState.SUCCEEDED)
        listed = await rig.provider.refunds_of(rig.access, intent.reference)
        assert sorted(one.amount.amount for one in listed) == sorted((some.amount, (rig.price - some).amount))
        assert {one.state for one in listed} == {RefundState.SUCCEEDED}

    async def test_more_than_was_paid_does_not_go_back(self, rig: PaymentRig) -> None:
        """Two people refunding must not pay out twice."""
        intent = await paid(rig)
        one_unit = Money(1, rig.price.currency)
        await rig.provider.refund(rig.access, intent.reference, part(rig, 100), key="r1")
        with pytest.raises(ProviderRefused):
            await rig.provider.refund(
                rig.access, intent.reference, rig.price - part(rig, 100) + one_unit, key="r2", reason="Again"
            )
        assert len(await rig.provider.refunds_of(rig.access, intent.reference)) == 1

    async def test_two_refunds_at_once_never_exceed_the_payment(self, rig: PaymentRig) -> None:
        """60 and 60 of 100: one of them wins."""
        intent = await paid(rig, part(rig, 100))
        answers = await asyncio.gather(
            *(rig.provider.refund(rig.access, intent.reference, part(rig, 60), key=f"r{n}") for n in range(2)),
            return_exceptions=True,
        )
        assert sorted(isinstance(one, ProviderRefused) for one in answers) == [False, True]
        assert len(await rig.provider.refunds_of(rig.access, intent.reference)) == 1

    async def test_the_same_key_sends_money_back_once(self, rig: PaymentRig) -> None:
        """A refund that is asked for again after a lost answer is the same refund; where the provider knows no keys, it
        is looked up instead."""
        intent = await paid(rig)
        first = await rig.provider.refund(rig.access, intent.reference, part(rig, 10), key="r")
        if rig.keeps_keys:
            for _ in range(2):
                again = await rig.provider.refund(rig.access, intent.reference, part(rig, 10), key="r")
                assert again.reference == first.reference
        found = await rig.provider.find_refund(rig.access, intent.reference, "r")
        assert found is not None
        assert (found.reference, found.amount) == (first.reference, part(rig, 10))
        assert len(await rig.provider.refunds_of(rig.access, intent.reference)) == 1

    async def test_a_refund_that_was_never_asked_for_is_not_found(self, rig: PaymentRig) -> None:
        """Then it can be asked for; a provider that is not sure says so instead."""
        intent = await paid(rig)
        await rig.provider.refund(rig.access, intent.reference, part(rig, 10), key="r")
        await rig.settle()
        try:
            assert await rig.provider.find_refund(rig.access, intent.reference, "another") is None
        except RetryLater as later:
            assert later.reason  # noqa: PT017  # it is one of the two answers that are right

    async def test_refunds_are_listed_to_the_last_page(self, rig: PaymentRig) -> None:
        """What is reconciled must be complete: a hundred is a page at Stripe."""
        intent = await paid(rig)
        one = Money(100, rig.price.currency)
        made = [
            await rig.provider.refund(rig.access, intent.reference, one, key=f"r{number}")
            for number in range(rig.many_refunds)
        ]
        listed = await rig.provider.refunds_of(rig.access, intent.reference)
        assert {refund.reference for refund in listed} == {refund.reference for refund in made}
        assert len(listed) == rig.many_refunds

    async def test_a_refund_can_come_back(self, rig: PaymentRig) -> None:
        """A closed card sends the money back days later: it is ours again, and the books must be told."""
        intent = await paid(rig)
        sent = await rig.provider.refund(rig.access, intent.reference, part(rig, 10), key="r")
        await rig.settle()
        if not rig.refunds_fail_later:
            (listed,) = await rig.provider.refunds_of(rig.access, intent.reference)
            assert listed.state is RefundState.SUCCEEDED
            return
        await rig.fail_refund(sent.reference)
        (listed,) = await rig.provider.refunds_of(rig.access, intent.reference)
        assert listed.state in (RefundState.FAILED, RefundState.CANCELED)
        assert (await rig.provider.fetch_intent(rig.access, intent.reference)).refunded.amount == 0
