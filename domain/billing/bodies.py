"""What events and answers say about money, invoices and payments: one shape each, everywhere."""

from typing import Any

from domain.billing.invoices import Invoice
from domain.billing.payments import Payment
from domain.billing.payouts import Payout
from domain.billing.plans import Plan
from domain.billing.reconciliation import Reconciliation
from domain.billing.subscriptions import Subscription
from domain.money import Money


def money_body(money: Money) -> dict[str, Any]:
    """`amount` in minor units, `currency`, and `decimal` in major units for people."""
    return {"amount": money.amount, "currency": money.currency.code, "decimal": money.decimal}


def invoice_body(invoice: Invoice, url: str | None) -> dict[str, Any]:
    """An invoice; `url` is its payment link, if it has one."""
    totals = invoice.totals
    return {
        "id": invoice.id,
        "number": invoice.number,
        "status": invoice.state.value,
        "client": {"id": invoice.client.id, "name": invoice.client.name, "email": invoice.client.email},
        "currency": invoice.currency.code,
        "subtotal": money_body(totals.subtotal),
        "discount": money_body(totals.discount),
        "tax": money_body(totals.tax),
        "total": money_body(totals.total),
        "credited": money_body(invoice.amount_credited),
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
        "subscription_id": payment.subscription_id,
        "conflict": payment.conflict,
    }


def subscription_body(subscription: Subscription, plan: Plan) -> dict[str, Any]:
    """A subscription to its plan; `reference` is its own id where no provider keeps one."""
    client = subscription.client
    start, end = subscription.period_start, subscription.period_end
    return {
        "id": subscription.id,
        "provider": subscription.provider,
        "reference": subscription.reference or subscription.id,
        "status": subscription.state.value,
        "client": {"id": client.id, "name": client.name, "email": client.email},
        "plan": plan.name,
        "plan_code": plan.code,
        "amount": money_body(subscription.total),
        "quantity": subscription.quantity,
        "interval": plan.interval.value,
        "interval_count": plan.count,
        "current_period_start": start.isoformat() if start else None,
        "current_period_end": end.isoformat() if end else None,
        "trial_ends_at": subscription.trial_ends_at.isoformat() if subscription.trial_ends_at else None,
        "cancel_at_period_end": subscription.cancel_at_period_end,
        "reason": subscription.reason or None,
    }


def payout_body(payout: Payout) -> dict[str, Any]:
    """A payout that the provider knows of."""
    return {
        "id": payout.id,
        "provider": payout.provider,
        "reference": payout.reference,
        "status": payout.state.value,
        "amount": money_body(payout.amount),
        "arrives_on": payout.arrives_on.isoformat() if payout.arrives_on else None,
        "failure": payout.failure,
    }


def reconciliation_body(run: Reconciliation, url: str | None) -> dict[str, Any]:
    """A reconciliation that has ended; `url` is its page in the console."""
    return {
        "id": run.id,
        "provider": run.provider,
        "connection_id": run.connection_id,
        "since": run.since.isoformat().replace("+00:00", "Z"),
        "until": run.until.isoformat().replace("+00:00", "Z"),
        "compared": run.compared,
        "differences": run.differences,
        "url": url,
    }
