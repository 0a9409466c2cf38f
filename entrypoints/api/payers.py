"""Clients as payment providers know them: their customers there, and the methods that they can be charged by."""

from typing import Annotated

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from application.billing.methods import ClientMethods
from application.caller import Caller
from application.ports.store import Slice, Store
from domain.organisations import Scope
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.paging import Listing, listing
from entrypoints.api.views.paying import CustomerView, MethodsView, MethodView


class Payers(Controller):
    """Customers and payment methods."""

    path = "/api/billing"
    tags = ("Payers",)

    @get("/customers", scope=Scope.BILLING_READ, summary="Clients at payment providers")
    async def list_customers(
        self,
        caller: NamedDependency[Caller],
        store: NamedDependency[Store],
        slice: NamedDependency[Slice],
        client_id: Annotated[str | None, QueryParameter(name="client_id", required=False)] = None,
        provider: Annotated[str | None, QueryParameter(name="provider", required=False)] = None,
    ) -> Listing[CustomerView]:
        """Newest first. A client has one customer in each account of a provider."""
        wanted = {name: value for name, value in (("client_id", client_id), ("provider", provider)) if value}
        async with store.reading(caller.organisation_id) as work:
            return listing(await work.customers_at_providers.page(slice, **wanted), CustomerView.of)

    @get("/clients/{client_id:str}/payment-methods", scope=Scope.BILLING_READ, summary="A client's payment methods")
    async def list_methods(
        self, caller: NamedDependency[Caller], client_id: FromPath[str], client_methods: NamedDependency[ClientMethods]
    ) -> MethodsView:
        """All of them: those that providers keep are asked for there, and those that the hub keeps itself."""
        return MethodsView.of(await client_methods.all(caller, client_id))

    @post(
        "/clients/{client_id:str}/payment-methods/{method_id:str}/default",
        scope=Scope.BILLING_WRITE,
        status_code=200,
        summary="Choose the method that is charged",
    )
    async def make_default_method(
        self,
        caller: NamedDependency[Caller],
        client_id: FromPath[str],
        method_id: FromPath[str],
        client_methods: NamedDependency[ClientMethods],
        idempotency: NamedDependency[Idempotency],
    ) -> MethodView:
        """What is charged at this method's provider without the client is charged to it from now on."""
        once = idempotency.once(MethodView.of, status=200)
        return MethodView.of(await client_methods.make_default(caller, client_id, method_id, once=once))

    @delete(
        "/clients/{client_id:str}/payment-methods/{method_id:str}",
        scope=Scope.BILLING_WRITE,
        summary="Forget a payment method",
    )
    async def detach_method(
        self,
        caller: NamedDependency[Caller],
        client_id: FromPath[str],
        method_id: FromPath[str],
        client_methods: NamedDependency[ClientMethods],
    ) -> None:
        """It cannot be charged any more, at the provider either."""
        await client_methods.detach(caller, client_id, method_id)
