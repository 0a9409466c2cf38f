"""What every PaymentProvider must do. A provider runs it by giving `PaymentProviderContract` a rig."""

import asyncio
from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

import attrs
import pytest

from application.ports.payments import (
    BadSignature,
    CheckoutOrder,
    CheckoutState,
    Intent,
    IntentState,
    PaymentProvider,
    ProviderRefused,
    ReconnectNeeded,
    RefundState,
    RetryLater,
)
from domain.money import Money
from domain.refusals import Invalid

PRICE = Money.of("125.00", "USD")
SECRET = "whsec_contract"


class PaymentRig(Protocol):
    """A provider on a test bench: what the world around it can be made to do."""

    provider: PaymentProvider
    impatient: PaymentProvider
    """The same, waiting for answers but a moment."""
    access: Mapping[str, str]
    now: datetime
    good: str
    """A payment method that pays; `declined` does not, and `asking` waits for its owner."""
    declined: str
    asking: str

    @abstractmethod
    async def pay(self, reference: str) -> None:
        """The payer pays a hosted page."""

    @abstractmethod
    async def decline(self, reference: str) -> None:
        """The payer's card is declined on a hosted page."""

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
    def sign(self, body: bytes, secret: str, at: datetime) -> dict[str, str]:
        """The headers that the provider sends with a webhook."""


def order(rig: PaymentRig, amount: Money = PRICE, **more: object) -> CheckoutOrder:
    """An ordinary order."""
    made = CheckoutOrder(
        amount=amount,
        description="Invoice INV-0001",
        reference="chk_1",
        success_url="https://shop.example/paid?id={CHECKOUT_SESSION_ID}",
        cancel_url="https://shop.example/back",
        expires_at=rig.now + timedelta(hours=1),
        customer_email="pat@example.com",
        metadata={"payment": "pay_1"},
    )
    return attrs.evolve(made, **more)  # type: ignore[arg-type]


async def paid(rig: PaymentRig, amount: Money = PRICE, key: str = "paid") -> Intent:
    """A payment that succeeded."""
    intent = await rig.provider.create_intent(rig.access, amount, key=f"{key}-create")
    return await rig.provider.confirm_intent(rig.access, intent.reference, method=rig.good, key=f"{key}-confirm")


class PaymentProviderContract:
    """The suite. A subclass has a fixture `rig`."""

    async def test_the_account_says_who_is_connected(self, rig: PaymentRig) -> None:
        """A person must see which shop they connected."""
        assert await rig.provider.account(rig.access)

    async def test_a_page_asks_for_the_money_until_it_is_paid(self, rig: PaymentRig) -> None:
        """The whole of an ordinary payment."""
        page = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        assert (page.state, page.paid, page.amount) == (CheckoutState.OPEN, False, PRICE)
        assert page.url
        assert page.metadata == {"payment": "pay_1"}
        assert page.expires_at == rig.now + timedelta(hours=1)
        await rig.pay(page.reference)
        done = await rig.provider.fetch_checkout(rig.access, page.reference)
        assert (done.state, done.paid) == (CheckoutState.COMPLETE, True)
        assert done.intent_reference
        intent = await rig.provider.fetch_intent(rig.access, done.intent_reference)
        assert (intent.state, intent.received, intent.amount) == (IntentState.SUCCEEDED, PRICE, PRICE)
        assert intent.metadata == {"payment": "pay_1"}

    async def test_a_page_stays_open_when_the_card_is_declined(self, rig: PaymentRig) -> None:
        """The payer may try another card."""
        page = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        await rig.decline(page.reference)
        now = await rig.provider.fetch_checkout(rig.access, page.reference)
        assert (now.state, now.paid) == (CheckoutState.OPEN, False)
        await rig.pay(page.reference)
        assert (await rig.provider.fetch_checkout(rig.access, page.reference)).paid

    async def test_a_page_can_be_closed_once_and_again(self, rig: PaymentRig) -> None:
        """Closing is retried after a crash, so the second time must not be an error."""
        page = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        closed = await rig.provider.expire_checkout(rig.access, page.reference)
        assert (closed.state, closed.url) == (CheckoutState.EXPIRED, None)
        assert await rig.provider.expire_checkout(rig.access, page.reference) == closed

    async def test_closing_a_paid_page_tells_that_it_was_paid(self, rig: PaymentRig) -> None:
        """The payer was quicker than we were; the money must not be overlooked."""
        page = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        await rig.pay(page.reference)
        told = await rig.provider.expire_checkout(rig.access, page.reference)
        assert (told.state, told.paid) == (CheckoutState.COMPLETE, True)

    async def test_the_same_key_opens_one_page(self, rig: PaymentRig) -> None:
        """A retry after a lost answer must not make a second page that can be paid."""
        first = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        assert await rig.provider.create_checkout(rig.access, order(rig), key="k") == first
        other = await rig.provider.create_checkout(rig.access, order(rig), key="another")
        assert other.reference != first.reference

    async def test_a_key_used_for_something_else_is_refused(self, rig: PaymentRig) -> None:
        """It would be a mistake of ours, and must not be answered with an old success."""
        await rig.provider.create_checkout(rig.access, order(rig), key="k")
        with pytest.raises(ProviderRefused) as refused:
            await rig.provider.create_checkout(rig.access, order(rig, Money.of("1.00", "USD")), key="k")
        assert refused.value.code == "idempotency_error"

    async def test_an_intent_is_confirmed_with_a_method(self, rig: PaymentRig) -> None:
        """The path for shops with a page of their own."""
        payer = await rig.provider.ensure_customer(
            rig.access, our_reference="client_1", email="pat@example.com", name="Pat", key="c"
        )
        assert (payer.email, payer.name) == ("pat@example.com", "Pat")
        intent = await rig.provider.create_intent(
            rig.access,
            PRICE,
            key="k",
            description="One thing",
            customer_reference=payer.reference,
            metadata={"payment": "pay_1"},
        )
        assert (intent.state, intent.received.amount, intent.customer_reference) == (
            IntentState.WAITING,
            0,
            payer.reference,
        )
        assert intent.client_secret
        done = await rig.provider.confirm_intent(rig.access, intent.reference, method=rig.good, key="k2")
        assert (done.state, done.received, done.refunded.amount) == (IntentState.SUCCEEDED, PRICE, 0)
        assert await rig.provider.fetch_intent(rig.access, intent.reference) == done

    async def test_a_declined_method_is_refused_and_leaves_the_intent_waiting(self, rig: PaymentRig) -> None:
        """A decline is the payer's matter: it says why, and the payment can still be made."""
        intent = await rig.provider.create_intent(rig.access, PRICE, key="k")
        with pytest.raises(ProviderRefused) as refused:
            await rig.provider.confirm_intent(rig.access, intent.reference, method=rig.declined, key="k2")
        assert "declin" in refused.value.code
        assert refused.value.__cause__ is not None or refused.value.__context__ is None
        now = await rig.provider.fetch_intent(rig.access, intent.reference)
        assert (now.state, bool(now.failure)) == (IntentState.WAITING, True)
        done = await rig.provider.confirm_intent(rig.access, intent.reference, method=rig.good, key="k3")
        assert done.state is IntentState.SUCCEEDED

    async def test_a_method_whose_owner_must_act_leaves_the_intent_waiting(self, rig: PaymentRig) -> None:
        """Authentication is neither a success nor a failure."""
        intent = await rig.provider.create_intent(rig.access, PRICE, key="k")
        now = await rig.provider.confirm_intent(rig.access, intent.reference, method=rig.asking, key="k2")
        assert (now.state, now.received.amount) == (IntentState.WAITING, 0)

    async def test_a_waiting_intent_can_be_given_up_once_and_again(self, rig: PaymentRig) -> None:
        """Nobody pays what was withdrawn."""
        intent = await rig.provider.create_intent(rig.access, PRICE, key="give-up")
        for _ in range(2):
            given_up = await rig.provider.cancel_intent(rig.access, intent.reference)
            assert given_up.state is IntentState.CANCELED

    async def test_an_intent_that_was_paid_is_not_given_up(self, rig: PaymentRig) -> None:
        """Its money came; the caller learns that it was too late."""
        intent = await rig.provider.create_intent(rig.access, PRICE, key="too-late")
        await rig.provider.confirm_intent(rig.access, intent.reference, method=rig.good, key="pays")
        assert (await rig.provider.cancel_intent(rig.access, intent.reference)).state is IntentState.SUCCEEDED

    async def test_a_webhook_is_taken_back_once_and_again(self, rig: PaymentRig) -> None:
        """Disconnecting twice, or after somebody removed it by hand, is no trouble."""
        reference, secret = await rig.provider.register_webhook(rig.access, "http://127.0.0.1:9/in", key="hook")
        assert secret
        for _ in range(2):
            await rig.provider.remove_webhook(rig.access, reference)

    async def test_part_and_then_the_rest_go_back(self, rig: PaymentRig) -> None:
        """The commonest refunds."""
        intent = await paid(rig)
        part = await rig.provider.refund(
            rig.access, intent.reference, Money.of("25.00", "USD"), key="r1", reason="Wrong size"
        )
        assert (part.state, part.intent_reference) == (RefundState.SUCCEEDED, intent.reference)
        assert (await rig.provider.fetch_intent(rig.access, intent.reference)).refunded == Money.of("25.00", "USD")
        await rig.provider.refund(rig.access, intent.reference, Money.of("100.00", "USD"), key="r2")
        now = await rig.provider.fetch_intent(rig.access, intent.reference)
        assert (now.refunded, now.state) == (PRICE, IntentState.SUCCEEDED)

    async def test_more_than_was_paid_does_not_go_back(self, rig: PaymentRig) -> None:
        """Two people refunding at once must not pay out twice."""
        intent = await paid(rig)
        await rig.provider.refund(rig.access, intent.reference, Money.of("100.00", "USD"), key="r1")
        with pytest.raises(ProviderRefused):
            await rig.provider.refund(rig.access, intent.reference, Money.of("25.01", "USD"), key="r2")
        assert len(await rig.provider.refunds_of(rig.access, intent.reference)) == 1

    async def test_the_same_key_sends_money_back_once(self, rig: PaymentRig) -> None:
        """A refund that is retried after a lost answer is the same refund."""
        intent = await paid(rig)
        sent = [
            await rig.provider.refund(rig.access, intent.reference, Money.of("10.00", "USD"), key="r") for _ in range(3)
        ]
        assert len({refund.reference for refund in sent}) == 1
        assert (await rig.provider.fetch_intent(rig.access, intent.reference)).refunded == Money.of("10.00", "USD")

    async def test_refunds_are_listed_to_the_last_page(self, rig: PaymentRig) -> None:
        """What is reconciled must be complete: a hundred is a page at Stripe."""
        intent = await paid(rig)
        made = [
            await rig.provider.refund(rig.access, intent.reference, Money.of("1.00", "USD"), key=f"r{number}")
            for number in range(103)
        ]
        listed = await rig.provider.refunds_of(rig.access, intent.reference)
        assert {refund.reference for refund in listed} == {refund.reference for refund in made}
        assert len(listed) == 103

    async def test_an_unknown_object_is_missing(self, rig: PaymentRig) -> None:
        """Missing is told apart from other refusals: what is not there can be made anew."""
        for call in (
            rig.provider.fetch_checkout(rig.access, "no_such"),
            rig.provider.expire_checkout(rig.access, "no_such"),
            rig.provider.fetch_intent(rig.access, "no_such"),
            rig.provider.refund(rig.access, "no_such", PRICE, key="r"),
        ):
            with pytest.raises(ProviderRefused) as refused:
                await call
            assert refused.value.missing

    async def test_an_amount_that_cannot_be_charged_is_found_out_beforehand(self, rig: PaymentRig) -> None:
        """And the provider itself refuses it too, if it is sent all the same."""
        too_much = Money(10**12, PRICE.currency)
        with pytest.raises(Invalid) as invalid:
            rig.provider.check_amount(too_much, field="lines.0.unit_price")
        assert [fault.field for fault in invalid.value.faults] == ["lines.0.unit_price"]
        rig.provider.check_amount(PRICE)
        with pytest.raises(ProviderRefused):
            await rig.provider.create_checkout(rig.access, order(rig, too_much), key="k")

    async def test_a_revoked_key_asks_for_a_person(self, rig: PaymentRig) -> None:
        """Retrying would never help."""
        await rig.revoke()
        with pytest.raises(ReconnectNeeded) as needed:
            await rig.provider.account(rig.access)
        assert needed.value.__cause__ is not None

    async def test_too_many_calls_wait_as_long_as_they_are_told(self, rig: PaymentRig) -> None:
        """Nothing was done, so the retry is safe."""
        await rig.limit_rate(timedelta(seconds=7))
        with pytest.raises(RetryLater) as later:
            await rig.provider.create_checkout(rig.access, order(rig), key="k")
        assert (later.value.after, later.value.may_have_happened) == (timedelta(seconds=7), False)
        assert later.value.__cause__ is not None

    @pytest.mark.parametrize("after_work", [False, True])
    async def test_a_breakdown_may_have_left_something_behind(self, rig: PaymentRig, after_work: bool) -> None:
        """From outside nobody can tell, so the caller asks again with the same key and gets one page."""
        await rig.break_down(after_work=after_work)
        with pytest.raises(RetryLater) as later:
            await rig.provider.create_checkout(rig.access, order(rig), key="k")
        assert later.value.may_have_happened
        page = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        assert await rig.provider.create_checkout(rig.access, order(rig), key="k") == page

    async def test_an_answer_that_never_comes_may_have_left_something_behind(self, rig: PaymentRig) -> None:
        """The worst case of money: done, and not known to be done."""
        intent = await paid(rig)
        await rig.swallow_answer()
        with pytest.raises(RetryLater) as later:
            await rig.impatient.refund(rig.access, intent.reference, Money.of("10.00", "USD"), key="r")
        assert later.value.may_have_happened
        again = await rig.provider.refund(rig.access, intent.reference, Money.of("10.00", "USD"), key="r")
        assert [again] == list(await rig.provider.refunds_of(rig.access, intent.reference))

    async def test_parallel_calls_do_not_disturb_each_other(self, rig: PaymentRig) -> None:
        """One adapter serves every connection at once."""
        pages = await asyncio.gather(
            *(rig.provider.create_checkout(rig.access, order(rig), key=f"k{n}") for n in range(20))
        )
        assert len({page.reference for page in pages}) == 20

    async def test_a_webhook_says_what_it_is_about(self, rig: PaymentRig) -> None:
        """The inbox finds our payment by the metadata, or by the provider's reference."""
        page = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        await rig.pay(page.reference)
        read = [
            rig.provider.read_webhook((SECRET,), rig.sign(body, SECRET, rig.now), body, rig.now)
            for body in await rig.bodies()
        ]
        assert len({event.external_id for event in read}) == len(read)
        about = {event.object_kind: event for event in read}
        assert about["checkout"].object_reference == page.reference
        assert about["checkout"].metadata == {"payment": "pay_1"}
        assert about["intent"].intent_reference == about["intent"].object_reference
        assert about["checkout"].intent_reference == about["intent"].object_reference
        assert not about["intent"].live
        assert about["intent"].created_at == rig.now

    async def test_a_webhook_is_believed_only_if_it_was_signed_just_now_by_the_provider(self, rig: PaymentRig) -> None:
        """Everything else could be anyone's."""
        await paid(rig)
        body = (await rig.bodies())[-1]
        read, signed = rig.provider.read_webhook, rig.sign(body, SECRET, rig.now)
        event = read((SECRET,), signed, body, rig.now)
        assert read((SECRET,), signed, body, rig.now) == event  # a duplicate is the same event
        assert rig.provider.parse_webhook(body) == event
        assert read(("whsec_older", SECRET), signed, body, rig.now) == event
        assert read((SECRET,), {k.upper(): v for k, v in signed.items()}, body, rig.now) == event
        for edge in (timedelta(seconds=300), timedelta(seconds=-300)):
            assert read((SECRET,), signed, body, rig.now + edge) == event
        for secrets, headers, sent, now in (
            ((SECRET,), signed, body + b" ", rig.now),
            ((SECRET,), signed, body.replace(b"true", b"false").replace(b"succ", b"fail"), rig.now),
            (("whsec_other",), signed, body, rig.now),
            ((), signed, body, rig.now),
            ((SECRET,), {}, body, rig.now),
            ((SECRET,), dict.fromkeys(signed, "nonsense"), body, rig.now),
            ((SECRET,), signed, body, rig.now + timedelta(seconds=301)),
            ((SECRET,), signed, body, rig.now - timedelta(seconds=301)),
        ):
            with pytest.raises(BadSignature):
                read(secrets, headers, sent, now)

    async def test_a_webhook_may_be_signed_with_several_secrets(self, rig: PaymentRig) -> None:
        """While a secret is being changed, both sign."""
        await paid(rig)
        body = (await rig.bodies())[-1]
        [(name, old)] = rig.sign(body, "whsec_old", rig.now).items()
        new = rig.sign(body, SECRET, rig.now)[name].partition(",")[2]
        event = rig.provider.read_webhook((SECRET,), {name: f"{old},{new}"}, body, rig.now)
        assert event == rig.provider.parse_webhook(body)

    async def test_a_signed_body_that_is_no_event_is_a_value_error(self, rig: PaymentRig) -> None:
        """It did come from the provider, so it is not a bad signature; it is kept and looked at by a person."""
        for body in (b"", b"[]", b"{}", b"not json", b"\xff\xfe", b'{"object": "event"}'):
            with pytest.raises(ValueError, match=r".") as error:
                rig.provider.read_webhook((SECRET,), rig.sign(body, SECRET, rig.now), body, rig.now)
            assert not isinstance(error.value, BadSignature)
