"""The feature "Paying": one page, one payment, and books that agree with the provider's."""

import asyncio
from datetime import timedelta
from typing import Any

from pytest_bdd import given, parsers, scenarios, then, when

from application.billing.follow import FollowPaymentLink, ReturnFromCheckout
from application.billing.intents import StartPayment
from application.billing.links import CreatePaymentLink, ExpirePaymentLink
from application.billing.resolve import Resolution, ResolveConflict
from application.connections.connect import ProviderUnavailable
from application.inbox.receive import ReceiveWebhook
from application.ports.payments import CheckoutState, RetryLater
from domain.billing.links import LinkAnswer
from domain.billing.payments import Payment, PaymentState
from tests.fakes.payments import GOOD
from tests.features.conftest import ACCESS, Run, follows, holds_a_link, page_of, tells, writes
from tests.features.studio import Studio

scenarios("paying.feature")

LATER = {"an hour": timedelta(hours=1), "a day": timedelta(days=1), "a month": timedelta(days=31)}


# Given


@given("the provider made a page but its answer was cut off")
def page_cut_off(studio: Studio, run: Run) -> None:
    error = RetryLater("the line went dead", may_have_happened=True)
    studio.till.fail_next(error, after_work=True, of="create_checkout")
    follows(studio, run)
    assert isinstance(studio.scene.refusals.pop(), ProviderUnavailable)
    assert len(studio.till.checkouts) == 1


@given("Ada has paid on that page")
def paid_on_that_page(studio: Studio) -> None:
    (reference,) = studio.till.checkouts
    studio.till.pay(reference)


@given(parsers.parse("Ada has paid on the page of an invoice over {price} {currency}"))
def paid_on_the_page(studio: Studio, run: Run, price: str, currency: str) -> None:
    holds_a_link(studio, run, price, currency)
    follows(studio, run)
    studio.till.pay(page_of(studio.scene.pages[-1]))


@given(parsers.parse("Ada's card was declined on the page of an invoice over {price} {currency}"))
def declined_on_the_page(studio: Studio, run: Run, price: str, currency: str) -> None:
    holds_a_link(studio, run, price, currency)
    follows(studio, run)
    studio.till.decline(page_of(studio.scene.pages[-1]))


@given("she has paid on it with another card")
def another_card(studio: Studio) -> None:
    studio.till.pay(page_of(studio.scene.pages[-1]))


@given(parsers.parse("{how_long} has passed"))
def has_passed(studio: Studio, how_long: str) -> None:
    studio.clock.advance(LATER[how_long])


@given("Grace has ended the link")
def ended_the_link(studio: Studio, run: Run) -> None:
    end = studio.use(ExpirePaymentLink)
    run(end(studio.caller, invoice_id=run(studio.invoice()).id, provider="fake"))


@given("the provider is away")
def is_away(studio: Studio) -> None:
    """For as long as it takes to tell of a payment: that makes two messages."""
    for _ in range(2):
        studio.till.fail_next(RetryLater("no answer"))


# When


@when("Ada follows the link twice at once")
def follows_twice(studio: Studio, run: Run) -> None:
    link = studio.scene.link
    assert link is not None

    async def both() -> Any:
        follow = studio.use(FollowPaymentLink)
        return await asyncio.gather(follow(link.link.token), follow(link.link.token))

    studio.scene.pages += [seen.pay_at for seen in run(both())]


@when("Grace asks for a link to it again")
def asks_again(studio: Studio, run: Run) -> None:
    again = run(studio.use(CreatePaymentLink)(studio.caller, invoice_id=run(studio.invoice()).id))
    studio.scene.seen = again


@when("the provider tells it in the wrong order")
def tells_backwards(studio: Studio, run: Run) -> None:
    run(studio.let_through(*reversed(studio.unheard())))


@when("the provider tells everything twice at the same moment")
def tells_at_once(studio: Studio, run: Run) -> None:
    bodies = [body for told in studio.unheard() for body in (told, told)]

    async def all_at_once() -> None:
        await asyncio.gather(*(studio.take_in(body) for body in bodies))
        await studio.settle_down()

    run(all_at_once())


@when("the provider tells it, and time passes")
def tells_and_waits(studio: Studio, run: Run) -> None:
    tells(studio, run)
    run(studio.wait_until_quiet())


@when("somebody else tells it")
def somebody_else(studio: Studio, run: Run) -> None:
    body = studio.unheard()[-1]
    forged = studio.till.sign(body, "a guess", studio.clock.now())
    lower = {name.lower(): value for name, value in forged.items()}
    run(studio.attempt(studio.use(ReceiveWebhook)("fake", lower, body)))
    run(studio.settle_down())


@given("she has come back to the studio")
@when("Ada comes back to the studio")
def comes_back(studio: Studio, run: Run) -> None:
    assert studio.scene.link is not None
    studio.scene.seen = run(studio.use(ReturnFromCheckout)(studio.scene.link.link.token))


@when("Ada pays it on the studio's own page")
def pays_elsewhere(studio: Studio, run: Run) -> None:
    start = studio.use(StartPayment)
    started = run(start(studio.caller, provider="fake", invoice_id=run(studio.invoice()).id))
    run(studio.till.confirm_intent(ACCESS, started.intent.reference, method=GOOD, key="confirm"))
    run(studio.let_through(*studio.unheard()))


# Then


@then("she is led to the same page")
def same_page(studio: Studio) -> None:
    first, *others = studio.scene.pages
    assert others
    assert set(others) == {first}


@then("she is led to a page")
def a_page(studio: Studio) -> None:
    assert studio.till.checkouts[page_of(studio.scene.pages[-1])].state is CheckoutState.OPEN


@then("she is led to another page")
def another_page(studio: Studio) -> None:
    a_page(studio)
    assert studio.scene.pages[-1] != studio.scene.pages[0]


@then(parsers.parse("she is led to another page over {price} {currency}"))
def another_page_over(studio: Studio, price: str, currency: str) -> None:
    another_page(studio)
    assert str(studio.till.checkouts[page_of(studio.scene.pages[-1])].amount) == f"{price} {currency}"


@then("the provider has 1 page")
def one_page(studio: Studio) -> None:
    assert len(studio.till.checkouts) == 1


@then("the first page is closed")
def first_page_closed(studio: Studio) -> None:
    assert studio.till.checkouts[page_of(studio.scene.pages[0])].state is CheckoutState.EXPIRED


@then("it is the same link")
def same_link(studio: Studio) -> None:
    assert studio.scene.link is not None
    assert studio.scene.seen.url == studio.scene.link.url


@then(parsers.re("she reads that the (invoice|link) is (?P<answer>paid|void|expired)"))
def reads(studio: Studio, answer: str) -> None:
    assert studio.scene.seen.answer is LinkAnswer(answer)
    assert studio.scene.seen.pay_at is None


@then(parsers.parse("the invoice is paid by one payment over {price} {currency}"))
def paid_by_one(studio: Studio, run: Run, price: str, currency: str) -> None:
    """One that succeeded, and nothing else at the provider but what was declined."""
    invoice = run(studio.invoice())
    came = [payment for payment in run(studio.payments()) if payment.captured]
    assert [str(payment.captured) for payment in came] == [f"{price} {currency}"]
    assert str(invoice.amount_paid) == f"{price} {currency}"
    assert (invoice.state.value, invoice.amount_due.amount) == ("paid", 0)
    assert [str(one.received) for one in studio.till.intents.values() if one.received] == [f"{price} {currency}"]


@when("Grace keeps it as it is")
def keeps_it(studio: Studio, run: Run) -> None:
    _settle(studio, run, Resolution.ACCEPT)


@when("Grace sends it back")
def sends_it_back(studio: Studio, run: Run) -> None:
    _settle(studio, run, Resolution.REFUND)


@when(parsers.parse("Grace counts it for Ada's next invoice, over {price} {currency}"))
def counts_it_elsewhere(studio: Studio, run: Run, price: str, currency: str) -> None:
    odd = run(_conflicted(studio))
    writes(studio, run, price, currency)
    target = run(studio.invoice()).id
    resolve = studio.use(ResolveConflict)
    run(studio.attempt(resolve(studio.caller, odd.id, Resolution.MOVE, invoice_id=target)))


def _settle(studio: Studio, run: Run, resolution: Resolution) -> None:
    odd = run(_conflicted(studio))
    run(studio.attempt(studio.use(ResolveConflict)(studio.caller, odd.id, resolution)))
    run(studio.let_through(*studio.unheard()))


async def _conflicted(studio: Studio) -> Payment:
    (odd,) = [one for one in await studio.payments() if one.state is PaymentState.CONFLICTED]
    return odd


@then(parsers.parse('a payment is conflicted, {name}: "{why}"'))
def is_conflicted(studio: Studio, run: Run, name: str, why: str) -> None:
    odd = run(_conflicted(studio))
    assert odd.conflict_kind is not None
    assert odd.conflict_kind.value.replace("_", " ") == name
    assert odd.conflict == why


@then("no payment is conflicted")
def none_conflicted(studio: Studio, run: Run) -> None:
    assert [one for one in run(studio.payments()) if one.state is PaymentState.CONFLICTED] == []


@then(parsers.parse("{price} {currency} of it are too much"))
def too_much(studio: Studio, run: Run, price: str, currency: str) -> None:
    assert str(run(studio.invoice()).overpaid) == f"{price} {currency}"


@then(parsers.parse("{price} {currency} of it are still due"))
def still_due(studio: Studio, run: Run, price: str, currency: str) -> None:
    assert str(run(studio.invoice()).amount_due) == f"{price} {currency}"
