"""Make a draft final: what everything does that asks the client for money."""

from datetime import datetime

import attrs

from application.billing.books import Books
from application.ports.store import Work
from domain.billing.invoices import Invoice, InvoiceState
from domain.billing.settings import BillingSettings, Seller


async def settings_of(work: Work, now: datetime) -> BillingSettings:
    """How the organisation bills; the usual way, at version 0, where it never said."""
    kept = await work.billing_settings.find(work.organisation_id)
    return kept or BillingSettings(work.organisation_id, work.organisation_id, Seller(), now, now, version=0)


async def seller_of(work: Work, settings: BillingSettings) -> Seller:
    """Who invoices are from; the organisation's name where no other is set."""
    if settings.seller.name:
        return settings.seller
    return attrs.evolve(settings.seller, name=(await work.organisation.get(work.organisation_id)).name)


async def open_invoice(work: Work, books: Books, invoice: Invoice, now: datetime) -> Invoice:
    """A draft becomes open, keeps who it is from, and is posted; any other stays as it is.

    Raises Conflict for one that is paid or void.
    """
    invoice.require_payable()
    if invoice.state is not InvoiceState.DRAFT:
        return invoice
    seller = await seller_of(work, await settings_of(work, now))
    opened = await work.invoices.save(invoice.open(now, seller))
    await books.invoice_opened(work, opened)
    return opened
