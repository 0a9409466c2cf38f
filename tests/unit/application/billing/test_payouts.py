"""Paying out: never twice, never guessed, and followed to the receiver's account."""

from datetime import timedelta
from typing import Any

import pytest

from application.billing.unknown_payouts import ASKED_AGAIN
from application.connections.connect import ProviderUnavailable
from application.once import Once
from application.ports.leases import Held
from application.ports.payments import ReconnectNeeded, RetryLater
from application.ports.payouts import PayoutStanding
from domain.billing.payouts import Payout, PayoutDeclined, PayoutState
from domain.money import Currency, DoesNotFit, Money
from domain.refusals import Invalid, NotFound
from tests.books import assert_books
from tests.unit.application.bench import Bench

USD = Currency("USD")
TO = {"bank": "044", "account": "0690000031"}
LOST = RetryLater("time-out", may_have_happened=True)


async def pay_out(bench: Bench, **changes: Any) -> Payout:
    """50 USD to a bank account."""
    asked = {"provider": "fake", "amount": "50.00", "currency": "USD", "destination": TO, **changes}
    return await bench.pay_out(bench.caller, **asked)


async def payouts(bench: Bench) -> tuple[Payout, ...]:
    """All of them."""
    async with bench.look() as work:
        return await work.payouts.all()


async def held(bench: Bench) -> int:
    """What the ledger says the provider holds, in US cents."""
    async with bench.look() as work:
        found = {one.account: one.amount.amount for one in await work.ledger.balances()}
    return found.get("balance:fake", 0)


async def webhooks(bench: Bench) -> None:
    """Everything that the provider has told so far arrives."""
    for body in bench.fake.events:
        await bench.webhook(body)
    while await bench.handle():
        pass


async def test_it_is_sent_once_and_followed_to_its_end(bench: Bench) -> None:
    """Created, then paid: the events, the ledger with the fee, and nothing of the destination in clear but its end."""
    bench.fake.payout_fee = 25
    payout = await pay_out(bench, description="rent")
    assert (payout.state, payout.fee, payout.receiver) == (PayoutState.PENDING, 25, "044 ·· 0031")
    assert payout.sealed_destination is not None
    assert TO["account"] not in repr(payout)
    assert payout.reference is not None
    bench.fake.move_payout(payout.reference, PayoutStanding.PAID)
    await webhooks(bench)
    (after,) = await payouts(bench)
    assert after.state is PayoutState.PAID
    assert await held(bench) == -5_025
    assert await bench.told() == ["payout.created", "payout.paid"]
    await assert_books(bench.store, bench.org)


async def test_one_that_fails_later_is_in_the_balance_again(bench: Bench) -> None:
    """The bank sent it back: money and fee."""
    bench.fake.payout_fee = 25
    payout = await pay_out(bench)
    assert payout.reference is not None
    bench.fake.move_payout(payout.reference, PayoutStanding.FAILED, "The account is closed.")
    await webhooks(bench)
    (after,) = await payouts(bench)
    assert (after.state, after.failure) == (PayoutState.FAILED, "The account is closed.")
    assert await held(bench) == 0
    assert (await bench.told())[-1] == "payout.failed"
    await assert_books(bench.store, bench.org)


async def test_without_an_answer_it_is_unknown_and_looked_up(bench: Bench) -> None:
    """The provider did it and its answer was lost: asking again blindly would pay twice."""
    bench.fake.fail_next(LOST, after_work=True)
    with pytest.raises(ProviderUnavailable, match="is kept"):
        await pay_out(bench)
    (payout,) = await payouts(bench)
    assert payout.state is PayoutState.UNKNOWN
    assert await held(bench) == 0
    assert await bench.resolve_payouts() == {"payouts": 0}
    bench.clock.advance(timedelta(minutes=5))
    assert await bench.resolve_payouts() == {"payouts": 1}
    (payout,) = await payouts(bench)
    assert (payout.state, len(bench.fake.payouts)) == (PayoutState.PENDING, 1)
    assert await bench.told() == ["payout.created"]
    await assert_books(bench.store, bench.org)


async def test_one_that_was_never_made_is_sent_again_with_its_key(bench: Bench) -> None:
    """The provider is sure that it has none, and the receiver still waits."""
    bench.fake.fail_next(LOST)
    with pytest.raises(ProviderUnavailable):
        await pay_out(bench)
    bench.clock.advance(timedelta(minutes=5))
    await bench.resolve_payouts()
    (payout,) = await payouts(bench)
    assert payout.state is PayoutState.PENDING
    (made,) = bench.fake.payouts.values()
    assert made.key == payout.id
    assert bench.fake.calls == ["create_payout", "find_payout", "create_payout"]


async def test_as_long_as_the_provider_cannot_tell_nothing_is_sent(bench: Bench) -> None:
    """After 5 minutes, an hour, then daily."""
    bench.fake.fail_next(LOST, after_work=True)
    with pytest.raises(ProviderUnavailable):
        await pay_out(bench)
    for wait in (timedelta(minutes=5), timedelta(hours=1), timedelta(days=1), timedelta(days=1)):
        bench.clock.advance(wait - timedelta(seconds=1))
        await bench.resolve_payouts()
        bench.clock.advance(timedelta(seconds=1))
        bench.fake.fail_next(RetryLater("not yet"))
        await bench.resolve_payouts()
    assert bench.fake.calls == ["create_payout", *["find_payout"] * 4]
    (payout,) = await payouts(bench)
    assert (payout.state, payout.checks) == (PayoutState.UNKNOWN, 4)


async def test_after_a_day_one_that_was_never_made_is_given_up(bench: Bench) -> None:
    """By then somebody may have paid by other means."""
    bench.fake.fail_next(LOST)
    with pytest.raises(ProviderUnavailable):
        await pay_out(bench)
    bench.clock.advance(ASKED_AGAIN)
    await bench.resolve_payouts()
    (payout,) = await payouts(bench)
    assert (payout.state, bench.fake.payouts) == (PayoutState.FAILED, {})
    assert payout.failure == "The provider knows of no such payout."


async def test_a_revoked_key_keeps_it_until_somebody_reconnects(bench: Bench) -> None:
    """Nothing was sent, nothing is lost."""
    bench.fake.fail_next(ReconnectNeeded("revoked"))
    with pytest.raises(ProviderUnavailable):
        await pay_out(bench)
    (payout,) = await payouts(bench)
    assert payout.state is PayoutState.REQUESTED
    bench.clock.advance(timedelta(minutes=6))
    await bench.resolve_payouts()
    (payout,) = await payouts(bench)
    assert payout.state is PayoutState.PENDING


async def test_the_webhook_may_be_quicker_than_the_answer(bench: Bench) -> None:
    """It says which key the payout was made with: there is one payout, told of once."""

    async def hear() -> None:
        await webhooks_of_payout(bench)

    bench.between.after["create_payout"] = hear
    payout = await pay_out(bench)
    assert [one.id for one in await payouts(bench)] == [payout.id]
    assert await bench.told() == ["payout.created"]


async def webhooks_of_payout(bench: Bench) -> None:
    """The provider's own word, before our call has returned."""
    (reference,) = bench.fake.payouts
    await bench.sync_payout.learn(bench.org, bench.connection.id, reference)


async def test_a_webhook_that_may_be_ours_waits_for_the_answer(bench: Bench) -> None:
    """The provider does not say which key: taking it for another would count it twice."""
    bench.fake.tells_keys = False
    bench.fake.fail_next(LOST, after_work=True)
    with pytest.raises(ProviderUnavailable):
        await pay_out(bench)
    with pytest.raises(Held, match="may be this one"):
        await webhooks_of_payout(bench)
    bench.clock.advance(timedelta(minutes=5))
    await bench.resolve_payouts()
    assert await bench.sync_payout.learn(bench.org, bench.connection.id, next(iter(bench.fake.payouts))) is True
    assert len(await payouts(bench)) == 1


async def test_what_the_provider_pays_out_by_itself_is_followed_too(bench: Bench) -> None:
    """Else the balance in the books would only ever grow."""
    reference = bench.fake.pay_out_by_itself(Money(9_000, USD))
    bench.fake.move_payout(reference, PayoutStanding.PAID)
    await webhooks(bench)
    (payout,) = await payouts(bench)
    assert (payout.reference, payout.state, payout.sealed_destination) == (reference, PayoutState.PAID, None)
    assert await held(bench) == -9_000
    await assert_books(bench.store, bench.org)


async def test_the_same_call_again_pays_out_once(bench: Bench) -> None:
    """The answer that is kept names the payout; the provider was asked once."""
    once = Once("k", "hash", lambda payout: (201, payout.state.value.encode(), {}))
    await pay_out(bench, once=once)
    async with bench.look() as work:
        answer = await work.answers.find("k")
    assert answer is not None
    assert answer.body == b"pending"


async def test_what_cannot_be_paid_out_is_refused_and_nothing_is_written(bench: Bench) -> None:
    """Each refusal names its field."""
    for changes, kind, field in (
        ({"amount": "0"}, Invalid, "amount"),
        ({"amount": "-5"}, Invalid, "amount"),
        ({"amount": "1.005"}, DoesNotFit, "amount"),
        ({"amount": "99999999"}, Invalid, "amount"),
        ({"destination": {"bank": "044"}}, Invalid, "destination.account"),
        ({"destination": {**TO, "iban": "x"}}, Invalid, "destination.iban"),
        ({"destination": {**TO, "bank": "999"}}, Invalid, "destination.bank"),
        ({"destination": {**TO, "account": "12a"}}, Invalid, "destination.account"),
        ({"destination": {**TO, "account": "1\n2"}}, Invalid, "destination.account"),
        ({"description": "x" * 501}, Invalid, "description"),
    ):
        with pytest.raises(kind) as caught:
            await pay_out(bench, **changes)
        assert [fault.field for fault in caught.value.faults] == [field], changes
    with pytest.raises(NotFound):
        await pay_out(bench, provider="elsewhere")
    assert await payouts(bench) == ()
    assert bench.fake.payouts == {}


async def test_one_that_the_provider_refuses_is_kept_as_failed(bench: Bench) -> None:
    """With its reason; nothing is in the books."""
    with pytest.raises(PayoutDeclined, match="no such account"):
        await pay_out(bench, destination={**TO, "account": "0000"})
    (payout,) = await payouts(bench)
    assert (payout.state, payout.failure) == (PayoutState.FAILED, "There is no such account.")
    assert await held(bench) == 0


async def test_another_organisations_payout_is_not_ours(bench: Bench) -> None:
    """Two organisations may share an account; each follows its own."""
    other = await bench.found()
    connection = await bench.connect(other)
    payout = await pay_out(bench)
    assert payout.reference is not None
    assert await bench.sync_payout.learn(other, connection.id, payout.reference) is False
