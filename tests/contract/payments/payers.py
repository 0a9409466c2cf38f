"""Payers: kept once, found again, and charged while they are away.

Three suites, for providers differ: Flutterwave charges tokens and keeps no payers.
"""

from typing import Protocol

import pytest

from application.ports.payers import Customers, MethodKind, OffSession, PaymentMethods, ProviderMethod
from application.ports.payments import IntentState, ProviderRefused, RetryLater
from tests.contract.payments.rig import METADATA, PaymentRig, paid

EMAIL = "pat@example.com"


class CustomerRig(PaymentRig, Protocol):
    """A provider that keeps payers."""

    async def delete_customer(self, reference: str) -> None:
        """Somebody deletes the payer at the provider."""


class CustomerContract:
    """The suite. A subclass has a fixture `rig`."""

    async def test_a_payer_is_made_once_and_found_again(self, rig: CustomerRig) -> None:
        """Two customers for one client would split their history."""
        payers = rig.provider
        assert isinstance(payers, Customers)
        assert await payers.find_customer(rig.access, our_reference="client_1", email=EMAIL) is None
        made = await payers.ensure_customer(rig.access, our_reference="client_1", email=EMAIL, name="Pat", key="c")
        assert (made.email, made.name) == (EMAIL, "Pat")
        again = await payers.ensure_customer(rig.access, our_reference="client_1", email=EMAIL, name="Pat", key="c")
        assert again == made
        found = await payers.find_customer(rig.access, our_reference="client_1", email=EMAIL)
        assert found is not None
        assert found.reference == made.reference
        assert (await payers.fetch_customer(rig.access, made.reference)).reference == made.reference

    async def test_a_payer_with_the_same_address_is_taken_only_if_there_is_one(self, rig: CustomerRig) -> None:
        """Between two, a guess would charge the wrong one's card."""
        payers = rig.provider
        assert isinstance(payers, Customers)
        made = await payers.ensure_customer(rig.access, our_reference="client_1", email=EMAIL, name="Pat", key="c1")
        found = await payers.find_customer(rig.access, our_reference="client_of_another_hub", email=EMAIL)
        assert found is None or found.reference == made.reference
        await payers.ensure_customer(rig.access, our_reference="client_2", email=EMAIL, name="Pat", key="c2")
        assert await payers.find_customer(rig.access, our_reference="client_3", email=EMAIL) is None

    async def test_a_deleted_payer_is_missing(self, rig: CustomerRig) -> None:
        """Then one is made anew, instead of every payment failing."""
        payers = rig.provider
        assert isinstance(payers, Customers)
        made = await payers.ensure_customer(rig.access, our_reference="client_1", email=EMAIL, name="Pat", key="c")
        await rig.delete_customer(made.reference)
        with pytest.raises(ProviderRefused) as refused:
            await payers.fetch_customer(rig.access, made.reference)
        assert refused.value.missing
        assert await payers.find_customer(rig.access, our_reference="client_1", email=EMAIL) is None


class MethodRig(CustomerRig, Protocol):
    """A provider that lists how its payers can pay."""

    async def keep_method(self, customer_reference: str) -> None:
        """The payer leaves another card there."""


class MethodContract:
    """The suite. A subclass has a fixture `rig`."""

    async def test_methods_are_listed_defaulted_and_detached(self, rig: MethodRig) -> None:
        """What a client sees and changes in their settings."""
        payers = rig.provider
        assert isinstance(payers, Customers)
        assert isinstance(payers, PaymentMethods)
        payer = await payers.ensure_customer(rig.access, our_reference="client_1", email=EMAIL, name="Pat", key="c")
        assert await payers.methods_of(rig.access, payer.reference) == ()
        for _ in range(2):
            await rig.keep_method(payer.reference)
        first, second = await payers.methods_of(rig.access, payer.reference)
        assert first.reference != second.reference
        assert len(first.last4) == 4
        for wanted in (first, second):
            await payers.set_default_method(rig.access, payer.reference, wanted.reference)
            now = await payers.methods_of(rig.access, payer.reference)
            assert [one.reference for one in now if one.is_default] == [wanted.reference]
        for _ in range(2):  # forgetting is retried after a crash
            await payers.detach_method(rig.access, payer.reference, first.reference)
        (left,) = await payers.methods_of(rig.access, payer.reference)
        assert left.reference == second.reference

    def test_a_method_does_not_show_what_charges_it(self) -> None:
        """A token in a log is money."""
        method = ProviderMethod("tok_secret", MethodKind.CARD, "visa", "4242", (2030, 1), is_default=True)
        assert "tok_secret" not in repr(method)


class OffSessionRig(PaymentRig, Protocol):
    """A provider that charges what it keeps."""

    async def kept(self, *, declining: bool = False) -> tuple[str, str | None, str]:
        """A payer who left a method there: (the method, the customer's reference if there is one, the address). A
        `declining` one is refused when it is charged."""


class OffSessionContract:
    """The suite. A subclass has a fixture `rig`."""

    async def test_a_kept_method_is_charged(self, rig: OffSessionRig) -> None:
        """A renewal while the payer sleeps."""
        payers = rig.provider
        assert isinstance(payers, OffSession)
        method, customer, email = await rig.kept()
        intent = await payers.charge(
            rig.access,
            rig.price,
            method=method,
            customer_reference=customer,
            customer_email=email,
            key="charge_1",
            description="Care, March",
            metadata=METADATA,
        )
        assert (intent.state, intent.received) == (IntentState.SUCCEEDED, rig.price)
        seen = await rig.provider.fetch_intent(rig.access, intent.reference)
        assert (seen.state, seen.received) == (IntentState.SUCCEEDED, rig.price)
        assert seen.metadata.items() >= METADATA.items()
        found = await rig.provider.find_payment(rig.access, "charge_1")
        assert found is not None
        assert found.reference == intent.reference

    async def test_a_decline_is_an_answer(self, rig: OffSessionRig) -> None:
        """It is tried again days later, and is no error of anybody's here."""
        payers = rig.provider
        assert isinstance(payers, OffSession)
        method, customer, email = await rig.kept(declining=True)
        try:
            intent = await payers.charge(
                rig.access, rig.price, method=method, customer_reference=customer, customer_email=email, key="charge_1"
            )
        except ProviderRefused as refused:
            assert not refused.missing  # noqa: PT017  # it is one of the two answers that are right
            assert refused.reason  # noqa: PT017
        else:
            assert intent.state in (IntentState.FAILED, IntentState.WAITING)
            assert intent.failure
        found = await rig.provider.find_payment(rig.access, "charge_1")
        assert found is None or not found.received

    async def test_a_charge_without_an_answer_is_found_by_its_key(self, rig: OffSessionRig) -> None:
        """It may have happened; charging again would take the money twice."""
        payers, hasty = rig.provider, rig.impatient
        assert isinstance(payers, OffSession)
        assert isinstance(hasty, OffSession)
        method, customer, email = await rig.kept()
        await rig.swallow_answer()
        with pytest.raises(RetryLater) as later:
            await hasty.charge(
                rig.access, rig.price, method=method, customer_reference=customer, customer_email=email, key="charge_1"
            )
        assert later.value.may_have_happened
        found = await rig.provider.find_payment(rig.access, "charge_1")
        assert found is not None
        assert (found.state, found.received) == (IntentState.SUCCEEDED, rig.price)

    async def test_what_was_paid_on_a_page_that_kept_the_method_says_how_to_charge_again(
        self, rig: OffSessionRig
    ) -> None:
        """A provider that hands out a token only with the payment, or one that keeps it with its customer."""
        intent = await paid(rig)
        assert intent.method_reference is None or intent.method_reference not in repr(intent)
