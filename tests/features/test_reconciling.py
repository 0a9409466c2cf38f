"""The feature "Reconciling": two sets of books, compared every night."""

from datetime import timedelta
from typing import Any

import attrs
from pytest_bdd import given, parsers, scenarios, then, when

from application.billing.books import Books
from application.billing.fix_difference import FixDifference
from application.billing.reconcile import Reconcile, StartReconciliation, midnight
from application.billing.refund import RefundPayment
from application.caller import Caller
from application.ports.settlements import Movement, Settled
from domain.billing.payments import Fact, FactKind, Payment
from domain.billing.reconciliation import Difference, Fix, Reconciliation
from domain.money import Currency, Money
from tests.fakes.settlements import SETTLED_AFTER
from tests.features.conftest import Run, follows, holds_a_link, page_of
from tests.features.studio import Studio

scenarios("reconciling.feature")

ACCESS = {"secret_key": "sk_fake"}


def found(studio: Studio, run: Run) -> tuple[Difference, ...]:
    """Everything that was ever found."""
    return tuple(run(studio.look(lambda work: work.differences.all())))


def only(studio: Studio, run: Run) -> Difference:
    """The one thing that was found."""
    (difference,) = found(studio, run)
    return difference


def runs(studio: Studio, run: Run) -> tuple[Reconciliation, ...]:
    """Every comparison, oldest first."""
    return tuple(run(studio.look(lambda work: work.reconciliations.all())))


def grace(studio: Studio) -> Caller:
    """Who clicks."""
    return attrs.evolve(studio.caller, actor="user:Grace")


@given(parsers.parse("Grace has refunded {amount} USD of it"))
def refunds(studio: Studio, run: Run, amount: str) -> None:
    run(studio.use(RefundPayment)(studio.caller, run(studio.payment()).id, amount=amount))


@given(parsers.parse("Ada has paid an invoice over {price} {currency}, and no message of it came"))
def pays_unheard(studio: Studio, run: Run, price: str, currency: str) -> None:
    holds_a_link(studio, run, price, currency)
    follows(studio, run)
    studio.till.pay(page_of(studio.scene.pages[-1]))


@given(parsers.parse("somebody has refunded {amount} USD at the provider, and no message of it came"))
def refunded_there(studio: Studio, run: Run, amount: str) -> None:
    reference = run(studio.payment()).reference
    run(studio.till.refund(ACCESS, reference, Money.of(amount, "USD"), key="by hand"))


@given(parsers.parse("the books hold a payment over {amount} USD that the provider does not know"))
def made_up(studio: Studio, run: Run, amount: str) -> None:
    now, money = studio.clock.now(), Money.of(amount, "USD")

    async def write() -> None:
        connection = await studio.connection("fake")
        fact = Fact(FactKind.CAPTURED, "made up", money.amount, now)
        id_, org = studio.ids.new("payment"), studio.caller.organisation_id
        payment = Payment(id_, org, connection.id, "fake", "made up", money, now, now, facts=(fact,))
        async with studio.store.of(org) as work:
            await work.payments.add(payment)
            await studio.use(Books).facts_learned(work, payment, (fact,))
            await work.commit()

    run(write())


@given(parsers.parse("the provider lists it with {amount} USD"))
def lists_it_with(studio: Studio, run: Run, amount: str) -> None:
    studio.till.misread[run(studio.payment()).reference] = Money.of(amount, "USD")


@given(parsers.parse("the provider has kept {amount} USD of it since"))
def keeps(studio: Studio, run: Run, amount: str) -> None:
    studio.till.charge_fee(run(studio.payment()).reference, Money.of(amount, "USD"))


@given(parsers.parse("the provider has taken {amount} USD for the month"))
def takes(studio: Studio, amount: str) -> None:
    line = Settled(Movement.FEE, "fee_month", Money.of(amount, "USD"), None, studio.clock.now(), done=True)
    studio.till.also.append(line)


@given("the night has come")
@when("the night comes")
def night_comes(studio: Studio, run: Run) -> None:
    studio.clock.advance(midnight(studio.clock.now()) + timedelta(days=1) + SETTLED_AFTER - studio.clock.now())
    run(studio.use(Reconcile)())


@when("Grace takes it in")
def takes_in(studio: Studio, run: Run) -> None:
    one = only(studio, run)
    run(studio.use(FixDifference)(grace(studio), one.run_id, one.id, Fix.ADOPTED))


@when("Grace asks the provider again")
def asks_again(studio: Studio, run: Run) -> None:
    one = only(studio, run)
    run(studio.use(FixDifference)(grace(studio), one.run_id, one.id, Fix.SETTLED))


@when(parsers.parse('Grace accepts it as "{note}"'))
def accepts(studio: Studio, run: Run, note: str) -> None:
    one = only(studio, run)
    run(studio.use(FixDifference)(grace(studio), one.run_id, one.id, Fix.ACCEPTED, note=note))


@then("yesterday's books agree")
def agree(studio: Studio, run: Run) -> None:
    assert found(studio, run) == ()
    assert runs(studio, run)[-1].state.value == "done"


@then(parsers.parse("both sides come to {paid} USD of payments and {back} USD of refunds"))
def come_to(studio: Studio, run: Run, paid: str, back: str) -> None:
    sums: Any = runs(studio, run)[-1].totals["USD"]
    for side in ("ours", "theirs"):
        assert Money(sums[f"{side}:payment"], Currency("USD")).decimal == paid
        assert Money(sums[f"{side}:refund"], Currency("USD")).decimal == back


@then(parsers.parse("{count:d} days have been compared"))
def compared(studio: Studio, run: Run, count: int) -> None:
    assert len({one.since for one in runs(studio, run)}) == count


@then(
    parsers.re(
        r"yesterday's books differ: a (?P<movement>payment|refund) (over (?P<amount>\S+ USD) is|has) (?P<what>.+)"
    )
)
def differ(studio: Studio, run: Run, movement: str, amount: str | None, what: str) -> None:
    one = only(studio, run)
    kinds = {"missing here": "missing_here", "missing there": "missing_there"}
    assert one.movement == movement
    assert one.kind.value == (kinds.get(what) or what.removeprefix("another "))
    assert amount is None or str(one.amount) == amount


@then("Grace's name is beside it")
def named(studio: Studio, run: Run) -> None:
    one = only(studio, run)
    assert one.fixed_by == "user:Grace"
    entries = run(studio.look(lambda work: work.audit.all(subject=one.id)))
    assert [entry.actor for entry in entries] == ["user:Grace"]


@then("the night after that there is nothing more to settle")
def nothing_more(studio: Studio, run: Run) -> None:
    night_comes(studio, run)
    assert len(found(studio, run)) == 1


@then(parsers.parse("{amount} USD of the payment has gone back"))
def gone_back(studio: Studio, run: Run, amount: str) -> None:
    assert run(studio.payment()).refunded.decimal == amount


@then(parsers.parse("the ledger has {amount} USD of {account}"))
def ledger_has(studio: Studio, run: Run, amount: str, account: str) -> None:
    balances = run(studio.look(lambda work: work.ledger.balances()))
    assert {one.account: one.amount.decimal for one in balances}[account] == amount


@then(parsers.parse('it is written down that Grace accepted it as "{note}"'))
def written_down(studio: Studio, run: Run, note: str) -> None:
    one = only(studio, run)
    assert (one.fix, one.fixed_by, one.note) == ("accepted", "user:Grace", note)


@then("comparing that day again finds nothing")
def again(studio: Studio, run: Run) -> None:
    (before,) = runs(studio, run)
    start = studio.use(StartReconciliation)(studio.caller, "fake", since=before.since, until=before.until)
    made = run(start)
    run(studio.use(Reconcile)())
    assert [one.differences for one in runs(studio, run) if one.id == made.id] == [0]
