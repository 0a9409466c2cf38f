"""Refunds: never more than came in, never twice, and none forgotten."""

import asyncio
from datetime import timedelta
from typing import Any

import attrs
import pytest

from application.billing.refund import RefundDeclined
from application.connections.connect import ProviderUnavailable
from application.once import Once
from application.ports.payments import ProviderRefused, RetryLater
from domain.billing.payments import MoreThanCaptured, PaymentState, Refund, RefundState
from domain.money import Currency, DoesNotFit, Money
from domain.refusals import Conflict, Invalid, NotFound
from tests.unit.application.bench import Bench

USD = Currency("USD")


def once(key: str = "k") -> Once:
    """A call with an Idempotency-Key, answered with the refund's state."""

    def render(refund: Any) -> tuple[int, bytes, dict[str, str]]:
        assert isinstance(refund, Refund)
        return 201, refund.state.value.encode(), {}

    return Once(key, "hash", render)


async def answer(bench: Bench, key: str = "k") -> bytes:
    """What a repetition of the call would get."""
    async with bench.look() as work:
        found = await work.answers.find(key)
    assert found is not None
    return found.body


async def test_of_two_refunds_at_once_that_are_too_much_together_one_is_made(bench: Bench) -> None:
    """Sixty and sixty of a hundred."""
    _, payment = await bench.paid()
    results = await asyncio.gather(
        *(bench.refund(bench.caller, payment.id, amount="60") for _ in range(2)), return_exceptions=True
    )
    made = [one for one in results if isinstance(one, Refund)]
    assert [type(one) for one in results if one not in made] == [MoreThanCaptured]
    assert [refund.state for refund in made] == [RefundState.SUCCEEDED]
    assert [refund.amount for refund in bench.fake.refunds.values()] == [Money(6_000, USD)]
    assert (await bench.payments())[0].state is PaymentState.PARTLY_REFUNDED


async def test_what_is_on_its_way_back_is_said_to_who_asks_for_more(bench: Bench) -> None:
    """Otherwise it says that all can be refunded, and refuses it."""
    _, payment = await bench.paid()
    bench.fake.fail_next(RetryLater("away"), of="refund")
    with pytest.raises(ProviderUnavailable):
        await bench.refund(bench.caller, payment.id, amount="100")
    for amount in ("100", None):
        with pytest.raises(MoreThanCaptured, match=r"Only 0\.00 USD of 100\.00 USD .* 100\.00 USD is on its way back"):
            await bench.refund(bench.caller, payment.id, amount=amount)


async def test_a_payment_of_another_account_is_said_to_be_one(bench: Bench) -> None:
    """The key was changed to another account's: that account knows nothing of the payment."""
    _, payment = await bench.paid()
    async with bench.store.of(bench.org) as work:
        connection = await work.connections.get(bench.connection.id)
        await work.connections.save(attrs.evolve(connection, account_reference="acct_2"))
        await work.commit()
    bench.fake.fail_next(ProviderRefused("No such payment.", missing=True), of="refund")
    with pytest.raises(RefundDeclined, match=r"acct_2.*another account"):
        await bench.refund(bench.caller, payment.id, amount=None)


async def test_all_that_is_left_goes_back(bench: Bench) -> None:
    """And then there is nothing to send."""
    invoice, payment = await bench.paid()
    await bench.refund(bench.caller, payment.id, amount="60.00", reason="half")
    rest = await bench.refund(bench.caller, payment.id, amount=None)
    assert rest.amount == Money(4_000, USD)
    assert (await bench.payments())[0].state is PaymentState.REFUNDED
    assert (await bench.invoice(invoice.id)).refunded == 10_000
    with pytest.raises(Invalid, match="more than nothing"):
        await bench.refund(bench.caller, payment.id, amount=None)
    assert (await bench.told()).count("payment.refunded") == 2


@pytest.mark.parametrize("after_work", [False, True])
async def test_a_refund_without_an_answer_is_finished_later_with_the_same_key(bench: Bench, after_work: bool) -> None:
    """Whether the provider had made it or not: it is made once."""
    _, payment = await bench.paid()
    bench.fake.fail_next(RetryLater("time-out", may_have_happened=True), after_work=after_work)
    with pytest.raises(ProviderUnavailable):
        await bench.refund(bench.caller, payment.id, amount="60", once=once())
    assert [refund.state for refund in await bench.refunds()] == [RefundState.REQUESTED]
    assert await answer(bench) == b"requested"
    with pytest.raises(MoreThanCaptured):
        await bench.refund(bench.caller, payment.id, amount="60")
    assert await bench.resume_refunds() == {"refunds": 0, "stuck": 0}, "the call itself may still be at it"
    bench.clock.advance(timedelta(minutes=2))
    assert await bench.resume_refunds() == {"refunds": 1, "stuck": 0}
    assert await bench.resume_refunds() == {"refunds": 0, "stuck": 0}
    assert [refund.state for refund in await bench.refunds()] == [RefundState.SUCCEEDED]
    assert len(bench.fake.refunds) == 1
    assert (await bench.payments())[0].refundable == Money(4_000, USD)


async def test_a_declined_refund_leaves_the_money_refundable(bench: Bench) -> None:
    """The provider's words reach the caller, now and when the call is repeated."""
    _, payment = await bench.paid()
    bench.fake.fail_next(ProviderRefused("insufficient funds"))
    with pytest.raises(RefundDeclined, match="insufficient funds"):
        await bench.refund(bench.caller, payment.id, amount="60", once=once())
    (refund,) = await bench.refunds()
    assert (refund.state, refund.failure) == (RefundState.FAILED, "insufficient funds")
    assert await answer(bench) == b"failed"
    await bench.refund(bench.caller, payment.id, amount="100")


async def test_trouble_after_the_refund_is_not_the_callers(bench: Bench) -> None:
    """The money went; only looking at the payment again failed. It still counts until the provider tells of it."""
    _, payment = await bench.paid()

    async def fail() -> None:
        raise RetryLater("away")

    bench.between.before["fetch_intent"] = fail
    refund = await bench.refund(bench.caller, payment.id, amount="60", once=once())
    assert refund.state is RefundState.SUCCEEDED
    assert await answer(bench) == b"succeeded"
    assert (await bench.payments())[0].refunded == Money.zero(USD)
    with pytest.raises(MoreThanCaptured):
        await bench.refund(bench.caller, payment.id, amount="60")
    bench.between.before.clear()
    await bench.settle.intent(bench.org, bench.connection.id, payment.reference)
    await bench.refund(bench.caller, payment.id, amount="40")
    assert (await bench.payments())[0].state is PaymentState.REFUNDED


async def test_a_refund_that_its_webhook_told_of_first_is_noted_once(bench: Bench) -> None:
    """The caller's own answer comes second and changes nothing."""
    _, payment = await bench.paid()

    async def webhook() -> None:
        await bench.settle.intent(bench.org, bench.connection.id, payment.reference)

    bench.between.after["refund"] = webhook
    await bench.refund(bench.caller, payment.id, amount="60")
    assert (await bench.payments())[0].refunded == Money(6_000, USD)
    assert (await bench.told()).count("payment.refunded") == 1


async def test_a_refund_through_a_disconnected_account_is_refused_before_it_is_written(bench: Bench) -> None:
    """Its credentials are forgotten; it could never be carried out."""
    _, payment = await bench.paid()
    async with bench.store.of(bench.org) as work:
        await work.connections.save(bench.connection.disconnected(bench.clock.now()))
        await work.commit()
    with pytest.raises(Conflict, match="disconnected"):
        await bench.refund(bench.caller, payment.id, amount="60")
    assert await bench.refunds() == ()


async def test_a_wrong_amount_is_refused(bench: Bench) -> None:
    """Too much, nothing, less than nothing, half a cent, no such payment; nothing is written."""
    _, payment = await bench.paid()
    for amount, error in (
        ("100.01", MoreThanCaptured),
        ("0", Invalid),
        ("-1", Invalid),
        ("0.001", DoesNotFit),
        ("ten", DoesNotFit),
    ):
        with pytest.raises(error):
            await bench.refund(bench.caller, payment.id, amount=amount)
    with pytest.raises(NotFound):
        await bench.refund(bench.caller, "pay_none", amount="1")
    assert await bench.refunds() == ()
    assert bench.fake.refunds == {}
