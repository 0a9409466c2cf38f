"""What events and answers say about money, invoices and payments: one shape each, everywhere."""

from typing import Any

from domain.billing.invoices import Invoice
from domain.billing.payments import Payment
from domain.money import Money


def money_body(money: Money) -> dict[str, Any]:
    """`amount` in minor units, `currency`, and `decimal` in major units for people."""
    return {"amount": money.amount, "currency": money.currency.code, "decimal": money.decimal}


def invoice_body(invoice: Invoice, url: str | None) -> dict[str, Any]:
    """An invoice; `url` is its payment link, if it has one."""
    return {
        "id": invoice.id,
        "number": invoice.number,
        "status": invoice.state.value,
        "client": {"id": invoice.client.id, "name": invoice.client.name, "email": invoice.client.email},
        "currency": invoice.currency.code,
        "total": money_body(invoice.total),
        "amount_due": money_body(invoice.amount_due),
        "amount_paid": money_body(invoice.amount_paid),
        "due_on": invoice.due_on.isoformat() if invoice.due_on else None,
        "url": url,
    }


def payment_body(payment: Payment) -> dict[str, Any]:
    """A payment: what was captured and what went back."""
    return {
        "id": payment.id,
        "provider": payment.provider,
        "reference": payment.reference,
        "status": payment.state.value,
        "amount": money_body(payment.captured or payment.asked),
        "refunded": money_body(payment.refunded),
        "invoice_id": payment.invoice_id,
    }
