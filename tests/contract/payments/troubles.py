"""What a provider answers when things go wrong, and what that means."""

import asyncio
from datetime import timedelta

import pytest

from application.ports.payments import ProviderRefused, ReconnectNeeded, RetryLater
from tests.contract.payments.rig import PaymentRig, order, paid, part


class TroubleContract:
    """The suite. A subclass has a fixture `rig`."""

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
        again = await rig.provider.create_checkout(rig.access, order(rig), key="k")
        assert again.reference == page.reference

    async def test_an_answer_that_never_comes_may_have_left_something_behind(self, rig: PaymentRig) -> None:
        """The worst case of money: done, and not known to be done."""
        intent = await paid(rig)
        await rig.swallow_answer()
        with pytest.raises(RetryLater) as later:
            await rig.impatient.refund(rig.access, intent.reference, part(rig, 10), key="r")
        assert later.value.may_have_happened
        if rig.keeps_keys:
            again = await rig.provider.refund(rig.access, intent.reference, part(rig, 10), key="r")
        else:
            found = await rig.provider.find_refund(rig.access, intent.reference, "r")
            assert found is not None
            again = found
        assert [again.reference] == [
            one.reference for one in await rig.provider.refunds_of(rig.access, intent.reference)
        ]

    async def test_nobody_paid_on_a_page_whose_answer_never_came(self, rig: PaymentRig) -> None:
        """No payment is found, or the provider says that it cannot tell yet: it is never guessed."""
        await rig.swallow_answer()
        with pytest.raises(RetryLater):
            await rig.impatient.create_checkout(rig.access, order(rig), key="k")
        try:
            assert await rig.provider.find_payment(rig.access, "k") is None
        except RetryLater as later:
            assert later.reason  # noqa: PT017  # it is one of the two answers that are right

    async def test_parallel_calls_do_not_disturb_each_other(self, rig: PaymentRig) -> None:
        """One adapter serves every connection at once."""
        pages = await asyncio.gather(
            *(rig.provider.create_checkout(rig.access, order(rig), key=f"k{n}") for n in range(20))
        )
        assert len({page.reference for page in pages}) == 20

    async def test_the_same_question_five_times_at_once_is_one_page(self, rig: PaymentRig) -> None:
        """A provider may refuse a question that it is answering already; the pages are the same all the same."""
        answers = await asyncio.gather(
            *(rig.provider.create_checkout(rig.access, order(rig), key="k") for _ in range(5)), return_exceptions=True
        )
        pages = [one for one in answers if not isinstance(one, BaseException)]
        assert pages
        assert all(isinstance(one, RetryLater | ProviderRefused) for one in answers if isinstance(one, BaseException))
        assert len({page.reference for page in pages}) == 1
