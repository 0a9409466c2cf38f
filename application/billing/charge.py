"""Charge a client by a method that they left with the provider, while they are away."""

from datetime import timedelta

import attrs

from application.billing.close_checkouts import CloseCheckouts
from application.billing.news import TellOfPayment
from application.billing.settle import Belongs, Settle
from application.connections.access import opened
from application.connections.connect import ProviderUnavailable
from application.ports.clock import Clock
from application.ports.ids import Ids
from application.ports.leases import Leases
from application.ports.payers import OffSession
from application.ports.payments import Intent, IntentState, ProviderRefused, ReconnectNeeded, RetryLater
from application.ports.providers import Providers
from application.ports.store import Store
from application.ports.vault import Vault
from domain.billing.attempts import AttemptState
from domain.billing.invoices import Invoice
from domain.billing.links import CheckoutState
from domain.billing.payments import ASKED, Fact, FactKind, Payment
from domain.connections.abilities import Ability, NotOffered, require
from domain.connections.connection import Connection
from domain.refusals import Conflict

_LOCK = timedelta(minutes=2)
_WAIT = timedelta(seconds=30)


@attrs.frozen
class MethodToCharge:
    """A kept way to pay. reference: what charges it, a secret. label: which one it is, for people (`visa 4242`)."""

    reference: str = attrs.field(repr=False)
    customer_reference: str | None
    email: str | None
    label: str


@attrs.define
class ChargeOffSession:
    """The payment is written down before the provider is asked. Without an answer it is UNKNOWN: it may have happened, and
    nothing more is charged for the invoice until the provider was asked what came of it (UnknownPayments)."""

    _store: Store
    _clock: Clock
    _ids: Ids
    _vault: Vault
    _leases: Leases
    _providers: Providers
    _close: CloseCheckouts
    _settle: Settle
    _tell: TellOfPayment

    async def __call__(
        self,
        organisation_id: str,
        *,
        invoice_id: str,
        connection_id: str,
        method: MethodToCharge,
        subscription_id: str | None = None,
    ) -> Payment:
        """The payment, whose state says what came of it: SUCCEEDED, FAILED (with the attempt's failure), PENDING, UNKNOWN.

        Raises NotFound, NotOffered, Conflict (nothing to pay, or an earlier payment of the invoice is not decided),
        Invalid (the amount cannot be charged), ProviderUnavailable (surely nothing was charged), Held.
        """
        async with self._leases.hold(f"charge:{organisation_id}:{invoice_id}", for_=_LOCK, wait=_WAIT):
            invoice, connection, payments = await self._prepared(organisation_id, invoice_id, connection_id)
            payment = await self._written(invoice, connection, method, subscription_id)
            key = payment.attempts[-1].key
            try:
                intent = await payments.charge(
                    opened(self._vault, connection),
                    payment.asked,
                    method=method.reference,
                    customer_reference=method.customer_reference,
                    customer_email=method.email,
                    key=key,
                    description=f"Invoice {invoice.number}",
                    metadata=_metadata(payment),
                )
            except ProviderRefused as refused:
                return await self._failed(payment, FactKind.FAILED, _said(refused))
            except RetryLater as later:
                if later.may_have_happened:
                    return await self._unknown(payment)
                await self._failed(payment, FactKind.CANCELED, later.reason)
                raise ProviderUnavailable(f"{connection.provider} could not be asked; nothing was charged.") from later
            except ReconnectNeeded as needed:
                await self._failed(payment, FactKind.CANCELED, "The provider does not accept the key any more.")
                raise ProviderUnavailable(f"{connection.provider} does not accept the key any more.") from needed
            return await self._answered(payment, connection, intent)

    async def _prepared(
        self, organisation_id: str, invoice_id: str, connection_id: str
    ) -> tuple[Invoice, Connection, OffSession]:
        """Nothing else may be able to pay the invoice beside the charge."""
        async with self._store.reading(organisation_id) as work:
            connection = await work.connections.get(connection_id)
            before = await work.checkouts.all(invoice_id=invoice_id, state=CheckoutState.OPEN)
        manifest = self._providers.manifest(connection.provider)
        if not connection.connected:
            raise Conflict(f"The connection to {manifest.name} is switched off.")
        payments = self._providers.payments(connection.provider)
        if not isinstance(payments, OffSession):
            require(manifest.name, manifest.abilities, Ability.OFF_SESSION)
            raise NotOffered(f"{manifest.name} charges nobody who is away.")
        try:
            await self._close(organisation_id, invoice_id=invoice_id)
            for page in before:  # one may have been paid just now
                if page.reference is not None:
                    await self._settle.checkout(organisation_id, page.connection_id, page.reference)
        except (ReconnectNeeded, RetryLater, ProviderRefused) as problem:
            raise ProviderUnavailable(
                "An open payment page of the invoice could not be closed; nothing was charged."
            ) from problem
        async with self._store.reading(organisation_id) as work:
            invoice = await work.invoices.get(invoice_id)
            others = await work.payments.all(invoice_id=invoice_id)
        invoice.require_payable()
        if any(one.waits_for_answer for one in others):
            raise Conflict("An earlier charge of the invoice has not been answered yet.")
        self._providers.payments(connection.provider).check_amount(invoice.amount_due, field="invoice_id")
        return invoice, connection, payments

    async def _written(
        self, invoice: Invoice, connection: Connection, method: MethodToCharge, subscription_id: str | None
    ) -> Payment:
        now = self._clock.now()
        id_ = self._ids.new("payment")
        payment = Payment(
            id_,
            invoice.organisation_id,
            connection.id,
            connection.provider,
            f"{ASKED}{id_}",
            invoice.amount_due,
            now,
            now,
            invoice.id,
            client_id=invoice.client.id,
            subscription_id=subscription_id or invoice.subscription_id,
        ).asked_with(self._ids.new("attempt"), method.label[:200], now)
        async with self._store.of(invoice.organisation_id) as work:
            await work.payments.add(payment)
            await work.commit()
        return payment

    async def _answered(self, payment: Payment, connection: Connection, intent: Intent) -> Payment:
        belongs = Belongs(payment.invoice_id, payment.subscription_id, payment.client_id, payment.id)
        if intent.state is IntentState.WAITING:
            # It asks for its owner, who is away. Nobody is to be able to confirm it later beside another charge.
            payments = self._providers.payments(connection.provider)
            try:
                intent = await payments.cancel_intent(opened(self._vault, connection), intent.reference)
            except (ProviderRefused, RetryLater, ReconnectNeeded):
                return await self._unknown(payment)
            if intent.state is not IntentState.SUCCEEDED:
                return await self._failed(payment, FactKind.FAILED, "The payer has to confirm the payment themselves.")
        learned = await self._settle.answer(connection, intent, belongs)
        assert learned.payment is not None, "it is ours by its row"
        return learned.payment

    async def _unknown(self, payment: Payment) -> Payment:
        async with self._store.of(payment.organisation_id) as work:
            fresh = await work.payments.get(payment.id)
            if not fresh.waits_for_answer:
                return fresh  # its webhook was quicker
            unknown = await work.payments.save(fresh.answered(AttemptState.UNKNOWN, self._clock.now()))
            await work.commit()
        return unknown

    async def _failed(self, payment: Payment, kind: FactKind, why: str) -> Payment:
        """The provider's no, or that it was never asked; a webhook may have told already."""
        now = self._clock.now()
        async with self._store.of(payment.organisation_id) as work:
            fresh = await work.payments.get(payment.id)
            if not fresh.waits_for_answer:
                return fresh
            fact = Fact(kind, fresh.attempts[-1].key, fresh.asked.amount, now)
            learned, new = fresh.answered(AttemptState.FAILED, now, why[:500]).learn(fact, now=now)
            learned = await work.payments.save(learned)
            invoice = None if learned.invoice_id is None else await work.invoices.find(learned.invoice_id)
            await self._tell(work, learned, new, invoice, became_paid=False)
            await work.commit()
        return learned


def _metadata(payment: Payment) -> dict[str, str]:
    told = {
        "patchbay_organisation": payment.organisation_id,
        "patchbay_payment": payment.id,
        "patchbay_invoice": payment.invoice_id,
        "patchbay_subscription": payment.subscription_id,
    }
    return {name: value for name, value in told.items() if value is not None}


def _said(refused: ProviderRefused) -> str:
    """With the provider's own word for it: whether to try again depends on it (a stolen card's, never)."""
    return (
        refused.reason if not refused.code or refused.code in refused.reason else f"{refused.reason} ({refused.code})"
    )
