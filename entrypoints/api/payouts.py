"""Money sent out of a provider's balance."""

from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from application.billing.payouts import CreatePayout
from application.caller import Caller
from application.ports.store import Slice, Store
from domain.billing.payouts import MAX_DESCRIPTION
from domain.organisations import Scope
from entrypoints.api.idempotency import Idempotency
from entrypoints.api.invoices import Decimal
from entrypoints.api.paging import Listing, listing
from entrypoints.api.views.books import PayoutView


class PayoutAsked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What to pay out. `provider`: a slug or a connection's id. `destination`: the fields that the provider asks for
    (docs/providers/); none where it pays to the account's own bank account.
    """

    provider: str
    amount: Decimal
    currency: Annotated[str, msgspec.Meta(examples=["NGN"])]
    destination: dict[str, Annotated[str, msgspec.Meta(max_length=255)]] = msgspec.field(default_factory=dict)
    description: Annotated[str, msgspec.Meta(max_length=MAX_DESCRIPTION)] = ""


class PaidOut(Controller):
    """Payouts: asked for once, and followed to the receiver's account."""

    path = "/api/payments"
    tags = ("Payouts",)

    @post("/payout", scope=Scope.BILLING_WRITE, summary="Pay out")
    async def pay_out(
        self,
        caller: NamedDependency[Caller],
        data: JSONBody[PayoutAsked],
        create_payout: NamedDependency[CreatePayout],
        idempotency: NamedDependency[Idempotency],
    ) -> PayoutView:
        """Written down before the provider is asked. Without an answer it is `unknown`, and looked up, never sent blindly
        again; `payout.created`, `payout.paid` and `payout.failed` tell what became of it."""
        payout = await create_payout(
            caller,
            provider=data.provider,
            amount=data.amount,
            currency=data.currency,
            destination=data.destination,
            description=data.description,
            once=idempotency.once(PayoutView.of),
        )
        return PayoutView.of(payout)

    @get("/payouts", scope=Scope.BILLING_READ, summary="List payouts")
    async def list_payouts(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], slice: NamedDependency[Slice]
    ) -> Listing[PayoutView]:
        """Newest first; also those that the provider made by itself."""
        async with store.reading(caller.organisation_id) as work:
            return listing(await work.payouts.page(slice), PayoutView.of)

    @get("/payouts/{payout_id:str}", scope=Scope.BILLING_READ, summary="One payout")
    async def get_payout(
        self, caller: NamedDependency[Caller], store: NamedDependency[Store], payout_id: FromPath[str]
    ) -> PayoutView:
        """The payout with this id."""
        async with store.reading(caller.organisation_id) as work:
            return PayoutView.of(await work.payouts.get(payout_id))
