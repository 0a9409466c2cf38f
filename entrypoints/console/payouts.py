"""Payouts: money sent out of a provider's balance."""

from collections.abc import Mapping

from litestar import Controller, Response, get, post

from application.billing.payouts import CreatePayout, payouts_of
from application.caller import Caller
from application.ports.leases import Held
from application.ports.providers import Providers
from application.ports.store import AlreadyThere, Slice, Work
from domain.connections.abilities import NotOffered
from domain.connections.connection import Connection
from domain.connections.provider import Field
from domain.refusals import NotFound, Refusal
from entrypoints.api.paging import listing
from entrypoints.console.pages import REFUSED, Form, Page


class PayoutPages(Controller):
    """/console/payouts"""

    path = "/payouts"

    @get("/")
    async def show_all(self, page: Page, slice: Slice, providers: Providers) -> Response[str]:
        """Newest first."""
        async with page.reading() as work:
            payouts = await work.payouts.page(slice)
            offered = await _offered(work, providers)
        return page("payouts.html", payouts=listing(payouts, lambda payout: payout), offered=offered)

    @get("/new")
    async def ask(self, page: Page, providers: Providers) -> Response[str]:
        """From which connection, then how much and to whom."""
        return await _ask(page, providers, page.choice("connection") or "", {})

    @post("/")
    async def pay_out(
        self, page: Page, caller: Caller, form: Form, providers: Providers, create_payout: CreatePayout
    ) -> Response[str]:
        """Once for each form."""
        typed = form.typed
        prefix = "destination."
        destination = {k.removeprefix(prefix): v for k, v in typed.items() if k.startswith(prefix) and v.strip()}
        try:
            payout = await create_payout(
                caller,
                provider=form.text("connection"),
                amount=form.text("amount"),
                currency=form.text("currency"),
                destination=destination,
                description=form.text("description"),
                once=form.once(),
            )
        except AlreadyThere:
            return page.go("/console/payouts")
        except REFUSED as refused:
            return await _ask(page, providers, form.text("connection"), typed, refused=refused)
        return page.go(f"/console/payouts/{payout.id}", done="payout-created")

    @get("/{payout_id:str}")
    async def show(self, page: Page, payout_id: str) -> Response[str]:
        """One payout, with what the ledger says of it."""
        async with page.reading() as work:
            payout = await work.payouts.get(payout_id)
            connection = await work.connections.find(payout.connection_id)
            entries = await work.ledger.all(subject=payout_id)
        return page("payout.html", payout=payout, connection=connection, entries=entries)


async def _offered(work: Work, providers: Providers) -> Mapping[str, tuple[Connection, tuple[Field, ...]]]:
    """The connections that can pay out, and what each asks for."""
    found: dict[str, tuple[Connection, tuple[Field, ...]]] = {}
    for connection in await work.connections.all():
        try:
            fields = payouts_of(providers, connection.provider).destination_fields
        except (NotOffered, NotFound):
            continue
        if connection.connected:
            found[connection.id] = (connection, fields)
    return found


async def _ask(
    page: Page,
    providers: Providers,
    connection_id: str,
    typed: Mapping[str, str],
    *,
    refused: Refusal | Held | None = None,
) -> Response[str]:
    async with page.reading() as work:
        offered = await _offered(work, providers)
    if not connection_id and len(offered) == 1:
        connection_id = next(iter(offered))
    chosen = offered.get(connection_id)
    return page(
        "payout_new.html",
        refused=refused,
        offered={id_: connection.name for id_, (connection, _) in offered.items()},
        chosen=connection_id if chosen else "",
        fields=chosen[1] if chosen else (),
        typed=typed,
        once=page.ids.token(),
    )
