"""The feature "Refunding": money back once, whatever becomes of the answer, and never what a bank took back itself."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

from pytest_bdd import given, parsers, scenarios, then, when

from application.billing.janitor import ResumeRefunds
from application.billing.refund import RefundPayment
from application.connections.connect import ProviderUnavailable
from application.ports.payments import ProviderRefused, RefundState, RetryLater
from domain.billing.payments import PaymentState
from domain.money import Money
from tests.features.conftest import ACCESS, Run
from tests.features.studio import Studio

scenarios("refunding.feature")


# Given


@given(parsers.parse("Grace's refund of {amount} {currency} was cut off"))
def refund_cut_off(studio: Studio, run: Run, amount: str, currency: str) -> None:
    error = RetryLater("the line went dead", may_have_happened=True)
    studio.till.fail_next(error, after_work=True, of="refund")
    refunds(studio, run, amount, currency)
    assert isinstance(studio.scene.refusals.pop(), ProviderUnavailable)


@given("the provider's balance is empty")
def balance_is_empty(studio: Studio) -> None:
    studio.till.fail_next(ProviderRefused("insufficient balance", code="balance"), of="refund")


@given("the provider knows no keys")
def knows_no_keys(studio: Studio) -> None:
    studio.till.keyless, studio.till.key_life = True, None


# When


@given(parsers.parse("Grace has refunded {amount} {currency}"))
@when(parsers.parse("Grace refunds {amount} {currency}"))
def refunds(studio: Studio, run: Run, amount: str, currency: str) -> None:
    payment = run(studio.payment())
    assert payment.currency.code == currency
    run(studio.attempt(studio.use(RefundPayment)(studio.caller, payment.id, amount=amount)))


@when(parsers.parse("Grace refunds {amount} {currency} twice at once"))
def refunds_twice(studio: Studio, run: Run, amount: str, currency: str) -> None:
    payment = run(studio.payment())
    refund = studio.use(RefundPayment)

    async def both() -> None:
        deeds: list[Awaitable[Any]] = [refund(studio.caller, payment.id, amount=amount) for _ in range(2)]
        await asyncio.gather(*(studio.attempt(deed) for deed in deeds))

    run(both())


@when("the hub looks for refunds without an answer")
def looks_for_refunds(studio: Studio, run: Run) -> None:
    studio.clock.advance(timedelta(minutes=5))
    run(studio.use(ResumeRefunds)())
    run(studio.let_through(*studio.unheard()))


@when("the bank refuses the refund")
def bank_refuses(studio: Studio, run: Run) -> None:
    (reference,) = studio.till.refunds
    studio.till.settle_refund(reference, RefundState.FAILED)
    run(studio.let_through(*studio.unheard()))


@when(parsers.parse("somebody refunds {amount} {currency} at the provider"))
def refunded_there(studio: Studio, run: Run, amount: str, currency: str) -> None:
    money = Money.of(amount, currency)
    run(studio.till.refund(ACCESS, run(studio.payment()).reference, money, key="by hand"))
    run(studio.let_through(*studio.unheard()))


@given(parsers.parse("Ada's bank has taken {amount} {currency} back"))
@when(parsers.parse("Ada's bank takes {amount} {currency} back"))
def takes_back(studio: Studio, run: Run, amount: str, currency: str) -> None:
    studio.till.dispute(run(studio.payment()).reference, Money.of(amount, currency))
    run(studio.let_through(*studio.unheard()))


@when("the studio wins the dispute")
def wins(studio: Studio, run: Run) -> None:
    studio.till.dispute(run(studio.payment()).reference, None)
    run(studio.let_through(*studio.unheard()))


# Then


@then(parsers.parse("{price} {currency} of the payment went back"))
def went_back(studio: Studio, run: Run, price: str, currency: str) -> None:
    assert str(run(studio.payment()).refunded) == f"{price} {currency}"
    assert str(run(studio.invoice()).amount_refunded) == f"{price} {currency}"


@then(parsers.parse("{price} {currency} of the payment can be refunded"))
def can_be_refunded(studio: Studio, run: Run, price: str, currency: str) -> None:
    assert str(run(studio.payment()).refundable) == f"{price} {currency}"


@then("one of the two is refused")
def one_refused(studio: Studio) -> None:
    assert len(studio.scene.refusals) == 1


@then(parsers.parse('the refund is failed: "{why}"'))
def refund_failed(studio: Studio, run: Run, why: str) -> None:
    (refund,) = run(studio.look(lambda work: work.refunds.all()))
    assert (refund.state.value, refund.failure) == ("failed", why)


@then(parsers.parse("the payment is {state}"))
def payment_is(studio: Studio, run: Run, state: str) -> None:
    assert run(studio.payment()).state is PaymentState(state)
