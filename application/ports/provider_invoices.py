"""Invoices that a provider writes and sends under its own number."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import date
from typing import Protocol, runtime_checkable

import attrs

from domain.billing.invoices import Line
from domain.money import Currency


@attrs.frozen
class ProviderInvoiceOrder:
    """What the provider is to invoice. our_reference: the invoice's id here, which is kept there too. metadata comes back on
    the payment of it and its webhooks."""

    currency: Currency
    lines: tuple[Line, ...]
    customer_reference: str | None
    customer_email: str | None
    customer_name: str | None
    due_on: date | None
    memo: str
    our_reference: str
    number: str
    metadata: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class ProviderInvoice:
    """An invoice at the provider. status: its word. url: where the client sees and pays it."""

    reference: str
    number: str | None
    status: str
    url: str | None
    intent_reference: str | None = None


@runtime_checkable
class ProviderInvoices(Protocol):
    """A provider that invoices by itself. All methods raise as PaymentProvider's do."""

    @abstractmethod
    async def create_invoice(
        self, access: Mapping[str, str], order: ProviderInvoiceOrder, *, key: str
    ) -> ProviderInvoice:
        """Write it and make it final."""

    @abstractmethod
    async def send_invoice(self, access: Mapping[str, str], reference: str, *, key: str) -> ProviderInvoice:
        """Have the provider send it to the client."""

    @abstractmethod
    async def fetch_invoice(self, access: Mapping[str, str], reference: str) -> ProviderInvoice:
        """The invoice as it is now."""
