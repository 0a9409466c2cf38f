"""What is told of payments."""

from collections.abc import Sequence
from typing import Any

import attrs

from application.notifications.tell import Tell
from application.ports.store import Work
from domain.billing.bodies import invoice_body, money_body, payment_body
from domain.billing.invoices import Invoice
from domain.billing.payments import Fact, FactKind, Payment
from domain.money import Money


@attrs.define
class TellOfPayment:
    """Tells each new fact once, in the caller's own unit of work."""

    _tell: Tell

    async def __call__(
        self, work: Work, payment: Payment, new: Sequence[Fact], invoice: Invoice | None, *, became_paid: bool
    ) -> None:
        """`invoice`: as it is now."""
        body = {
            "payment": payment_body(payment),
            "invoice": invoice_body(invoice, None) if invoice is not None else None,
        }
        kinds = [fact.kind for fact in new]
        if FactKind.CAPTURED in kinds:
            await self._tell(work, "payment.received", body)
            if payment.conflict is not None:
                await self._tell(work, "payment.conflicted", body)
        if FactKind.FAILED in kinds:
            await self._tell(work, "payment.failed", body)
            if invoice is not None:
                await self._tell(work, "invoice.payment_failed", body)
        if became_paid:
            await self._tell(work, "invoice.paid", body)
        if FactKind.DISPUTED in kinds:
            await self._tell(work, "payment.disputed", body)
        for fact in new:
            if fact.kind is FactKind.REFUNDED:
                await self._tell(work, "payment.refunded", _with(body, payment, fact, "succeeded"))
                if invoice is not None:
                    await self._tell(work, "invoice.refunded", _with(body, payment, fact, "succeeded"))
            elif fact.kind is FactKind.REFUND_FAILED:
                await self._tell(work, "payment.refund_failed", _with(body, payment, fact, "failed"))


def _with(body: dict[str, Any], payment: Payment, fact: Fact, status: str) -> dict[str, Any]:
    amount = money_body(Money(fact.amount, payment.currency))
    return {**body, "refund": {"id": fact.reference, "amount": amount, "status": status}}
