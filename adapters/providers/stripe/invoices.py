"""Invoices under Stripe's own number, which Stripe shows, sends and collects."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from typing import Any

from stripe.params import CustomerCreateParams, InvoiceCreateParams

from adapters.providers.stripe import amounts, mapping_recurring
from adapters.providers.stripe.calls import StripeCalls, plain
from adapters.providers.stripe.client import plain_errors
from application.ports.provider_invoices import ProviderInvoice, ProviderInvoiceOrder, ProviderInvoices
from domain.billing.totals import reckon
from domain.refusals import Invalid

_DESCRIPTION = 500
_PAYMENTS = ["payments"]


class StripeInvoices(StripeCalls, ProviderInvoices):
    """Stripe's Invoices."""

    async def create_invoice(
        self, access: Mapping[str, str], order: ProviderInvoiceOrder, *, key: str
    ) -> ProviderInvoice:
        """An Invoice with an item for each line and each tax that is not in the prices: its total is to the unit what ours
        is, since Stripe reckons nothing. Every step has a key of its own, so a second try goes on where the first ended.

        Raises:
            Invalid: there is neither a customer nor an address (`client.email`), or an amount Stripe cannot state.
        """
        items = list(_items(order))
        client = self._open(access)
        params: InvoiceCreateParams = {
            "customer": await self._payer(access, order, key),
            "currency": order.currency.code.lower(),
            "collection_method": "send_invoice",
            "auto_advance": False,
            "pending_invoice_items_behavior": "exclude",
            "metadata": {
                **order.metadata,
                "patchbay_invoice": order.our_reference,
                "patchbay_number": order.number,
            },
        }
        if order.due_on is None:
            params["days_until_due"] = 0
        else:
            params["due_date"] = int(datetime.combine(order.due_on, time(23, 59, 59), UTC).timestamp())
        if order.memo.strip():
            params["description"] = order.memo.strip()
        with plain_errors(writes=True):
            made = await client.v1.invoices.create_async(params, {"idempotency_key": f"{key}/invoice"})
            for number, (text, amount) in enumerate(items):
                await client.v1.invoice_items.create_async(
                    {
                        "customer": params["customer"],
                        "invoice": made.id,
                        "currency": order.currency.code.lower(),
                        "amount": amount,
                        "description": text[:_DESCRIPTION],
                    },
                    {"idempotency_key": f"{key}/item/{number}"},
                )
            final = await client.v1.invoices.finalize_invoice_async(
                made.id, {"auto_advance": False, "expand": _PAYMENTS}, {"idempotency_key": f"{key}/final"}
            )
            written = _invoice_of(plain(final))
            if order.metadata and written.intent_reference:
                # Stripe gives a bill's payment no metadata of the bill's; a webhook about it would be nobody's.
                await client.v1.payment_intents.update_async(
                    written.intent_reference, {"metadata": dict(order.metadata)}, {"idempotency_key": f"{key}/payment"}
                )
        return written

    async def send_invoice(self, access: Mapping[str, str], reference: str, *, key: str) -> ProviderInvoice:
        """By Stripe's e-mail; in test mode it sends none."""
        with plain_errors(writes=True):
            sent = await self._open(access).v1.invoices.send_invoice_async(
                reference, {"expand": _PAYMENTS}, {"idempotency_key": key}
            )
        return _invoice_of(plain(sent))

    async def fetch_invoice(self, access: Mapping[str, str], reference: str) -> ProviderInvoice:
        """The Invoice as it is now."""
        with plain_errors(writes=False):
            found = await self._open(access).v1.invoices.retrieve_async(reference, {"expand": _PAYMENTS})
        return _invoice_of(plain(found))

    async def _payer(self, access: Mapping[str, str], order: ProviderInvoiceOrder, key: str) -> str:
        if order.customer_reference:
            return order.customer_reference
        if not order.customer_email:
            raise Invalid.field("client.email", "Stripe sends an invoice to an address, and the client has none.")
        params: CustomerCreateParams = {"email": order.customer_email}
        if order.customer_name:
            params["name"] = order.customer_name
        with plain_errors(writes=True):
            made = await self._open(access).v1.customers.create_async(params, {"idempotency_key": f"{key}/customer"})
        return made.id


def _items(order: ProviderInvoiceOrder) -> Iterator[tuple[str, int]]:
    """A text and an amount in Stripe's units, for each line and each tax on top."""
    for number, line in enumerate(order.lines):
        text = line.description if line.quantity == 1 else f"{line.quantity} × {line.description}"
        yield text, amounts.to_stripe(line.total, field=f"lines.{number}.unit_price")
    for tax in reckon(order.lines, None, order.currency).taxes:
        if not tax.tax.included and tax.amount:
            yield f"{tax.tax.name} {tax.tax.percent} %", amounts.to_stripe(tax.amount, field="lines")


def _invoice_of(invoice: Mapping[str, Any]) -> ProviderInvoice:
    return ProviderInvoice(
        reference=invoice["id"],
        number=invoice.get("number"),
        status=invoice["status"],
        url=invoice.get("hosted_invoice_url"),
        intent_reference=mapping_recurring.paid_by(invoice),
    )
