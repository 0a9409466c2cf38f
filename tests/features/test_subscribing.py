"""Subscriptions as Grace, who keeps the studio's books, and Ada, its client, see them."""

from datetime import timedelta
from typing import Any

import attrs
import pytest
from pytest_bdd import given, parsers, scenarios, then, when

from application.billing.subscriptions.preview import ChangeAsked, Foreseen
from application.ports.payments import RetryLater
from domain.billing.invoices import Invoice, InvoiceState
from domain.billing.plans import Plan
from domain.billing.subscriptions import RenewedBy, Subscription, SubscriptionState
from domain.refusals import Refusal
from tests.features.conftest import Run
from tests.unit.application.billing.subscriptions.scene import DAY, Scene

scenarios("subscribing.feature", "changing_plan.feature", "renewing.feature")

OWED = (InvoiceState.DRAFT, InvoiceState.OPEN, InvoiceState.PARTLY_PAID, InvoiceState.OVERDUE)
AT = {"the provider": "fake", "the hub": "plain"}


@attrs.define
class Story:
    """What happened so far in a scenario."""

    scene: Scene
    run: Run
    plans: dict[str, Plan] = attrs.field(factory=dict)
    one: Subscription | None = None
    seen: Foreseen | None = None
    refused: Refusal | None = None

    @property
    def subscription(self) -> Subscription:
        """As it is now."""
        assert self.one is not None
        found: Subscription = self.run(self.scene.now(self.one))
        return found

    @property
    def invoices(self) -> list[Invoice]:
        """Of the subscription, oldest first."""
        return list(self.run(self.scene.invoices(self.subscription)))

    @property
    def code(self) -> str:
        """Of the first plan."""
        return next(iter(self.plans.values())).code

    def pass_time(self, by: timedelta) -> None:
        """The jobs run as they would, and at the provider periods end of themselves."""
        self.run(self.scene.pass_time(by))
        self.run(self.scene.bench.sweep_subscriptions())


@pytest.fixture
def story(run: Run) -> Story:
    """The studio, connected to a provider of each kind."""
    return Story(run(Scene().prepare()), run)


# What there is.


@given(parsers.re(r'a plan "(?P<name>\w+)" at (?P<price>[\d.]+) USD a month, with the features (?P<features>.+)'))
def a_plan(story: Story, name: str, price: str, features: str) -> None:
    named = [feature.strip('"') for feature in features.split(" and ")]
    made = story.scene.new_plan(f"{name.lower()}-plan", price, name=name, features=named)
    story.plans[name] = story.run(made)


@given("Ada is a client")
def ada(story: Story) -> None:
    assert story.scene.client_id


# Subscribing.


@when(parsers.re("Ada is asked to subscribe through a provider where (?P<who>the provider|the hub) renews"))
def is_asked(story: Story, who: str) -> None:
    story.one = story.run(story.scene.ask(AT[who], plan=story.code))


@when("she agrees to it and pays")
def agrees(story: Story) -> None:
    one = story.subscription
    if one.renewed_by is RenewedBy.PROVIDER:
        story.scene.fake.agree(one.began_reference or "")
        story.run(story.scene.hear())
    else:
        story.run(story.scene.pay(one.invoice_id or ""))


@given(parsers.re("Ada has subscribed where (?P<who>the provider|the hub) renews"))
def has_subscribed(story: Story, who: str) -> None:
    is_asked(story, who)
    agrees(story)


@given(parsers.parse('Ada has subscribed to "{name}" where the hub renews'))
def has_subscribed_to(story: Story, name: str) -> None:
    story.one = story.run(story.scene.by_hub(plan=story.plans[name].code))


@when(parsers.re(r"Ada subscribes with a trial of (?P<days>\d+) days where (?P<who>the provider|the hub) renews"))
def on_trial(story: Story, days: str, who: str) -> None:
    begin: Any = story.scene.by_provider if AT[who] == "fake" else story.scene.by_hub
    story.one = story.run(begin(plan=story.code, trial_days=int(days)))


# Time and trouble.


@when(parsers.re(r"(?P<days>\d+) days? pass(es)?"))
def days_pass(story: Story, days: str) -> None:
    story.pass_time(int(days) * DAY)


@given("half of the period has passed")
def half_has_passed(story: Story) -> None:
    one = story.subscription
    assert one.period_start is not None
    assert one.period_end is not None
    story.scene.bench.clock.advance((one.period_end - one.period_start) / 2)


@when("the period ends")
def period_ends(story: Story) -> None:
    one, clock = story.subscription, story.scene.bench.clock
    assert one.period_end is not None
    clock.advance(max(one.period_end - clock.now(), timedelta()))
    if one.renewed_by is RenewedBy.PROVIDER:
        story.scene.fake.renew(one.reference or "")
        story.run(story.scene.hear())
    story.run(story.scene.bench.renewals())


@given("her card is declined from now on")
def is_declined(story: Story) -> None:
    story.scene.plain.refuse_method(story.scene.token())


@given("her card is reported stolen")
def is_stolen(story: Story) -> None:
    story.scene.plain.refuse_method(story.scene.token(), "stolen_card: The card was reported stolen.")


@given("the provider will charge her card without saying so")
def charges_silently(story: Story) -> None:
    story.scene.plain.fail_next(RetryLater("No answer", may_have_happened=True), after_work=True)


@when("the hub looks again and again")
def looks_again(story: Story) -> None:
    for _ in range(5):
        story.run(story.scene.bench.renewals())


@when("the hub asks the provider what came of it")
def asks(story: Story) -> None:
    story.scene.bench.clock.advance(timedelta(minutes=6))
    story.run(story.scene.bench.unknown_payments())


@when("she follows the link of what is due and pays with another card")
def pays_by_hand(story: Story) -> None:
    one = story.subscription
    assert one.url is not None
    story.run(story.scene.pay(one.invoice_id or ""))


# What Grace does.


@when("Grace cancels it for the end of the period")
def cancels(story: Story) -> None:
    bench = story.scene.bench
    story.run(bench.cancel_subscription(bench.caller, subscription_id=story.subscription.id, at_period_end=True))


@when("Grace takes that back")
def takes_back(story: Story) -> None:
    bench = story.scene.bench
    story.run(bench.resume_subscription(bench.caller, subscription_id=story.subscription.id))


@when(parsers.parse('Grace looks what "{name}" would cost'))
def looks(story: Story, name: str) -> None:
    bench = story.scene.bench
    asked = ChangeAsked(story.plans[name].code)
    story.seen = story.run(bench.preview(bench.caller, asked, subscription_id=story.subscription.id))


@when(parsers.re(r'Grace changes it to "(?P<name>\w+)"(?P<later> from the next period)?'))
def changes(story: Story, name: str, later: str | None) -> None:
    bench = story.scene.bench
    asked = ChangeAsked(story.plans[name].code, at_period_end=bool(later))
    try:
        story.run(bench.change_subscription(bench.caller, asked, subscription_id=story.subscription.id))
    except Refusal as refused:
        story.refused = refused
    story.run(story.scene.hear())


# What is seen.


@then(parsers.parse("the subscription is {state}"))
def is_in_state(story: Story, state: str) -> None:
    assert story.subscription.state is SubscriptionState(state.replace(" ", "_"))


@then("she has none of the plan's features")
def has_none(story: Story) -> None:
    assert not story.subscription.gives_access


@then(parsers.re(r"she has the features (?P<features>.+)"))
def has_features(story: Story, features: str) -> None:
    assert story.subscription.gives_access
    (plan,) = [plan for plan in story.plans.values() if plan.id == story.subscription.plan_id]
    assert list(plan.features) == [feature.strip('"') for feature in features.split(" and ")]


@then(parsers.parse('Ada has the plan "{name}"'))
def has_plan(story: Story, name: str) -> None:
    assert story.subscription.plan_id == story.plans[name].id


@then(parsers.re(r"there (is|are) (?P<count>one|\d+) paid invoices? over (?P<price>[\d.]+) USD"))
def paid_invoices(story: Story, count: str, price: str) -> None:
    paid = [invoice for invoice in story.invoices if invoice.state is InvoiceState.PAID]
    assert [invoice.total.decimal for invoice in paid] == [price] * (1 if count == "one" else int(count))


@then(parsers.re(r"there are paid invoices over (?P<one>[\d.]+) USD and (?P<other>[\d.]+) USD"))
def two_paid_invoices(story: Story, one: str, other: str) -> None:
    assert [invoice.total.decimal for invoice in story.invoices] == [one, other]
    assert {invoice.state for invoice in story.invoices} == {InvoiceState.PAID}


@then("there is no invoice")
def no_invoice(story: Story) -> None:
    assert story.invoices == []


@then("nothing is owed")
def nothing_owed(story: Story) -> None:
    assert [invoice for invoice in story.invoices if invoice.state in OWED] == []


@then(parsers.parse("{amount} USD are to come off her next bill"))
def credit_waits(story: Story, amount: str) -> None:
    one = story.subscription
    assert attrs.evolve(one.price, amount=one.credit).decimal == amount


@then(parsers.re(r"she reads (?P<credit>\S+) USD .+, (?P<charge>\S+) USD .+, and (?P<due>\S+) USD due now"))
def reads(story: Story, credit: str, charge: str, due: str) -> None:
    assert story.seen is not None
    seen = story.seen
    assert (seen.credit.decimal, seen.charge.decimal, seen.due_now.decimal) == (credit, charge, due)


@then(parsers.re(r"her card was tried (?P<times>once|\d+ times)"))
def was_tried(story: Story, times: str) -> None:
    expected = 1 if times == "once" else int(times.partition(" ")[0])
    assert story.scene.plain.calls.count("charge") == expected


@then(parsers.parse("the books say that {amount} USD came in"))
def came_in(story: Story, amount: str) -> None:
    payments = story.run(story.scene.bench.payments())
    total = sum(payment.captured.amount for payment in payments)
    assert attrs.evolve(story.subscription.price, amount=total).decimal == amount


@then(parsers.parse('it is refused: "{why}"'))
def is_refused(story: Story, why: str) -> None:
    assert story.refused is not None
    assert why in story.refused.reason


@then(parsers.re(r'"(?P<type_>[a-z_.]+)" is (?P<how>told once|not told)'))
def is_told(story: Story, type_: str, how: str) -> None:
    told = story.run(story.scene.bench.told())
    assert told.count(type_) == (1 if how == "told once" else 0)
