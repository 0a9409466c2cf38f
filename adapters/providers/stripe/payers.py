"""Payers at Stripe: its Customers, the methods that it keeps for them, and charging one of those while they are away."""

from collections.abc import Mapping
from typing import Any

import stripe
from stripe.params import CustomerCreateParams, PaymentIntentCreateParams

from adapters.providers.stripe import amounts, mapping
from adapters.providers.stripe.calls import PAGE, WITH_CHARGE, StripeCalls, by_metadata, plain
from adapters.providers.stripe.client import plain_errors
from adapters.providers.stripe.mapping import KEY, PAYER, UNATTENDED
from application.ports.payers import Customers, OffSession, PaymentMethods, ProviderMethod
from application.ports.payments import Intent, ProviderCustomer, ProviderRefused
from domain.money import Money

_DESCRIPTION = 1000


class StripePayers(StripeCalls, Customers, PaymentMethods, OffSession):
    """Who pays, and with what."""

    async def find_customer(
        self, access: Mapping[str, str], *, our_reference: str, email: str | None
    ) -> ProviderCustomer | None:
        """Among those with the address, whom Stripe lists at once; then by search, which may be an hour behind but finds one
        whose address was changed. One that carries another reference of ours is somebody else."""
        client = self._open(access)
        same: list[dict[str, Any]] = []
        with plain_errors(writes=False):
            if email:
                page = await client.v1.customers.list_async({"email": email, "limit": PAGE})
                same = [plain(customer) async for customer in page.auto_paging_iter()]
        ours = [row for row in same if mapping.texts(row.get("metadata")).get(PAYER) == our_reference]
        if not ours:
            ours = await self._searched(client, our_reference)
        if ours:
            return mapping.customer_of(ours[0])
        free = [row for row in same if PAYER not in mapping.texts(row.get("metadata"))]
        return mapping.customer_of(free[0]) if len(free) == 1 else None

    async def fetch_customer(self, access: Mapping[str, str], reference: str) -> ProviderCustomer:
        """The Customer. Stripe still answers for one that was deleted, and says so."""
        return mapping.customer_of(await self._customer(access, reference))

    async def ensure_customer(
        self, access: Mapping[str, str], *, our_reference: str, email: str | None, name: str | None, key: str
    ) -> ProviderCustomer:
        """A Customer with our reference in its metadata."""
        params: CustomerCreateParams = {"metadata": {PAYER: our_reference}}
        if email:
            params["email"] = email
        if name:
            params["name"] = name
        with plain_errors(writes=True):
            customer = await self._open(access).v1.customers.create_async(params, {"idempotency_key": key})
        return mapping.customer_of(plain(customer))

    async def methods_of(self, access: Mapping[str, str], customer_reference: str) -> tuple[ProviderMethod, ...]:
        """Of every kind. The default is the one that invoices are charged to."""
        customer = await self._customer(access, customer_reference)
        default = mapping.reference_of((customer.get("invoice_settings") or {}).get("default_payment_method"))
        with plain_errors(writes=False):
            page = await self._open(access).v1.customers.payment_methods.list_async(customer_reference, {"limit": PAGE})
            rows = [plain(method) async for method in page.auto_paging_iter()]
        return tuple(mapping.method_of(row, default) for row in rows)

    async def set_default_method(self, access: Mapping[str, str], customer_reference: str, reference: str) -> None:
        """For invoices, and for subscriptions that have a method of their own: a hosted page gives each one its method."""
        client = self._open(access)
        with plain_errors(writes=True):
            await client.v1.customers.update_async(
                customer_reference, {"invoice_settings": {"default_payment_method": reference}}
            )
            page = await client.v1.subscriptions.list_async({"customer": customer_reference, "limit": PAGE})
            others = [
                subscription.id
                async for subscription in page.auto_paging_iter()
                if mapping.reference_of(plain(subscription).get("default_payment_method")) not in (None, reference)
            ]
            for subscription in others:
                await client.v1.subscriptions.update_async(subscription, {"default_payment_method": reference})

    async def detach_method(self, access: Mapping[str, str], customer_reference: str, reference: str) -> None:
        """Detach the PaymentMethod; one of another customer is not this one's, and stays."""
        client = self._open(access)
        try:
            with plain_errors(writes=True):
                method = plain(await client.v1.payment_methods.retrieve_async(reference))
                if mapping.reference_of(method.get("customer")) == customer_reference:
                    await client.v1.payment_methods.detach_async(reference)
        except ProviderRefused as refused:
            if not refused.missing:
                raise

    async def charge(
        self,
        access: Mapping[str, str],
        amount: Money,
        *,
        method: str,
        customer_reference: str | None,
        customer_email: str | None,
        key: str,
        description: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> Intent:
        """A PaymentIntent that is confirmed at once. Stripe keeps one that was declined, so it comes back as FAILED."""
        params: PaymentIntentCreateParams = {
            "amount": amounts.to_stripe(amount),
            "currency": amount.currency.code.lower(),
            "payment_method": method,
            # Otherwise Stripe wants to know where the payer comes back to, and they are away.
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "off_session": True,
            "confirm": True,
            "metadata": {**(metadata or {}), KEY: key, UNATTENDED: "1"},
            "expand": WITH_CHARGE,
        }
        if customer_reference:
            params["customer"] = customer_reference
        if description.strip():
            params["description"] = description.strip()[:_DESCRIPTION]
        try:
            with plain_errors(writes=True):
                intent = await self._open(access).v1.payment_intents.create_async(params, {"idempotency_key": key})
        except ProviderRefused as refused:
            declined = _declined(refused)
            if declined is None:
                raise
            return mapping.intent_of(declined)
        return mapping.intent_of(plain(intent))

    async def _customer(self, access: Mapping[str, str], reference: str) -> dict[str, Any]:
        with plain_errors(writes=False):
            customer = plain(await self._open(access).v1.customers.retrieve_async(reference))
        if customer.get("deleted"):
            raise ProviderRefused("The customer was deleted at Stripe.", code="resource_missing", missing=True)
        return customer

    async def _searched(self, client: stripe.StripeClient, our_reference: str) -> list[dict[str, Any]]:
        """Where Stripe offers no search (accounts in India), nobody is found by it."""
        try:
            with plain_errors(writes=False):
                found = await client.v1.customers.search_async({"query": by_metadata(PAYER, our_reference), "limit": 1})
        except ProviderRefused:
            return []
        return [plain(customer) for customer in found.data]


def _declined(refused: ProviderRefused) -> dict[str, Any] | None:
    """The payment that Stripe's error carries: it was made, and its card was declined."""
    error = refused.__cause__
    body = error.json_body if isinstance(error, stripe.CardError) else None
    intent = (body.get("error") or {}).get("payment_intent") if isinstance(body, dict) else None
    return intent if isinstance(intent, dict) and intent.get("last_payment_error") else None
