"""The feature "Paying out": money leaves the provider's balance once, and the books know it."""

from datetime import timedelta

from pytest_bdd import given, parsers, scenarios, then, when

from application.billing.payouts import CreatePayout
from application.billing.unknown_payouts import ResolvePayouts
from application.ports.payments import RetryLater
from application.ports.payouts import PayoutStanding
from domain.billing.payouts import Payout
from domain.money import Money
from tests.features.conftest import Run
from tests.features.studio import Studio

scenarios("paying_out.feature")


def payout(studio: Studio, run: Run) -> Payout:
    """The only one."""
    (one,) = run(studio.look(lambda work: work.payouts.all()))
    return one


@given(parsers.re("the provider's next (?P<what>answer|question) will be lost"))
def will_be_lost(studio: Studio, what: str) -> None:
    studio.till.fail_next(RetryLater("the line went dead", may_have_happened=True), after_work=what == "answer")


@given(parsers.parse("Grace has paid {amount} USD out to {account}"))
@when(parsers.parse("Grace pays {amount} USD out to {account}"))
def pays_out(studio: Studio, run: Run, amount: str, account: str) -> None:
    to = {"bank": "044", "account": account}
    deed = studio.use(CreatePayout)(studio.caller, provider="fake", amount=amount, currency="USD", destination=to)
    run(studio.attempt(deed))
    run(studio.let_through(*studio.unheard()))


@when("the bank has it")
def arrives(studio: Studio, run: Run) -> None:
    studio.till.move_payout(payout(studio, run).reference or "", PayoutStanding.PAID)
    run(studio.let_through(*studio.unheard()))


@when(parsers.parse('the bank sends it back because "{why}"'))
def sent_back(studio: Studio, run: Run, why: str) -> None:
    studio.till.move_payout(payout(studio, run).reference or "", PayoutStanding.FAILED, why)
    run(studio.let_through(*studio.unheard()))


@when("the hub looks it up")
def looks_up(studio: Studio, run: Run) -> None:
    studio.clock.advance(timedelta(minutes=5))
    run(studio.use(ResolvePayouts)())


@when(parsers.parse("the provider pays {amount} USD out by itself"))
def by_itself(studio: Studio, run: Run, amount: str) -> None:
    reference = studio.till.pay_out_by_itself(Money.of(amount, "USD"))
    studio.till.move_payout(reference, PayoutStanding.PAID)
    run(studio.let_through(*studio.unheard()))


@then(parsers.parse("the payout is {state}"))
def is_in_state(studio: Studio, run: Run, state: str) -> None:
    assert payout(studio, run).state.value == state


@then(parsers.re(r"the provider has sent (?P<count>\d+) payouts?"))
def has_sent(studio: Studio, count: str) -> None:
    assert len(studio.till.payouts) == int(count)


@then(parsers.parse("the provider holds {amount} USD"))
def holds(studio: Studio, run: Run, amount: str) -> None:
    balances = run(studio.look(lambda work: work.ledger.balances()))
    assert {one.account: one.amount.decimal for one in balances}["balance:fake"] == amount
