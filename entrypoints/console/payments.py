"""Payments: those of an invoice are shown with it; this page is for the others, and for links in notices."""

from litestar import Controller, Response, get

from entrypoints.console.pages import Page


class PaymentPages(Controller):
    """/console/payments"""

    path = "/payments"

    @get("/{payment_id:str}")
    async def show(self, page: Page, payment_id: str) -> Response[str]:
        """The payment on its invoice's page, or by itself."""
        async with page.reading() as work:
            payment = await work.payments.get(payment_id)
            if payment.invoice_id is not None and await work.invoices.find(payment.invoice_id) is not None:
                return page.go(f"/console/invoices/{payment.invoice_id}#{payment.id}")
            connection = await work.connections.find(payment.connection_id)
            refunds = await work.refunds.all(payment_id=payment_id)
        return page("payment.html", payment=payment, connection=connection, refunds=refunds)
