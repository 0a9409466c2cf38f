"""How the organisation bills: its name and address on invoices, number prefixes, reminders, retries, locale."""

import attrs

from application.billing.opening import settings_of
from application.caller import Caller
from application.notifications.tell import Tell
from application.ports.clock import Clock
from application.ports.invoice_paper import InvoicePaper
from application.ports.store import Store
from application.versions import require_version
from domain.billing.settings import BillingSettings, Seller
from domain.refusals import Invalid


@attrs.frozen
class SettingsAsked:
    """All of the settings, as they were typed."""

    seller: Seller
    invoice_prefix: str
    credit_note_prefix: str
    reminders: tuple[int, ...]
    retries: tuple[int, ...]
    locale: str


@attrs.define
class SaveBillingSettings:
    """Replaces them. Invoices that were opened keep the seller they were opened with, and all keep their numbers."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _paper: InvoicePaper

    async def __call__(self, caller: Caller, asked: SettingsAsked, *, version: int | None = None) -> BillingSettings:
        """Raises Stale, or Invalid naming every field that is wrong."""
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            kept = await work.billing_settings.find(caller.organisation_id)
            known = kept or await settings_of(work, now)
            require_version(known.version, version)
            saved = attrs.evolve(
                known,
                seller=asked.seller,
                invoice_prefix=asked.invoice_prefix.strip(),
                credit_note_prefix=asked.credit_note_prefix.strip(),
                reminders=tuple(sorted(asked.reminders)),
                retries=asked.retries,
                locale=asked.locale.strip(),
                updated_at=now,
            )
            if not self._paper.knows(saved.locale):
                raise Invalid.field("locale", f"There is no way known of writing amounts in '{saved.locale}'.")
            if kept is None:
                saved = attrs.evolve(saved, version=1)
                await work.billing_settings.add(saved)
            else:
                saved = await work.billing_settings.save(saved)
            await self._tell.note(work, caller, "billing_settings.changed", caller.organisation_id)
            await work.commit()
        return saved
