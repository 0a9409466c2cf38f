"""Hosted pages: opened, paid, declined, closed, and found again."""

import pytest

from application.ports.payments import CheckoutState, IntentState, ProviderRefused
from domain.money import Money
from domain.refusals import Invalid
from tests.contract.payments.rig import METADATA, PaymentRig, complete, order


class CheckoutContract:
    """The suite. A subclass has a fixture `rig`."""

    async def test_the_account_says_who_is_connected(self, rig: PaymentRig) -> None:
        """A person must see which shop they connected; customers and plans are kept by its reference."""
        account = await rig.provider.account(rig.access)
        assert account.reference
        assert account.name
        assert (await rig.provider.account(rig.access)).reference == account.reference

    async def test_a_page_asks_for_the_money_until_it_is_paid(self, rig: PaymentRig) -> None:
        """The whole of an ordinary payment."""
        page = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        assert (page.state, page.paid) == (CheckoutState.OPEN, False)
        assert page.url
        if rig.tells_unpaid_pages:
            assert page.amount == rig.price
            assert page.metadata.items() >= METADATA.items()
            assert page.expires_at == order(rig).expires_at
        before = await rig.provider.fetch_checkout(rig.access, page.reference)
        assert (before.state, before.paid, before.amount in (None, rig.price)) == (CheckoutState.OPEN, False, True)
        done = await complete(rig, page, "k")
        assert (done.state, done.paid, done.amount) == (CheckoutState.COMPLETE, True, rig.price)
        assert done.intent_reference
        intent = await rig.provider.fetch_intent(rig.access, done.intent_reference)
        assert (intent.state, intent.received, intent.amount) == (IntentState.SUCCEEDED, rig.price, rig.price)
        assert intent.refunded == Money.zero(rig.price.currency)
        assert intent.metadata.items() >= METADATA.items()

    async def test_taking_the_money_of_a_page_twice_takes_it_once(self, rig: PaymentRig) -> None:
        """The payer who is back and the webhook both ask for it."""
        page = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        open_still = await rig.provider.capture_checkout(rig.access, page.reference, key="too early")
        assert (open_still.state, open_still.paid) == (CheckoutState.OPEN, False)
        done = await complete(rig, page, "k")
        for key in ("k-capture", "another"):
            again = await rig.provider.capture_checkout(rig.access, page.reference, key=key)
            assert (again.state, again.intent_reference) == (CheckoutState.COMPLETE, done.intent_reference)
        assert done.intent_reference
        intent = await rig.provider.fetch_intent(rig.access, done.intent_reference)
        assert intent.received == rig.price

    async def test_a_page_can_still_be_paid_after_a_decline(self, rig: PaymentRig) -> None:
        """The payer may try another card."""
        page = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        await rig.decline(page.reference)
        now = await rig.provider.fetch_checkout(rig.access, page.reference)
        assert (now.state in (CheckoutState.OPEN, CheckoutState.APPROVED), now.paid) == (True, False)
        assert (await complete(rig, page, "k")).paid

    async def test_a_page_can_be_closed_once_and_again(self, rig: PaymentRig) -> None:
        """Closing is retried after a crash, so the second time must not be an error."""
        page = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        closed = await rig.provider.expire_checkout(rig.access, page.reference, url=page.url)
        assert (closed.state, closed.url, closed.paid) == (CheckoutState.EXPIRED, None, False)
        assert await rig.provider.expire_checkout(rig.access, page.reference, url=page.url) == closed

    async def test_closing_a_paid_page_tells_that_it_was_paid(self, rig: PaymentRig) -> None:
        """The payer was quicker than we were; the money must not be overlooked."""
        page = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        done = await complete(rig, page, "k")
        told = await rig.provider.expire_checkout(rig.access, page.reference, url=page.url)
        assert (told.state, told.paid, told.intent_reference) == (CheckoutState.COMPLETE, True, done.intent_reference)

    async def test_the_same_key_opens_one_page(self, rig: PaymentRig) -> None:
        """A retry after a lost answer must not make a second page that can be paid."""
        first = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        second = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        assert second == first if rig.keeps_keys else second.reference == first.reference
        other = await rig.provider.create_checkout(rig.access, order(rig), key="another")
        assert other.reference != first.reference

    async def test_a_key_used_for_something_else_opens_no_second_page(self, rig: PaymentRig) -> None:
        """It would be a mistake of ours, and must not end in two pages that can be paid."""
        first = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        other = order(rig, Money(rig.price.amount * 2, rig.price.currency))
        if rig.compares_keys:
            with pytest.raises(ProviderRefused) as refused:
                await rig.provider.create_checkout(rig.access, other, key="k")
            assert refused.value.code == "idempotency_error"
        else:
            again = await rig.provider.create_checkout(rig.access, other, key="k")
            assert again.reference == first.reference

    async def test_a_payment_is_found_by_the_key_of_its_page(self, rig: PaymentRig) -> None:
        """Where a webhook is lost, this is how the money is found."""
        page = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        await rig.provider.create_checkout(rig.access, order(rig), key="nobody pays on it")
        done = await complete(rig, page, "k")
        found = await rig.provider.find_payment(rig.access, "k")
        assert found is not None
        assert (found.reference, found.received) == (done.intent_reference, rig.price)

    async def test_an_unknown_object_is_missing(self, rig: PaymentRig) -> None:
        """Missing is told apart from other refusals: what is not there can be made anew."""
        calls = [
            rig.provider.fetch_intent(rig.access, "987654321"),
            rig.provider.refund(rig.access, "987654321", rig.price, key="r"),
        ]
        if not rig.forgets_pages:
            calls.append(rig.provider.fetch_checkout(rig.access, "987654321"))
            calls.append(rig.provider.expire_checkout(rig.access, "987654321"))
        for call in calls:
            with pytest.raises(ProviderRefused) as refused:
                await call
            assert refused.value.missing

    async def test_an_amount_that_cannot_be_charged_is_found_out_beforehand(self, rig: PaymentRig) -> None:
        """And the provider itself refuses it too, if it is sent all the same."""
        too_much = Money(10**12, rig.price.currency)
        with pytest.raises(Invalid) as invalid:
            rig.provider.check_amount(too_much, field="lines.0.unit_price")
        assert [fault.field for fault in invalid.value.faults] == ["lines.0.unit_price"]
        rig.provider.check_amount(rig.price)
        with pytest.raises(ProviderRefused):
            await rig.provider.create_checkout(rig.access, order(rig, too_much), key="k")

    async def test_a_currency_it_does_not_take_is_found_out_beforehand(self, rig: PaymentRig) -> None:
        """An invoice nobody can pay must not be sent with a link."""
        assert rig.price.currency.code in rig.provider.currencies
        with pytest.raises(Invalid):
            rig.provider.check_amount(Money.of("100", "KPW"), field="currency")

    async def test_a_status_nobody_has_heard_of_is_a_case_of_its_own(self, rig: PaymentRig) -> None:
        """It must neither crash nor be taken for a failure: the provider may have added it yesterday."""
        page = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        done = await complete(rig, page, "k")
        assert done.intent_reference
        await rig.put_status(done.intent_reference, "levitating")
        intent = await rig.provider.fetch_intent(rig.access, done.intent_reference)
        assert intent.state is IntentState.UNKNOWN
        assert intent.raw_status.lower() == "levitating"
