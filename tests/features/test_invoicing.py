"""The feature "Invoicing": numbers without gaps, sums that add up, papers that do not change, what follows a sent one."""

import asyncio
from datetime import UTC, date, datetime, time

from pytest_bdd import given, parsers, scenarios, then, when

from application.billing.credit import CreditInvoice
from application.billing.invoices import CreateInvoice, DiscountAsked, LineAsked, ReviseInvoice, TaxAsked
from application.billing.reminders import InvoiceReminders, RemindClient
from application.billing.send_invoice import SendInvoice
from application.billing.settings import SaveBillingSettings, SettingsAsked
from application.billing.write_off import WriteOffInvoice
from application.upkeep.jobs import MarkOverdue
from application.work.change_record import ChangeRecord
from domain.billing.invoices import InvoiceState
from domain.billing.settings import Seller
from tests.features.conftest import Run, writes
from tests.features.studio import CHANNELS, Studio

scenarios("invoicing.feature")


# Given


@given(parsers.parse("Grace has written an invoice over {price} {currency} for Ada, due on {day}"))
def has_written(studio: Studio, run: Run, price: str, currency: str, day: str) -> None:
    writes(studio, run, price, currency, date.fromisoformat(day))


@given(parsers.parse("Grace has sent Ada an invoice over {price} {currency} that is due on {day}"))
def has_sent(studio: Studio, run: Run, price: str, currency: str, day: str) -> None:
    has_written(studio, run, price, currency, day)
    sends(studio, run)


@given(parsers.parse("the studio reminds {before:d} days before and {after:d} days after an invoice is due"))
def reminds(studio: Studio, run: Run, before: int, after: int) -> None:
    asked = SettingsAsked(Seller(), "INV-", "CN-", (-before, after), (2,), "en")
    run(studio.use(SaveBillingSettings)(studio.caller, asked))


# When


@when(
    parsers.re(r"Grace writes an invoice over (?P<price>\S+) (?P<currency>\S+) with (?P<rate>\S+) % VAT (?P<how>\w+)$")
)
def writes_with_tax(
    studio: Studio, run: Run, price: str, currency: str, rate: str, how: str, off: str | None = None
) -> None:
    line = LineAsked("Brand workshop", 1, price, TaxAsked("VAT", rate, how == "included"))
    deed = studio.use(CreateInvoice)(
        studio.caller,
        client_id=studio.scene.clients["Ada"].id,
        currency=currency,
        lines=[line],
        discount=DiscountAsked(percent=off) if off else None,
    )
    studio.scene.invoice = run(studio.attempt(deed)) or studio.scene.invoice


@when(parsers.parse("Grace writes an invoice over {price} {currency} with {rate} % VAT added and {off} % off"))
def writes_with_discount(studio: Studio, run: Run, price: str, currency: str, rate: str, off: str) -> None:
    writes_with_tax(studio, run, price, currency, rate, "added", off)


@given(parsers.re(r"Grace has credited (?P<amount>[\d.]+) of it"))
@when(parsers.re(r"Grace credits (?P<amount>[\d.]+) of it(?P<back> and sends the money back)?$"))
def credits_it(studio: Studio, run: Run, amount: str, back: str | None = None) -> None:
    credit = studio.use(CreditInvoice)
    run(studio.attempt(credit(studio.caller, run(studio.invoice()).id, amount=amount, refund=bool(back))))
    run(studio.let_through(*studio.unheard()))


@when("Grace reminds Ada of it")
def reminds_by_hand(studio: Studio, run: Run) -> None:
    run(studio.use(RemindClient)(studio.caller, run(studio.invoice()).id))


@given("Grace has written it off")
@when("Grace writes it off")
def writes_off(studio: Studio, run: Run) -> None:
    run(studio.attempt(studio.use(WriteOffInvoice)(studio.caller, run(studio.invoice()).id)))


@given("she has sent it to Ada")
@when("Grace sends it to Ada")
def sends(studio: Studio, run: Run) -> None:
    studio.scene.seen = run(studio.use(SendInvoice)(studio.caller, run(studio.invoice()).id))
    run(studio.settle_down())


@when(parsers.parse("Grace writes two invoices over {price} {currency} for Ada at once"))
def writes_two(studio: Studio, run: Run, price: str, currency: str) -> None:
    client, lines = studio.scene.clients["Ada"].id, [LineAsked("Brand workshop", 1, price)]

    async def both() -> None:
        create = studio.use(CreateInvoice)
        await asyncio.gather(
            *(create(studio.caller, client_id=client, currency=currency, lines=lines) for _ in range(2))
        )

    run(both())


@when(parsers.parse("Grace changes its price to {price}"))
def changes(studio: Studio, run: Run, price: str) -> None:
    revise = studio.use(ReviseInvoice)
    lines = [LineAsked("Brand workshop", 1, price)]
    run(studio.attempt(revise(studio.caller, run(studio.invoice()).id, lines=lines)))


@when(parsers.parse('Ada\'s business is renamed to "{name}"'))
def is_renamed(studio: Studio, run: Run, name: str) -> None:
    ada = studio.scene.clients["Ada"]
    run(studio.use(ChangeRecord)(studio.caller, ada.kind, ada.id, {"name": name}))


@given(parsers.parse("it was {day}"))
@when(parsers.parse("it is {day}"))
def day_comes(studio: Studio, run: Run, day: str) -> None:
    """At noon of that day the hub has looked for what is overdue and to be reminded of, and an hour later once more."""
    noon = datetime.combine(date.fromisoformat(day), time(12), UTC)
    studio.clock.advance(noon - studio.clock.now())
    for _ in range(2):
        run(studio.use(MarkOverdue)())
        run(studio.use(InvoiceReminders)())


# Then


@then(parsers.parse("it has the number {number}"))
def has_number(studio: Studio, run: Run, number: str) -> None:
    assert run(studio.invoice()).number == number


@then(parsers.parse("there are the invoices {numbers}"))
def there_are(studio: Studio, run: Run, numbers: str) -> None:
    kept = run(studio.look(lambda work: work.invoices.all()))
    assert sorted(invoice.number for invoice in kept) == numbers.split(", ")


@then("there is no invoice")
def there_is_none(studio: Studio, run: Run) -> None:
    assert run(studio.look(lambda work: work.invoices.all())) == ()


@then(parsers.parse("it asks for {price} {currency}"))
def asks_for(studio: Studio, run: Run, price: str, currency: str) -> None:
    assert str(run(studio.invoice()).total) == f"{price} {currency}"


@then(parsers.parse("{amount} {currency} of it is tax"))
def is_tax(studio: Studio, run: Run, amount: str, currency: str) -> None:
    assert str(run(studio.invoice()).totals.tax) == f"{amount} {currency}"


@then(parsers.parse("{amount} {currency} of it are still due"))
def is_due(studio: Studio, run: Run, amount: str, currency: str) -> None:
    assert str(run(studio.invoice()).amount_due) == f"{amount} {currency}"


@then(parsers.parse("{amount} {currency} of it went back to Ada"))
def went_back(studio: Studio, run: Run, amount: str, currency: str) -> None:
    assert str(run(studio.invoice()).amount_refunded) == f"{amount} {currency}"


@then(parsers.parse("there is the credit note {number}"))
def there_is_the_note(studio: Studio, run: Run, number: str) -> None:
    assert [note.number for note in run(studio.look(lambda work: work.credit_notes.all()))] == [number]


@then(parsers.parse("Ada was reminded {times:d} times"))
def was_reminded(studio: Studio, run: Run, times: int) -> None:
    run(studio.settle_down())
    mails = studio.town.channels[CHANNELS["mail"]].sent
    assert sum(sent.message.title.startswith("Reminder: ") for sent in mails) == times
    assert len(run(studio.events("invoice.reminded"))) == times


@then("the reminder holds the invoice")
def holds_the_invoice(studio: Studio, run: Run) -> None:
    invoice = run(studio.invoice())
    (enclosed,) = studio.town.channels[CHANNELS["mail"]].sent[-1].message.attachments
    assert enclosed.name == f"{invoice.number}.pdf"
    assert invoice.number.encode() in enclosed.content


@then(parsers.parse('it is addressed to "{name}"'))
def is_addressed(studio: Studio, run: Run, name: str) -> None:
    assert run(studio.invoice()).client.name == name


@then("Ada has a mail with the payment link")
def has_a_mail(studio: Studio, run: Run) -> None:
    (sent,) = studio.town.channels[CHANNELS["mail"]].sent
    assert sent.target == {"to": ["ada@northwind.example"]}
    assert sent.message.action is not None
    assert sent.message.action.url == studio.scene.seen.url
    assert run(studio.invoice()).state is InvoiceState.OPEN
