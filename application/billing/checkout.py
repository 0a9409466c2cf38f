"""One call for a hosted page: for an invoice that is there, or for an amount, which gets an invoice first."""

import hashlib

import attrs

from application.billing.follow import FollowPaymentLink
from application.billing.invoices import billed
from application.billing.links import CreatePaymentLink, paying_connections, require_chargeable
from application.billing.mirror import MirrorInvoice
from application.billing.typed import read_words
from application.caller import Caller
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.providers import Providers
from application.ports.store import Store
from domain.billing.invoices import Invoice, Line
from domain.money import Money
from domain.refusals import Conflict, Invalid


@attrs.frozen
class OpenedCheckout:
    """url: the provider's hosted page, for somebody who pays now. link: ours, which outlives it."""

    invoice: Invoice
    url: str
    link: str


@attrs.define
class OpenCheckout:
    """The page belongs to an invoice always, so that what is paid on it is in the books."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _ids: Ids
    _providers: Providers
    _write: MirrorInvoice
    _links: CreatePaymentLink
    _follow: FollowPaymentLink

    async def __call__(
        self,
        caller: Caller,
        *,
        invoice_id: str | None = None,
        client_id: str | None = None,
        amount: str | None = None,
        currency: str | None = None,
        description: str = "",
        provider: str | None = None,
        once: Once | None = None,
    ) -> OpenedCheckout:
        """Raises NotFound, Invalid, Conflict (paid, void, several providers), ProviderUnavailable. With the same
        Idempotency-Key the same invoice is used again, also when the first call was cut off."""
        if invoice_id is None:
            if amount is None or currency is None or client_id is None:
                raise Invalid.field("invoice_id", "Give an invoice_id, or a client_id with an amount and a currency.")
            invoice_id = await self._written(caller, client_id, Money.of(amount, currency), description, once)
        view = await self._links(caller, invoice_id=invoice_id, provider=provider)
        followed = await self._follow(view.link.token)
        if followed.choices and followed.pay_at is None:
            raise Invalid.field("provider", "Several payment providers are connected; name one.")
        if followed.choices and followed.pay_at is None:
            names = ", ".join(choice.provider for choice in followed.choices)
            raise Invalid.field("provider", f"Several payment providers are connected; name one of {names}.")
        if followed.pay_at is None:
            raise Conflict(f"The invoice cannot be paid: it is {followed.answer.value}.")
        opened = OpenedCheckout(followed.invoice, followed.pay_at, view.url)
        async with self._store.of(caller.organisation_id) as work:
            await remember(work, once, opened, self._clock.now())
            await work.commit()
        return opened

    async def _written(self, caller: Caller, client_id: str, amount: Money, description: str, once: Once | None) -> str:
        if amount.amount <= 0:
            raise Invalid.field("amount", "A payment is more than nothing.")
        line = Line(read_words(description, "description") or "Payment", 1, amount)
        key = hashlib.sha256(f"{once.key} {once.request_hash}".encode()).hexdigest() if once else self._ids.token()
        async with self._store.of(caller.organisation_id) as work:
            client = await billed(work, client_id)
            invoice = await self._write(work, source=f"checkout:{key}", client=client, lines=[line])
            require_chargeable(await paying_connections(work, self._providers), self._providers, amount, field="amount")
            await self._tell.note(work, caller, "invoice.created", invoice.id, number=invoice.number)
            await work.commit()
        return invoice.id
