"""Subscriptions that the provider renews: the hub mirrors them, and asks the provider for every change."""

from datetime import timedelta
from typing import Any

import attrs
import pytest

from application.billing.subscriptions.at_provider import OtherAccount
from application.billing.subscriptions.plans import PriceAsked
from application.billing.subscriptions.preview import ChangeAsked
from application.ports.payments import ProviderRefused, RetryLater
from application.ports.recurring import SubscriptionStanding
from domain.billing.conflicts import ConflictKind
from domain.billing.invoices import Invoice, InvoiceState
from domain.billing.subscriptions import RenewedBy, SubscriptionState
from domain.connections.abilities import Ability, By, NotOffered, Support
from domain.money import Money
from domain.refusals import Conflict, Invalid, NotFound, Refusal
from tests.unit.application.billing.subscriptions.scene import DAY, Scene


async def test_nothing_begins_before_the_client_agrees(scene: Scene) -> None:
    """The host application gets an address to send the client to, and no event yet."""
    asked = await scene.ask("fake")
    assert (asked.state, asked.renewed_by) == (SubscriptionState.INCOMPLETE, RenewedBy.PROVIDER)
    assert asked.url == f"https://pay.fake/{asked.began_reference}"
    assert not asked.gives_access
    assert "subscription.created" not in await scene.bench.told()


async def test_agreeing_makes_it_active_and_its_first_bill_an_invoice_of_ours(scene: Scene) -> None:
    """The bookkeeper finds the same totals here as at the provider, under a number of the organisation's own."""
    one = await scene.by_provider()
    assert one.state is SubscriptionState.ACTIVE
    (invoice,) = await scene.invoices(one)
    assert invoice.state is InvoiceState.PAID
    assert invoice.total == one.total
    assert invoice.source == f"fake:{scene.fake.bills[one.reference or ''][0].reference}"
    (payment,) = await scene.bench.payments()
    assert (payment.invoice_id, payment.subscription_id, payment.captured) == (invoice.id, one.id, one.total)
    told = await scene.bench.told()
    assert told.count("subscription.created") == told.count("invoice.paid") == told.count("payment.received") == 1


async def test_the_same_price_is_made_at_the_provider_once(scene: Scene) -> None:
    """And another price is another plan there, under the same product: old subscribers keep theirs."""
    first = await scene.by_provider()
    await scene.ask("fake")
    assert scene.fake.calls.count("ensure_plan") == 1
    await scene.bench.change_plan(scene.bench.caller, "studio", prices=[PriceAsked("120.00", "USD")])
    dearer = await scene.by_provider()
    assert (await scene.now(first)).price.decimal == "90.00"
    assert dearer.price.decimal == "120.00"
    assert len({plan.product for plan in scene.fake.plans.values()}) == 1


async def test_another_account_gets_plans_of_its_own(scene: Scene) -> None:
    """A live key never meets what was made with a test key."""
    one = await scene.by_provider()
    async with scene.bench.store.of(scene.bench.org) as work:
        live = attrs.evolve(await work.connections.get(scene.at_fake.id), account_reference="live_account")
        await work.connections.save(live)
        await work.commit()
    with pytest.raises(OtherAccount, match="live to its test mode"):
        await scene.bench.cancel_subscription(scene.bench.caller, subscription_id=one.id)
    with pytest.raises(OtherAccount):
        await scene.bench.sync_subscription(scene.bench.org, scene.at_fake.id, one.reference or "")
    assert (await scene.now(one)).state is SubscriptionState.ACTIVE
    await scene.ask("fake")
    assert scene.fake.calls.count("ensure_plan") == 2


async def test_a_renewal_is_one_more_invoice(scene: Scene) -> None:
    """However often its webhooks come."""
    one = await scene.by_provider()
    scene.bench.clock.advance(timedelta(days=31))
    scene.fake.renew(one.reference or "")
    await scene.hear()
    await scene.hear()
    invoices = await scene.invoices(one)
    assert [invoice.state for invoice in invoices] == [InvoiceState.PAID] * 2
    later = await scene.now(one)
    assert later.period_start == one.period_end
    assert (await scene.bench.told()).count("invoice.paid") == 2


async def test_a_declined_renewal_is_past_due_until_it_is_paid(scene: Scene) -> None:
    """The provider tries again by itself; the hub says how it stands."""
    one = await scene.by_provider()
    scene.bench.clock.advance(timedelta(days=31))
    scene.fake.renew(one.reference or "", pays=False)
    await scene.hear()
    assert (await scene.now(one)).state is SubscriptionState.PAST_DUE
    assert (await scene.invoices(one))[-1].state is InvoiceState.OPEN
    assert "subscription.past_due" in await scene.bench.told()
    scene.fake.retry(one.reference or "")
    await scene.hear()
    assert (await scene.now(one)).state is SubscriptionState.ACTIVE
    assert (await scene.invoices(one))[-1].state is InvoiceState.PAID


async def test_a_bill_that_the_provider_tries_again_is_paid_nowhere_else(scene: Scene) -> None:
    """The provider knows nothing of a payment through a link of ours, and would take the money a second time."""
    one = await scene.by_provider()
    scene.bench.clock.advance(timedelta(days=31))
    scene.fake.renew(one.reference or "", pays=False)
    await scene.hear()
    bill = (await scene.invoices(one))[-1]
    with pytest.raises(Conflict, match="Fake charges this bill of a subscription by itself"):
        await scene.bench.link(scene.bench.caller, invoice_id=bill.id, provider="plain")
    with pytest.raises(Conflict, match="by itself"):
        await scene.bench.start(scene.bench.caller, provider="plain", invoice_id=bill.id)


async def _settled_elsewhere(scene: Scene, invoice: Invoice) -> None:
    """Money came for it by another way, such as a page that was open before."""
    async with scene.bench.store.of(scene.bench.org) as work:
        fresh = await work.invoices.get(invoice.id)
        paid, _ = fresh.settle(fresh.total, Money.zero(fresh.currency), scene.bench.clock.now())
        await work.invoices.save(paid)
        await work.commit()


@pytest.mark.parametrize("order", ["subscription first", "payment alone"])
async def test_a_bill_that_was_paid_twice_is_a_conflict(scene: Scene, order: str) -> None:
    """The charge names its invoice and client, and counts for nothing until a person has decided: it is no new revenue."""
    one = await scene.by_provider()
    scene.bench.clock.advance(timedelta(days=31))
    scene.fake.renew(one.reference or "", pays=False)
    await scene.hear()
    bill = (await scene.invoices(one))[-1]
    async with scene.bench.look() as work:
        before = [payment.id for payment in await work.payments.all() if payment.captured]
    await _settled_elsewhere(scene, bill)
    scene.fake.events.clear()
    scene.fake.retry(one.reference or "")
    if order == "payment alone":
        scene.fake.events[:] = [body for body in scene.fake.events if b"bill.paid" in body]
    await scene.hear()
    await scene.hear()
    (second,) = [payment for payment in await scene.bench.payments() if payment.captured and payment.id not in before]
    assert (second.invoice_id, second.client_id) == (bill.id, scene.client_id)
    assert second.conflict_kind is ConflictKind.PAID_TWICE


@pytest.mark.parametrize("how", ["by the hub", "by the provider", "deleted"])
async def test_what_is_unpaid_when_it_has_ended_is_withdrawn(scene: Scene, how: str) -> None:
    """Nobody collects it any more: left open, it would count as money to come for ever."""
    one = await scene.by_provider()
    scene.bench.clock.advance(timedelta(days=31))
    scene.fake.renew(one.reference or "", pays=False)
    await scene.hear()
    assert (await scene.invoices(one))[-1].state is InvoiceState.OPEN
    if how == "by the hub":
        await scene.bench.cancel_subscription(scene.bench.caller, subscription_id=one.id)
        assert (await scene.invoices(one))[-1].state is InvoiceState.VOID, "before any webhook"
    elif how == "by the provider":
        scene.fake.stand(one.reference or "", SubscriptionStanding.CANCELED)
    else:
        scene.fake.stand(one.reference or "", SubscriptionStanding.PAST_DUE)
        scene.fake.forget_subscription(one.reference or "")
    await scene.hear()
    assert [invoice.state for invoice in await scene.invoices(one)] == [InvoiceState.PAID, InvoiceState.VOID]


async def test_a_bill_that_was_paid_before_the_end_is_not_withdrawn(scene: Scene) -> None:
    """Though nobody has heard of the payment yet when the subscription is ended."""
    one = await scene.by_provider()
    scene.bench.clock.advance(timedelta(days=31))
    scene.fake.renew(one.reference or "", pays=False)
    await scene.hear()
    scene.fake.retry(one.reference or "")
    await scene.bench.cancel_subscription(scene.bench.caller, subscription_id=one.id)
    await scene.hear()
    assert [invoice.state for invoice in await scene.invoices(one)] == [InvoiceState.PAID] * 2
    assert {payment.conflict_kind for payment in await scene.bench.payments()} == {None}


async def test_a_status_nobody_has_heard_of_is_unknown(scene: Scene) -> None:
    """And no reason to fail: the webhook is handled, and the next word of the provider's counts."""
    one = await scene.by_provider()
    scene.fake.stand(one.reference or "", SubscriptionStanding.UNKNOWN, "hibernating")
    await scene.hear()
    assert (await scene.now(one)).state is SubscriptionState.UNKNOWN
    scene.fake.stand(one.reference or "", SubscriptionStanding.ACTIVE)
    await scene.hear()
    assert (await scene.now(one)).state is SubscriptionState.ACTIVE


async def test_an_end_for_later_can_be_taken_back(scene: Scene) -> None:
    """As long as it has not come."""
    one = await scene.by_provider()
    bench = scene.bench
    with pytest.raises(Conflict, match="nothing to take back"):
        await bench.resume_subscription(bench.caller, subscription_id=one.id)
    ending = await bench.cancel_subscription(bench.caller, client_id=scene.client_id, at_period_end=True)
    assert ending.cancel_at_period_end
    assert ending.gives_access
    kept = await bench.resume_subscription(bench.caller, subscription_id=one.id)
    assert not kept.cancel_at_period_end
    assert not scene.fake.subscriptions[one.reference or ""].cancel_at_period_end
    ended = await bench.cancel_subscription(bench.caller, subscription_id=one.id, reason="Moved away")
    assert (ended.state, ended.reason, ended.gives_access) == (SubscriptionState.CANCELED, "Moved away", False)
    ways: tuple[dict[str, Any], ...] = ({"subscription_id": one.id}, {"client_id": scene.client_id})
    for which in ways:
        again = await bench.cancel_subscription(bench.caller, **which)
        assert again.ended_at == ended.ended_at
        with pytest.raises(Conflict, match="has ended"):
            await bench.resume_subscription(bench.caller, **which)
        with pytest.raises(Conflict, match="canceled; it cannot be changed"):
            await bench.change_subscription(bench.caller, ChangeAsked(quantity=2), **which)
    with pytest.raises(NotFound):
        await bench.resume_subscription(bench.caller, client_id="client_nobody")


async def test_the_hub_ends_it_where_the_provider_cannot_end_it_later(scene: Scene) -> None:
    """PayPal only ends at once: the hub waits until shortly before the next charge, and the client keeps what was paid."""
    manifest = scene.bench.providers.manifest("fake")
    lacking = {
        **manifest.abilities,
        Ability.CANCEL_AT_PERIOD_END: Support(By.HUB),
        Ability.RESUME: Support(By.HUB),
    }
    scene.bench.providers._manifests["fake"] = attrs.evolve(manifest, abilities=lacking)
    one = await scene.by_provider()
    bench = scene.bench
    await bench.cancel_subscription(bench.caller, subscription_id=one.id, at_period_end=True)
    assert "cancel_subscription" not in scene.fake.calls
    await scene.hear()
    assert (await scene.now(one)).cancel_at_period_end
    await bench.resume_subscription(bench.caller, subscription_id=one.id)
    await bench.cancel_subscription(bench.caller, subscription_id=one.id, at_period_end=True)
    await scene.pass_time(timedelta(days=30))
    assert (await scene.now(one)).state is SubscriptionState.ACTIVE
    await scene.pass_time(timedelta(hours=23))
    ended = await scene.now(one)
    assert ended.state is SubscriptionState.CANCELED
    assert ended.ended_at == one.period_end
    assert scene.fake.calls.count("cancel_subscription") == 1


async def test_a_change_is_previewed_with_the_providers_own_numbers(scene: Scene) -> None:
    """Nobody should see one sum here and another on their statement."""
    await scene.new_plan("bureau", "180.00")
    one = await scene.by_provider()
    bench = scene.bench
    bench.clock.advance((one.period_end - one.period_start) / 2)  # type: ignore[operator]
    seen = await bench.preview(bench.caller, ChangeAsked("bureau"), subscription_id=one.id)
    assert (seen.credit.decimal, seen.charge.decimal, seen.due_now.decimal) == ("-45.00", "90.00", "45.00")
    assert seen.by is By.PROVIDER
    changed = await bench.change_subscription(bench.caller, ChangeAsked("bureau"), subscription_id=one.id)
    assert changed.price.decimal == "180.00"
    await scene.hear()
    assert [invoice.total.decimal for invoice in await scene.invoices(one)] == ["90.00", "45.00"]


async def test_what_the_provider_does_not_set_off_is_refused_with_why(scene: Scene) -> None:
    """PayPal has no proration: a change without it is offered instead."""
    manifest = scene.bench.providers.manifest("fake")
    lacking = {**manifest.abilities, Ability.PRORATION: Support(By.NOBODY, "Fake sets nothing off.")}
    scene.bench.providers._manifests["fake"] = attrs.evolve(manifest, abilities=lacking)
    await scene.new_plan("bureau", "180.00")
    one = await scene.by_provider()
    bench = scene.bench
    with pytest.raises(NotOffered, match="sets nothing off"):
        await bench.change_subscription(bench.caller, ChangeAsked("bureau", prorate=True), subscription_id=one.id)
    seen = await bench.preview(bench.caller, ChangeAsked("bureau"), subscription_id=one.id)
    assert (seen.due_now.amount, seen.next_total.decimal) == (0, "180.00")
    changed = await bench.change_subscription(bench.caller, ChangeAsked("bureau"), subscription_id=one.id)
    assert changed.price.decimal == "180.00"


async def test_the_hub_bills_the_difference_where_the_provider_does_not(scene: Scene) -> None:
    """PayPal asks the client to agree and bills the new price from the next period: the rest of this one is the hub's."""
    manifest = scene.bench.providers.manifest("fake")
    lacking = {**manifest.abilities, Ability.PRORATION: Support(By.HUB)}
    scene.bench.providers._manifests["fake"] = attrs.evolve(manifest, abilities=lacking)
    scene.fake.asks_consent = True
    await scene.new_plan("bureau", "180.00")
    one = await scene.by_provider()
    bench, asked = scene.bench, ChangeAsked("bureau")
    bench.clock.advance((one.period_end - one.period_start) / 2)  # type: ignore[operator]
    seen = await bench.preview(bench.caller, asked, subscription_id=one.id)
    assert (seen.due_now.decimal, seen.next_total.decimal, seen.by) == ("45.00", "180.00", By.HUB)
    waits = await bench.change_subscription(bench.caller, asked, subscription_id=one.id)
    assert (waits.url, waits.plan_id) == (f"https://pay.fake/consent/{one.reference}", one.plan_id)
    assert len(await scene.invoices(one)) == 1
    scene.fake.consent(one.reference or "")
    await scene.hear()
    await scene.hear()
    changed = await scene.now(one)
    assert (changed.price.decimal, changed.planned) == ("180.00", None)
    assert (changed.url or "").startswith("https://hub.example/pay/")
    first, difference = await scene.invoices(one)
    assert (difference.total.decimal, difference.state) == ("45.00", InvoiceState.OPEN)
    cheaper = await bench.preview(bench.caller, ChangeAsked("studio"), subscription_id=one.id)
    assert (cheaper.credit.amount, cheaper.due_now.amount, cheaper.by) == (0, 0, By.PROVIDER)
    assert first.state is InvoiceState.PAID


async def test_pause_and_go_on(scene: Scene) -> None:
    """A paused one gives no access."""
    one = await scene.by_provider()
    bench = scene.bench
    paused = await bench.pause_subscription(bench.caller, subscription_id=one.id)
    assert (paused.state, paused.gives_access) == (SubscriptionState.PAUSED, False)
    going = await bench.pause_subscription.unpause(bench.caller, subscription_id=one.id)
    assert going.state is SubscriptionState.ACTIVE


async def test_lost_webhooks_are_found_by_the_sweep(scene: Scene) -> None:
    """An agreement, and a renewal, of which nothing was heard."""
    asked = await scene.ask("fake")
    scene.fake.agree(asked.began_reference or "")
    await scene.bench.sweep_subscriptions()
    one = await scene.now(asked)
    assert one.state is SubscriptionState.ACTIVE
    scene.bench.clock.advance(timedelta(days=31, hours=2))
    scene.fake.renew(one.reference or "")
    await scene.bench.sweep_subscriptions()
    assert len(await scene.invoices(one)) == 2
    assert (await scene.now(one)).period_start == one.period_end


async def test_what_nobody_agrees_to_expires(scene: Scene) -> None:
    """After a week, quietly: it never began."""
    asked = await scene.ask("fake")
    scene.bench.clock.advance(timedelta(days=6))
    await scene.bench.sweep_subscriptions()
    assert (await scene.now(asked)).state is SubscriptionState.INCOMPLETE
    scene.bench.clock.advance(DAY)
    await scene.bench.sweep_subscriptions()
    assert (await scene.now(asked)).state is SubscriptionState.EXPIRED
    assert "subscription.canceled" not in await scene.bench.told()


async def test_what_is_canceled_before_it_was_agreed_to_cannot_be_agreed_to(scene: Scene) -> None:
    """Its page is closed; where the client was quicker, the caller is told to look again."""
    bench, asked = scene.bench, await scene.ask("fake")
    over = await bench.cancel_subscription(bench.caller, subscription_id=asked.id)
    assert over.state is SubscriptionState.EXPIRED
    with pytest.raises(AssertionError, match="any more"):
        scene.fake.agree(asked.began_reference or "")
    other = await scene.ask("fake")
    scene.fake.agree(other.began_reference or "")
    with pytest.raises(Conflict, match="just agreed"):
        await bench.cancel_subscription(bench.caller, subscription_id=other.id)
    await scene.hear()
    ended = await bench.cancel_subscription(bench.caller, subscription_id=other.id)
    assert ended.state is SubscriptionState.CANCELED


async def test_one_that_was_deleted_there_is_over_here(scene: Scene) -> None:
    """Someone deletes the customer in the provider's dashboard, and its subscriptions are gone with it."""
    one = await scene.by_provider()
    scene.fake.stand(one.reference or "", SubscriptionStanding.ACTIVE)
    scene.fake.forget_subscription(one.reference or "")
    with pytest.raises(Conflict, match="deleted there"):
        await scene.bench.cancel_subscription(scene.bench.caller, subscription_id=one.id)
    await scene.hear()
    gone = await scene.now(one)
    assert (gone.state, gone.reason) == (SubscriptionState.CANCELED, "It was deleted at Fake.")


@pytest.mark.parametrize("error", [ProviderRefused("No such plan"), RetryLater("Away", may_have_happened=True)])
async def test_one_that_could_not_be_begun_is_over(scene: Scene, error: Exception) -> None:
    """The caller is told, and asking again makes another: a page that nobody has the address of cannot be agreed to."""

    async def fails() -> None:
        raise error

    when = scene.bench.between.after if isinstance(error, RetryLater) else scene.bench.between.before
    when["begin_subscription"] = fails
    with pytest.raises(Refusal):
        await scene.ask("fake")
    async with scene.bench.look() as work:
        (one,) = await work.subscriptions.all()
    assert (one.state, one.url) == (SubscriptionState.EXPIRED, None)
    when.clear()
    assert (await scene.ask("fake")).url is not None


async def test_a_subscription_of_someone_elses_is_not_ours(scene: Scene) -> None:
    """The account may be shared with another system: its webhooks are acknowledged and left alone."""
    asked = await scene.ask("fake")
    page = asked.began_reference or ""
    scene.fake._orders["other"] = attrs.evolve(scene.fake._orders[page], metadata={"their": "own"})
    scene.fake.checkouts["other"] = scene.fake.checkouts[page]
    scene.fake.agree("other")
    await scene.hear()
    async with scene.bench.look() as work:
        assert {one.state.value for one in await work.inbox.all()} == {"ignored"}
        assert await work.payments.all() == ()


async def test_quantities_and_currencies_that_cannot_be_are_refused(scene: Scene) -> None:
    """Each with the field that is wrong."""
    for given, field in (
        ({"quantity": 0}, "quantity"),
        ({"currency": "EUR"}, "currency"),
        ({"trial_days": 400}, "trial_days"),
        ({"success_url": "javascript:alert(1)"}, "success_url"),
        ({"client_id": "client_nobody"}, "client_id"),
    ):
        with pytest.raises(Invalid) as refused:
            await scene.ask("fake", **given)
        assert [fault.field for fault in refused.value.faults] == [field]
    async with scene.bench.look() as work:
        assert await work.subscriptions.all() == ()
