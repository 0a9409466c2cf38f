"""Whatever happens to a subscription, and whatever of it the hub hears in between: in the end the books agree."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application.billing.subscriptions.change import ChangeSubscription
from application.billing.subscriptions.preview import ChangeAsked
from application.ports.leases import Held
from application.ports.payments import RetryLater
from application.ports.recurring import SubscriptionStanding
from domain.billing.invoices import InvoiceState
from domain.billing.payments import PaymentState
from domain.billing.subscriptions import OVER, Subscription
from domain.refusals import Refusal
from tests.unit.application.billing.subscriptions.scene import DAY, Scene

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

AT_THE_PROVIDER = ("renew", "decline", "retry", "pause", "go on", "strange", "hear some", "hear all", "sweep", "end")
BY_THE_HUB = (
    "days",
    "month",
    "declined",
    "accepted",
    "silent",
    "away",
    "dearer",
    "cheaper",
    "more",
    "end later",
    "keep",
)


@quick
@given(st.lists(st.sampled_from(AT_THE_PROVIDER), max_size=12), st.randoms(use_true_random=False))
def test_what_the_provider_renews_ends_as_the_provider_has_it(story: list[str], chance: Any) -> None:
    """Webhooks are heard in part, in any order, with copies; one sweep and the rest of them bring everything in line."""
    asyncio.run(_mirrored(story, chance))


async def _mirrored(story: list[str], chance: Any) -> None:
    scene = await Scene().prepare()
    asked = await scene.ask("fake")
    reference = scene.fake.agree(asked.began_reference or "")
    for step in story:
        await _at_provider(scene, reference, step, chance)
    bodies = [body for body in scene.fake.events if b'"subscription": "' in body]
    chance.shuffle(bodies)
    await scene.hear(*bodies, *bodies[:3])
    await scene.bench.sync_subscription(scene.bench.org, scene.at_fake.id, reference)
    ours, theirs = await scene.now(asked), scene.fake.subscriptions[reference]
    assert ours.state.value == theirs.standing.value
    assert (ours.period_start, ours.period_end) == (theirs.period_start, theirs.period_end)
    invoices = await scene.invoices(asked)
    bills = scene.fake.bills[reference]
    assert Counter(invoice.source for invoice in invoices) == Counter(f"fake:{bill.reference}" for bill in bills)
    paid = {invoice.source for invoice in invoices if invoice.state is InvoiceState.PAID}
    assert paid == {f"fake:{bill.reference}" for bill in bills if bill.paid}
    received = sum(intent.received.amount for intent in scene.fake.intents.values())
    assert sum(payment.captured.amount for payment in await scene.bench.payments()) == received


async def _at_provider(scene: Scene, reference: str, step: str, chance: Any) -> None:
    fake, one = scene.fake, scene.fake.subscriptions[reference]
    over = one.standing.value in {state.value for state in OVER}
    if step in ("renew", "decline") and not over:
        scene.bench.clock.advance(timedelta(days=31))
        fake.renew(reference, pays=step == "renew")
    elif step == "retry" and fake.bills[reference] and not fake.bills[reference][-1].paid and not over:
        fake.retry(reference)
    elif step == "pause" and not over:
        fake.stand(reference, SubscriptionStanding.PAUSED)
    elif step == "go on" and not over:
        fake.stand(reference, SubscriptionStanding.ACTIVE)
    elif step == "strange" and not over:
        fake.stand(reference, SubscriptionStanding.UNKNOWN, "dormant")
    elif step == "end" and not over:
        fake.stand(reference, SubscriptionStanding.CANCELED)
    elif step == "hear all":
        await scene.hear()
    elif step == "hear some":
        some = [body for body in fake.events if chance.random() < 0.5]
        if some:
            await scene.hear(*some)
    elif step == "sweep":
        await scene.bench.sweep_subscriptions()


@quick
@given(st.lists(st.sampled_from(BY_THE_HUB), max_size=12))
def test_what_the_hub_renews_is_charged_once_for_each_invoice(story: list[str]) -> None:
    """However cards, answers and people behave: what was charged at the provider is what the books have, nothing is paid
    twice, and no credit is above what was paid."""
    asyncio.run(_renewed(story))


async def _renewed(story: list[str]) -> None:
    scene = await Scene().prepare()
    await scene.new_plan("bureau", "180.00")
    one = await scene.by_hub()
    for step in story:
        await _with_hub(scene, one, step)
        await _sound(scene, one)
    scene.plain._declines.clear()
    scene.plain._errors.clear()
    for _ in range(4):
        scene.bench.clock.advance(DAY)
        await _jobs(scene)
    await _sound(scene, one)
    received = sum(intent.received.amount for intent in scene.plain.intents.values())
    payments = await scene.bench.payments()
    assert PaymentState.UNKNOWN not in {payment.state for payment in payments}
    assert sum(payment.captured.amount for payment in payments) == received
    paid = [invoice.total.amount for invoice in await scene.invoices(one) if invoice.state is InvoiceState.PAID]
    assert sum(paid) == received


async def _with_hub(scene: Scene, one: Subscription, step: str) -> None:
    bench = scene.bench
    change: ChangeSubscription = bench.change_subscription
    deeds: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
        "dearer": lambda: change(bench.caller, ChangeAsked("bureau"), subscription_id=one.id),
        "cheaper": lambda: change(bench.caller, ChangeAsked("studio"), subscription_id=one.id),
        "more": lambda: change(bench.caller, ChangeAsked(quantity=2), subscription_id=one.id),
        "end later": lambda: bench.cancel_subscription(bench.caller, subscription_id=one.id, at_period_end=True),
        "keep": lambda: bench.resume_subscription(bench.caller, subscription_id=one.id),
    }
    if step == "declined":
        scene.plain.refuse_method(scene.token())
    elif step == "accepted":
        scene.plain._declines.clear()
    elif step == "silent":
        scene.plain.fail_next(RetryLater("No answer", may_have_happened=True), after_work=True)
    elif step == "away":
        scene.plain.fail_next(RetryLater("Away"))
    elif step in ("days", "month"):
        for _ in range(1 if step == "days" else 8):
            bench.clock.advance(4 * DAY)
            await _jobs(scene)
    else:
        try:
            await deeds[step]()
        except (Refusal, Held, RetryLater):
            return


async def _jobs(scene: Scene) -> None:
    """As the scheduler would, an hour later; what a provider that was away has put off comes again."""
    for _ in range(2):
        scene.bench.clock.advance(timedelta(hours=2))
        for job in (scene.bench.unknown_payments, scene.bench.renewals):
            try:
                await job()
            except ExceptionGroup:
                continue


async def _sound(scene: Scene, one: Subscription) -> None:
    now = await scene.now(one)
    assert now.credit >= 0
    assert now.worth >= 0
    invoices = await scene.invoices(one)
    periods = [invoice.source for invoice in invoices]
    assert len(periods) == len(set(periods))
    payments = await scene.bench.payments()
    for invoice in invoices:
        mine = [payment for payment in payments if payment.invoice_id == invoice.id]
        assert sum(payment.captured.amount for payment in mine) <= invoice.total.amount
