"""Payers: a client as payment providers know them, and the methods that they can be charged by."""

from litestar import Controller, Response, get, post

from application.billing.methods import ClientMethods
from application.caller import Caller
from application.ports.leases import Held
from domain.refusals import Refusal
from entrypoints.console.pages import REFUSED, Form, Page


class PayerPages(Controller):
    """/console/payers"""

    path = "/payers"

    @get("/{client_id:str}")
    async def show(self, page: Page, caller: Caller, client_id: str, client_methods: ClientMethods) -> Response[str]:
        """One client's customers and payment methods."""
        return await _show(page, caller, client_id, client_methods)

    @post("/{client_id:str}/default")
    async def make_default(
        self, page: Page, form: Form, caller: Caller, client_id: str, client_methods: ClientMethods
    ) -> Response[str]:
        """Choose the method that is charged."""
        try:
            await client_methods.make_default(caller, client_id, form.text("method"))
        except REFUSED as refused:
            return await _show(page, caller, client_id, client_methods, refused=refused)
        return page.go(f"/console/payers/{client_id}", done="changed")

    @post("/{client_id:str}/detach")
    async def detach(
        self, page: Page, form: Form, caller: Caller, client_id: str, client_methods: ClientMethods
    ) -> Response[str]:
        """Forget a method."""
        try:
            await client_methods.detach(caller, client_id, form.text("method"))
        except REFUSED as refused:
            return await _show(page, caller, client_id, client_methods, refused=refused)
        return page.go(f"/console/payers/{client_id}", done="method-forgotten")


async def _show(
    page: Page, caller: Caller, client_id: str, methods: ClientMethods, *, refused: Refusal | Held | None = None
) -> Response[str]:
    found = await methods.all(caller, client_id)
    async with page.reading() as work:
        client = await work.records.get(client_id)
        customers = await work.customers_at_providers.all(client_id=client_id)
    return page("payer.html", refused=refused, client=client, found=found, customers=customers)
