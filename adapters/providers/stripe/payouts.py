"""Sending money from the Stripe balance to the account's own bank account."""

from collections.abc import Mapping
from datetime import timedelta

from stripe.params import PayoutCreateParams

from adapters.providers.stripe import amounts, mapping
from adapters.providers.stripe.calls import PAGE, StripeCalls, plain
from adapters.providers.stripe.client import plain_errors
from adapters.providers.stripe.mapping import KEY
from application.ports.payouts import PayoutOrder, Payouts, ProviderPayout
from domain.connections.provider import Field
from domain.refusals import Fault, Invalid

_WHOLE = ("HUF", "TWD")
"""Charged in hundredths, but banks are sent whole units (docs.stripe.com/currencies, special cases)."""
_DESCRIPTION = 500
_LOOKED_BACK = timedelta(days=60)


class StripePayouts(StripeCalls, Payouts):
    """Payouts."""

    @property
    def destination_fields(self) -> tuple[Field, ...]:
        """None: it is the bank account that is set in Stripe's dashboard for the currency."""
        return ()

    def check_payout(self, order: PayoutOrder) -> None:
        """Only the amount and the currency; whether the balance has it, Stripe knows."""
        faults = [
            Fault(f"destination.{name}", "Stripe pays out to the bank account that is set in its dashboard.")
            for name in order.destination
        ]
        if order.amount.amount <= 0:
            faults.append(Fault("amount", "A payout is more than nothing."))
        try:
            sent = amounts.to_stripe(order.amount)
        except Invalid as error:
            faults.extend(error.faults)
        else:
            if order.amount.currency.code in _WHOLE and sent % 100:
                faults.append(Fault("amount", f"Banks are sent whole {order.amount.currency.code}."))
        if faults:
            raise Invalid(*faults)

    async def create_payout(self, access: Mapping[str, str], order: PayoutOrder, *, key: str) -> ProviderPayout:
        """A Payout. Stripe refuses one that the available balance does not cover (`balance_insufficient`)."""
        params: PayoutCreateParams = {
            "amount": amounts.to_stripe(order.amount),
            "currency": order.amount.currency.code.lower(),
            "metadata": {"patchbay_payout": order.our_reference, KEY: key},
        }
        if order.description.strip():
            params["description"] = order.description.strip()[:_DESCRIPTION]
        with plain_errors(writes=True):
            payout = await self._open(access).v1.payouts.create_async(params, {"idempotency_key": key})
        return mapping.payout_of(plain(payout))

    async def fetch_payout(self, access: Mapping[str, str], reference: str) -> ProviderPayout:
        """The Payout as it is now."""
        with plain_errors(writes=False):
            return mapping.payout_of(plain(await self._open(access).v1.payouts.retrieve_async(reference)))

    async def find_payout(self, access: Mapping[str, str], key: str) -> ProviderPayout | None:
        """Among those of the last two months, counted from the newest; Stripe lists a payout as soon as it is made."""
        oldest: float | None = None
        with plain_errors(writes=False):
            page = await self._open(access).v1.payouts.list_async({"limit": PAGE})
            async for row in page.auto_paging_iter():
                payout = mapping.payout_of(plain(row))
                oldest = row.created - _LOOKED_BACK.total_seconds() if oldest is None else oldest
                if payout.key == key:
                    return payout
                if row.created < oldest:
                    break
        return None
