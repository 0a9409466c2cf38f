"""Remind clients of what they owe: by the organisation's schedule, and by hand."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import attrs

from application.billing.invoice_mail import addressed, envelope, mailer, reminder
from application.billing.links import CreatePaymentLink
from application.billing.send_invoice import Sent
from application.caller import Caller, hub
from application.notifications.tell import Tell
from application.once import Once, remember
from application.ports.clock import Clock
from application.ports.providers import Providers
from application.ports.store import Store
from application.upkeep.jobs import Job, Troubles
from domain.billing.bodies import invoice_body
from domain.billing.dunning import ASKED_FOR, day_of, due_step
from domain.billing.invoices import Invoice
from domain.refusals import Conflict, Invalid


@attrs.define
class RemindClient:
    """One mail about one invoice. What is sent and that it was sent are kept together: no step is done twice."""

    _store: Store
    _tell: Tell
    _clock: Clock
    _links: CreatePaymentLink
    _providers: Providers

    async def __call__(
        self,
        caller: Caller,
        id: str,
        *,
        to: Sequence[str] | None = None,
        message: str | None = None,
        connection: str | None = None,
        once: Once | None = None,
    ) -> Sent:
        """`to`: addresses instead of the client's own. `message`: a few words of yours. `connection`: which mail account.

        Raises NotFound, Conflict (not asked for, no mail account), Invalid (no address).
        """
        today = self._clock.now().date()
        sent = await self._remind(
            caller, id, lambda invoice: day_of(invoice, today), to=to, words=message, connection=connection, once=once
        )
        assert sent is not None, "a day is known for whatever is asked for"
        return sent

    async def by_schedule(self, organisation_id: str, id: str, schedule: Sequence[int]) -> bool:
        """Do the step that is due, if one is. Raises Conflict (no mail account), Invalid (no address)."""
        today = self._clock.now().date()
        sent = await self._remind(hub(organisation_id), id, lambda invoice: due_step(invoice, schedule, today))
        return sent is not None

    async def _remind(
        self,
        caller: Caller,
        id: str,
        day_for: Callable[[Invoice], int | None],
        *,
        to: Sequence[str] | None = None,
        words: str | None = None,
        connection: str | None = None,
        once: Once | None = None,
    ) -> Sent | None:
        async with self._store.reading(caller.organisation_id) as work:
            invoice = await work.invoices.get(id)
            if day_for(invoice) is None:
                return None
            addressed(invoice, to)
            await mailer(work, self._providers, connection)
        url = await self._url(caller, id)
        now = self._clock.now()
        async with self._store.of(caller.organisation_id) as work:
            # As it is now: it may have been paid, or reminded of, since it was looked at.
            invoice = await work.invoices.get(id)
            day = day_for(invoice)
            if day is None:
                return None
            account = await mailer(work, self._providers, connection)
            addresses = addressed(invoice, to)
            organisation = (await work.organisation.get(caller.organisation_id)).name
            letter = reminder(invoice, organisation, url, words, day, now)
            invoice = await work.invoices.save(invoice.reminded(day, now))
            event = await self._tell(work, "invoice.reminded", {"invoice": invoice_body(invoice, url)})
            delivery = await self._tell.mail(work, event, account.id, envelope(invoice, addresses, letter))
            await self._tell.note(work, caller, "invoice.reminded", id, to=addresses, day=day)
            sent = Sent(invoice, delivery, url)
            await remember(work, once, sent, now)
            await work.commit()
        return sent

    async def _url(self, caller: Caller, id: str) -> str | None:
        """Where it can be paid: the newest live link, or a new one; None where no provider can take it."""
        async with self._store.reading(caller.organisation_id) as work:
            live = [link for link in await work.links.all(invoice_id=id) if link.live(self._clock.now())]
        if live:
            return self._links.url(live[-1])
        try:
            return (await self._links(caller, invoice_id=id)).url
        except (Conflict, Invalid):  # nobody takes payments, several do, or none takes this amount
            return None


@attrs.define
class InvoiceReminders(Job):
    """Each organisation's schedule, by the day in UTC."""

    _store: Store
    _clock: Clock
    _remind: RemindClient
    name = "invoice-reminders"
    every = timedelta(hours=1)
    what = "Mails clients about unpaid invoices on the days that the organisation has set."

    async def __call__(self) -> Mapping[str, int]:
        reminded = unsent = 0
        troubles = Troubles()
        today = self._clock.now().date()
        for organisation in await self._store.organisations():
            due: list[str] = []
            schedule: tuple[int, ...] = ()
            with troubles.aside():
                async with self._store.reading(organisation.id) as work:
                    settings = await work.billing_settings.find(organisation.id)
                    schedule = settings.reminders if settings else ()
                    waiting = await work.invoices.all(state=ASKED_FOR) if schedule else ()
                due = [one.id for one in waiting if due_step(one, schedule, today) is not None]
            for id_ in due:
                with troubles.aside():
                    try:
                        reminded += await self._remind.by_schedule(organisation.id, id_, schedule)
                    except (Conflict, Invalid):  # no mail account, or no address: a person has to see to it
                        unsent += 1
        troubles.tell()
        return {"reminders": reminded, "unsent": unsent}
