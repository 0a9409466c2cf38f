"""The feature "Invoicing": numbers without gaps, prices that fit, papers that do not change."""

import asyncio
from datetime import UTC, date, datetime, time

from pytest_bdd import given, parsers, scenarios, then, when

from application.billing.invoices import CreateInvoice, LineAsked, ReviseInvoice
from application.billing.send_invoice import SendInvoice
from application.upkeep.jobs import MarkOverdue
from application.work.change_record import ChangeRecord
from domain.billing.invoices import InvoiceState
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


# When


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
    """At noon of that day the hub has looked for overdue invoices, and an hour later once more."""
    noon = datetime.combine(date.fromisoformat(day), time(12), UTC)
    studio.clock.advance(noon - studio.clock.now())
    for _ in range(2):
        run(studio.use(MarkOverdue)())


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
