"""Steps that more than one feature speaks of.

pytest-bdd never awaits a step, and a step that is a coroutine passes without having run: so every step is a plain
function that runs its use case to the end through `run`, on one event loop for the whole scenario.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from datetime import date
from typing import Any

import pytest
from pytest_bdd import given, parsers, then, when

from application.billing.follow import FollowPaymentLink
from application.billing.invoices import CreateInvoice, LineAsked, VoidInvoice
from application.billing.links import CreatePaymentLink
from application.connections.connect import Connect
from application.notifications.endpoints import CreateEndpoint
from application.work.create_record import CreateRecord
from domain.billing.invoices import InvoiceState
from domain.money import Money
from domain.notifications.signing import verify
from domain.work.kinds import kind_named
from tests.books import assert_books
from tests.fakes.payments import GOOD
from tests.features.studio import CHANNELS, Arrival, Studio

ACCESS = {"secret_key": "sk_fake"}

Run = Callable[[Coroutine[Any, Any, Any]], Any]

ADDRESSES = {
    "the studio's application": "https://app.harbour-finch.example/hooks",
    "the bookkeeper's application": "https://books.example/hooks",
}
SHORT = {"the application": "the studio's application", "the bookkeeper": "the bookkeeper's application"}


@pytest.fixture
def run() -> Iterator[Run]:
    """Runs a coroutine to its end, on the scenario's event loop."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def studio(run: Run) -> Iterator[Studio]:
    """Harbour & Finch, on its first day. Whatever happens to it, its books agree at the end."""
    studio = Studio()
    run(studio.found())
    yield studio
    run(assert_books(studio.store, studio.caller.organisation_id))


# Given


@given("the studio takes payments and sends mail")
def takes_payments(studio: Studio, run: Run) -> None:
    connect = studio.use(Connect)
    run(connect(studio.caller, "fake", {"secret_key": "sk_fake"}))
    mail = {"host": "mail.harbour-finch.example", "sender": "billing@harbour-finch.example"}
    run(connect(studio.caller, CHANNELS["mail"], mail))


@given("Ada is a client of the studio")
def ada(studio: Studio, run: Run) -> None:
    record = {"name": "Ada Northwind", "email": "ada@northwind.example"}
    studio.scene.clients["Ada"] = run(studio.use(CreateRecord)(studio.caller, kind_named("client"), record))


@given(parsers.re(r'(?P<listener>the (studio|bookkeeper)\'s application) listens to "(?P<asked>.+)"'))
def listens(studio: Studio, run: Run, listener: str, asked: str) -> None:
    patterns = tuple(asked.split(", "))
    create = studio.use(CreateEndpoint)
    studio.scene.listeners[listener] = run(create(studio.caller, url=ADDRESSES[listener], events=patterns))


@given("the studio's application listens to everything")
def listens_to_everything(studio: Studio, run: Run) -> None:
    listens(studio, run, "the studio's application", "*")


@given(parsers.parse("Ada holds a link to pay an invoice over {price} {currency}"))
def holds_a_link(studio: Studio, run: Run, price: str, currency: str) -> None:
    writes(studio, run, price, currency)
    studio.scene.link = run(studio.use(CreatePaymentLink)(studio.caller, invoice_id=run(studio.invoice()).id))


@given("she has followed it")
@when("Ada follows the link")
def follows(studio: Studio, run: Run) -> None:
    assert studio.scene.link is not None
    studio.scene.seen = run(studio.attempt(studio.use(FollowPaymentLink)(studio.scene.link.link.token)))
    if studio.scene.seen is not None and studio.scene.seen.pay_at:
        studio.scene.pages.append(studio.scene.seen.pay_at)


@given(parsers.parse("she was refused an invoice over {price} {currency} for Ada"))
def was_refused(studio: Studio, run: Run, price: str, currency: str) -> None:
    writes(studio, run, price, currency)
    assert studio.scene.refusals, "it was not refused"


# When


@given(parsers.parse("Grace has written an invoice over {price} {currency} for Ada"))
@when(parsers.parse("Grace writes an invoice over {price} {currency} for Ada"))
def writes(studio: Studio, run: Run, price: str, currency: str, due_on: date | None = None) -> None:
    deed = studio.use(CreateInvoice)(
        studio.caller,
        client_id=studio.scene.clients["Ada"].id,
        currency=currency,
        lines=[LineAsked("Brand workshop", 1, price)],
        due_on=due_on,
    )
    studio.scene.invoice = run(studio.attempt(deed)) or studio.scene.invoice


@given("she has made it void")
@given("Grace has made it void")
@when("Grace makes it void")
def voids(studio: Studio, run: Run) -> None:
    run(studio.attempt(studio.use(VoidInvoice)(studio.caller, run(studio.invoice()).id)))


@given("Ada has paid it")
@when("Ada pays it")
def pays(studio: Studio, run: Run) -> None:
    """She follows a link to the provider's page, pays there, and the provider tells the hub."""
    studio.scene.link = run(studio.use(CreatePaymentLink)(studio.caller, invoice_id=run(studio.invoice()).id))
    follows(studio, run)
    studio.till.pay(page_of(studio.scene.pages[-1]))
    run(studio.let_through(*studio.unheard()))


@given(parsers.parse("Ada has paid an invoice over {price} {currency}"))
@when(parsers.parse("Ada pays an invoice over {price} {currency}"))
def pays_an_invoice(studio: Studio, run: Run, price: str, currency: str) -> None:
    writes(studio, run, price, currency)
    pays(studio, run)


# Then


@then(parsers.parse('it is refused: "{why}"'))
def is_refused(studio: Studio, why: str) -> None:
    assert studio.scene.refusals, "it was not refused"
    assert why in str(studio.scene.refusals[-1])


@then(parsers.re(r"it is (a )?(?P<state>draft|open|partly paid|paid|overdue|void|uncollectible)"))
def is_in_state(studio: Studio, run: Run, state: str) -> None:
    assert run(studio.invoice()).state is InvoiceState(state.replace(" ", "_"))


@then(parsers.re(r'"(?P<type_>[a-z_.]+)" is (?P<how>told once|not told|told (?P<times>\d+) times)'))
def is_told(studio: Studio, run: Run, type_: str, how: str, times: str | None) -> None:
    """It is an event once, and the application that listens to everything has heard it once."""
    expected = {"told once": 1, "not told": 0}.get(how) if times is None else int(times)
    run(studio.settle_down())
    assert len(run(studio.events(type_))) == expected
    assert heard(studio, "the studio's application").count(type_) == expected


@then(parsers.re(r"(?P<who>the application|the bookkeeper) hears (?P<types>.+)"))
def hears(studio: Studio, run: Run, who: str, types: str) -> None:
    """These, each once, in whatever order; every one signed with the listener's own secret."""
    run(studio.settle_down())
    expected = [] if types == "nothing" else types.split(", ")
    assert sorted(heard(studio, SHORT[who])) == sorted(expected)


# What the steps share.


def page_of(url: str) -> str:
    """The provider's name for a page."""
    return url.rsplit("/", 1)[1]


def arrivals_at(studio: Studio, listener: str) -> list[Arrival]:
    """What was sent to one who listens, oldest first."""
    return [arrival for arrival in studio.receivers.arrivals if arrival.url == ADDRESSES[listener]]


def heard(studio: Studio, listener: str) -> list[str]:
    """The types of the events that one who listens has heard. Every signature held when it came."""
    secret = studio.scene.listeners[listener].secret
    arrivals = arrivals_at(studio, listener)
    for arrival in arrivals:
        verify(secret, arrival.request.headers, arrival.request.body, arrival.at)
    return [json.loads(arrival.request.body)["type"] for arrival in arrivals]


# What the payment provider does


@when("the provider tells it")
def tells(studio: Studio, run: Run) -> None:
    run(studio.let_through(*studio.unheard()))


@when("the provider tells everything twice")
def tells_twice(studio: Studio, run: Run) -> None:
    run(studio.let_through(*(body for told in studio.till.events for body in (told, told))))


@given(parsers.parse("{price} {currency} have come in for it"))
@when(parsers.parse("{price} {currency} come in for it"))
def come_in(studio: Studio, run: Run, price: str, currency: str) -> None:
    """Taken at the provider, in the invoice's name, without the hub having asked for it."""
    names = {"patchbay_organisation": studio.caller.organisation_id, "patchbay_invoice": run(studio.invoice()).id}
    amount = Money.of(price, currency)
    intent = run(studio.till.create_intent(ACCESS, amount, key=f"desk {price} {currency}", metadata=names))
    run(studio.till.confirm_intent(ACCESS, intent.reference, method=GOOD, key=f"confirm {price} {currency}"))
    run(studio.let_through(*studio.unheard()))


@then(parsers.parse("the provider has sent {price} {currency} back"))
def has_sent_back(studio: Studio, price: str, currency: str) -> None:
    sent = sum((one.amount for one in studio.till.refunds.values()), Money.of("0", currency))
    assert str(sent) == f"{price} {currency}"
