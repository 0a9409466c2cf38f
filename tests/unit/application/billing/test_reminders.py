"""Reminders: by the schedule once a step, by hand whenever a person likes, with the invoice attached."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest

from application.billing.reminders import InvoiceReminders, RemindClient
from application.billing.settings import SettingsAsked
from domain.billing.invoices import Billed, Invoice
from domain.billing.settings import Seller
from domain.refusals import Conflict, Invalid
from tests.fakes.channel import FakeChannel
from tests.unit.application.bench import Bench

SCHEDULE = SettingsAsked(Seller(), "INV-", "CN-", (-3, 7), (2,), "en")


async def due_in(bench: Bench, days: int, **changes: Any) -> Invoice:
    """An open invoice, due in so many days."""
    day: date = bench.clock.now().date() + timedelta(days=days)
    given = {"client": Billed("client_1", "Ada", "ada@acme.example"), "due_on": day, **changes}
    return await bench.open_invoice(**given)


@pytest.fixture
async def mailing(bench: Bench) -> Bench:
    """With a mail account and a schedule."""
    await bench.connect(bench.org, provider="post", secrets={"password": "x"})
    await bench.save_settings(bench.caller, SCHEDULE)
    return bench


async def mails(bench: Bench) -> list[Any]:
    """The mails on their way, oldest first."""
    return [one.mail for one in await bench.deliveries() if one.mail is not None]


async def test_a_step_is_mailed_once_over_rounds_and_restarts(mailing: Bench) -> None:
    """The job runs every hour and starts anew with every process."""
    bill = await due_in(mailing, 3)
    for _ in range(3):
        links = mailing.link
        restarted = InvoiceReminders(
            mailing.store,
            mailing.clock,
            RemindClient(mailing.store, mailing.tell, mailing.clock, links, mailing.providers),
        )
        await restarted()
    (mail,) = await mails(mailing)
    assert mail["to"] == ["ada@acme.example"]
    assert mail["invoice"] == bill.id
    assert "is due on" in mail["message"]["text"]
    assert (await mailing.told()).count("invoice.reminded") == 1
    mailing.clock.advance(timedelta(days=10))
    assert await mailing.reminders() == {"reminders": 1, "unsent": 0}
    assert "was due on" in (await mails(mailing))[1]["message"]["text"]
    assert [reminder.day for reminder in (await mailing.invoice(bill.id)).reminders] == [-3, 7]


async def test_two_schedulers_at_once_mail_one_reminder(mailing: Bench) -> None:
    """The lease of one may lapse while it works."""
    await due_in(mailing, 3)
    await asyncio.gather(mailing.reminders(), mailing.reminders())
    assert len(await mails(mailing)) == 1


async def test_the_mail_carries_the_invoice_as_it_is_when_it_is_sent(mailing: Bench) -> None:
    """A client who lost it has it again."""
    bill = await due_in(mailing, 3)
    await mailing.reminders()
    await mailing.deliver()
    channel = mailing.providers.channel("post")
    assert isinstance(channel, FakeChannel)
    (sent,) = channel.sent
    (enclosed,) = sent.message.attachments
    assert (enclosed.name, enclosed.media_type) == (f"{bill.number}.pdf", "application/pdf")
    assert bill.number.encode() in enclosed.content


async def test_without_a_mail_account_or_an_address_nothing_is_counted_as_done(bench: Bench) -> None:
    """It is made up for when a person has seen to it."""
    await bench.save_settings(bench.caller, SCHEDULE)
    bill = await due_in(bench, 3)
    await due_in(bench, 3, client=Billed("client_2", "Bob", None))
    assert await bench.reminders() == {"reminders": 0, "unsent": 2}
    await bench.connect(bench.org, provider="post", secrets={"password": "x"})
    assert await bench.reminders() == {"reminders": 1, "unsent": 1}
    assert len((await bench.invoice(bill.id)).reminders) == 1


async def test_without_a_schedule_nobody_is_reminded(bench: Bench) -> None:
    """Nothing is mailed that nobody asked for."""
    await bench.connect(bench.org, provider="post", secrets={"password": "x"})
    await due_in(bench, -7)
    assert await bench.reminders() == {"reminders": 0, "unsent": 0}


async def test_a_person_reminds_when_they_like_and_in_their_own_words(mailing: Bench) -> None:
    """Also of an invoice without a due day; and it counts as the step of its day."""
    bill = await due_in(mailing, -7)
    sent = await mailing.remind(mailing.caller, bill.id, to=["boss@acme.example"], message="Please pay.")
    assert sent.url is not None
    (mail,) = await mails(mailing)
    assert (mail["to"], mail["message"]["text"]) == (["boss@acme.example"], "Please pay.")
    assert await mailing.reminders() == {"reminders": 0, "unsent": 0}
    undated = await due_in(mailing, 0, due_on=None)
    assert (await mailing.remind(mailing.caller, undated.id)).invoice.reminders[0].day == 0


async def test_what_is_paid_is_not_pressed_for(mailing: Bench) -> None:
    """Not by hand, and not by the schedule."""
    bill, _ = await mailing.paid()
    with pytest.raises(Conflict, match="paid"):
        await mailing.remind(mailing.caller, bill.id)
    unknown = await due_in(mailing, 3, client=Billed("client_2", "Bob", None))
    with pytest.raises(Invalid, match="no mail address"):
        await mailing.remind(mailing.caller, unknown.id)


async def test_without_a_payment_provider_the_mail_has_no_button(bench: Bench) -> None:
    """A client can pay by bank transfer: the account is on the invoice."""
    await bench.connect(bench.org, provider="post", secrets={"password": "x"})
    async with bench.store.of(bench.org) as work:
        await work.connections.remove(bench.connection.id)
        await work.commit()
    bill = await due_in(bench, -1)
    assert (await bench.remind(bench.caller, bill.id)).url is None
    assert (await mails(bench))[0]["message"]["action"] is None
