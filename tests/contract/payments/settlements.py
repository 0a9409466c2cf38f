"""What a provider says moved in its books."""

from datetime import timedelta

from application.ports.settlements import Movement, Settled, Settlements
from tests.contract.payments.rig import PaymentRig, paid, part

_DAY = timedelta(days=1)


async def _listed(rig: PaymentRig) -> list[Settled]:
    books = rig.provider
    assert isinstance(books, Settlements)
    return [one async for one in books.settled_between(rig.access, rig.now - _DAY, rig.now + _DAY)]


class SettlementContract:
    """The suite. A subclass has a fixture `rig`, whose `settle` also lets what moved be listed."""

    async def test_payments_and_refunds_are_listed_by_the_references_we_keep(self, rig: PaymentRig) -> None:
        """Else every one of them would be a difference."""
        first, second = await paid(rig, key="one"), await paid(rig, part(rig, 100), key="two")
        refund = await rig.provider.refund(rig.access, first.reference, part(rig, 10), key="r")
        await rig.settle()
        listed = await _listed(rig)
        payments = {one.reference: one for one in listed if one.movement is Movement.PAYMENT}
        assert payments.keys() == {first.reference, second.reference}
        assert payments[first.reference].amount == rig.price
        assert payments[second.reference].amount == part(rig, 100)
        assert all(one.done for one in payments.values())
        (back,) = [one for one in listed if one.movement is Movement.REFUND]
        assert (back.reference, back.amount, back.done) == (refund.reference, part(rig, 10), True)
        assert back.intent_reference in (None, first.reference)

    async def test_a_fee_is_told_once_and_is_never_below_nothing(self, rig: PaymentRig) -> None:
        """What the provider keeps, in the payment's line."""
        done = await paid(rig)
        await rig.settle()
        (line,) = [one for one in await _listed(rig) if one.reference == done.reference]
        assert line.fee is None or 0 <= line.fee.amount < line.amount.amount
        seen = await rig.provider.fetch_intent(rig.access, done.reference)
        if line.fee is not None and seen.fee is not None:
            assert line.fee == seen.fee

    async def test_only_what_moved_in_the_span_is_listed(self, rig: PaymentRig) -> None:
        """Nights that overlap would count twice."""
        books = rig.provider
        assert isinstance(books, Settlements)
        await paid(rig)
        await rig.settle()
        span = (rig.now - 3 * _DAY, rig.now - 2 * _DAY)
        assert [one async for one in books.settled_between(rig.access, *span)] == []
        assert books.settled_after >= timedelta(0)
