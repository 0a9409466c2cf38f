"""Every call of the Stripe adapter that is about payers, plans, subscriptions, bills, payouts and books; and every route
and event of the sandbox for them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.providers.stripe import sandbox_subscriptions
from adapters.providers.stripe.payments import StripePayments
from application.ports.payouts import PayoutOrder
from application.ports.provider_invoices import ProviderInvoiceOrder
from application.ports.recurring import PlanTerms, ProviderSubscription, SubscriptionOrder
from domain.billing.lines import Line, Tax
from domain.billing.plans import Interval
from domain.money import Currency, Money
from tests.contract.stripe_sandbox import KEY, Stage

PAGES = {"success_url": "https://shop.example/yes", "cancel_url": "https://shop.example/no"}


def terms(price: str = "125.00", **more: Any) -> PlanTerms:
    """A plan of a month."""
    given = {"interval": Interval.MONTH, "count": 1, "trial_days": 0, "our_reference": "plan_1", **more}
    return PlanTerms("Care", "Care of one site", Money.of(price, "USD"), **given)


async def subscribed(
    stage: Stage, payments: StripePayments, access: Mapping[str, str], plan: str, key: str = "sub", trial_days: int = 0
) -> ProviderSubscription:
    """A subscription that its payer agreed to on the page."""
    order = SubscriptionOrder(
        plan_reference=plan,
        quantity=2,
        trial_days=trial_days,
        customer_reference=None,
        customer_email="pat@example.com",
        customer_name="Pat",
        description="Care, monthly",
        metadata={"patchbay_subscription": key},
        **PAGES,
    )
    begun = await payments.begin_subscription(access, order, key=key)
    assert await payments.find_subscription(access, begun) is None
    await stage.control(f"sessions/{begun.checkout_reference}/pay")
    found = await payments.find_subscription(access, begun)
    assert found is not None
    return found


async def our_billing_calls(stage: Stage, payments: StripePayments, access: Mapping[str, str]) -> None:
    """As the hub makes them."""
    await stage.control("top_up", key=KEY, amount=1_000_000, currency="usd")
    await _payers(stage, payments, access)
    await _recurring(stage, payments, access)
    order = PayoutOrder(Money.of("10.00", "USD"), {}, "Week 12", "payout_1")
    sent = await payments.create_payout(access, order, key="po")
    await payments.fetch_payout(access, sent.reference)
    await payments.find_payout(access, "po")
    invoice = ProviderInvoiceOrder(
        currency=Currency("USD"),
        lines=(
            Line("Care", 2, Money.of("10.00", "USD"), tax=Tax("VAT", 2000)),
            Line("Setup", 1, Money.of("5.00", "USD")),
        ),
        customer_reference=None,
        customer_email="in@example.com",
        customer_name="Ina",
        due_on=None,
        memo="Thank you",
        our_reference="invoice_1",
        number="INV-1",
        metadata={"patchbay_invoice": "invoice_1"},
    )
    made = await payments.create_invoice(access, invoice, key="in")
    await payments.send_invoice(access, made.reference, key="in-send")
    await payments.fetch_invoice(access, made.reference)
    now = datetime.now(UTC)
    assert [one async for one in payments.settled_between(access, now - timedelta(days=1), now + timedelta(days=1))]


async def _payers(stage: Stage, payments: StripePayments, access: Mapping[str, str]) -> None:
    await payments.find_customer(access, our_reference="cl_9", email=None)
    await payments.find_customer(access, our_reference="cl_9", email="nine@example.com")
    payer = await payments.ensure_customer(
        access, our_reference="cl_9", email="nine@example.com", name="Nina", key="c9"
    )
    await payments.fetch_customer(access, payer.reference)
    kept = [(await stage.control(f"customers/{payer.reference}/methods"))["id"] for _ in range(2)]
    await payments.methods_of(access, payer.reference)
    await payments.set_default_method(access, payer.reference, kept[0])
    await payments.charge(
        access,
        Money.of("30.00", "USD"),
        method=kept[0],
        customer_reference=payer.reference,
        customer_email=None,
        key="charge",
        description="Care, March",
        metadata={"a": "b"},
    )
    paid = await payments.find_payment(access, "charge")
    assert paid is not None
    await payments.find_payment(access, "none such")
    await payments.find_refund(access, paid.reference, "none such")
    await stage.control(f"intents/{paid.reference}/dispute")
    await payments.fetch_intent(access, paid.reference)
    await payments.detach_method(access, payer.reference, kept[1])


async def _recurring(stage: Stage, payments: StripePayments, access: Mapping[str, str]) -> None:
    plan = await payments.ensure_plan(access, terms(), product=None, key="p1")
    other = await payments.ensure_plan(access, terms("250.00"), product=plan.product, key="p2")
    found = await subscribed(stage, payments, access, plan.reference)
    await subscribed(stage, payments, access, plan.reference, "trial", trial_days=14)
    assert found.customer_reference is not None
    kept = (await stage.control(f"customers/{found.customer_reference}/methods"))["id"]
    await payments.set_default_method(access, found.customer_reference, kept)
    at, of = stage.clock.now(), found.reference
    await payments.preview_change(access, of, plan_reference=other.reference, quantity=1, at=at)
    await payments.change_subscription(
        access, of, plan_reference=other.reference, quantity=1, prorate=True, at=at, key="change"
    )
    await payments.change_subscription(
        access, of, plan_reference=plan.reference, quantity=3, prorate=False, at=at, key="change2"
    )
    await payments.cancel_subscription(access, of, at_period_end=True, reason="Too dear", key="later")
    await payments.keep_subscription(access, of, key="keep")
    await payments.pause_subscription(access, of, reason="Holidays", key="pause")
    await payments.unpause_subscription(access, of, reason="Back", key="unpause")
    await payments.renewals_of(access, of, stage.clock.now() - timedelta(days=1))
    sandbox_subscriptions.pause(*stage.sandbox.holder("subscriptions", of))
    await payments.unpause_subscription(access, of, reason="Back", key="resume")
    await payments.cancel_subscription(access, of, at_period_end=False, reason="Too dear", key="now")
    await payments.retire_plan(access, other.reference)


async def all_of_billing(stage: Stage) -> None:
    """What the hub itself does not ask for, or not in this way."""
    await stage.control("top_up", key=KEY, amount=1_000_000, currency="usd")
    payments, access = StripePayments(stage.base), {"secret_key": KEY}
    try:
        plan = await payments.ensure_plan(access, terms(), product=None, key="b1")
        first = await subscribed(stage, payments, access, plan.reference, "b-sub")
        trial = await subscribed(stage, payments, access, plan.reference, "b-trial", trial_days=14)
    finally:
        await payments.aclose()
    for of, path, body in (
        (first, "renew", {}),
        (first, "renew", {"declined": True}),
        (first, "retry", {"declined": True}),
        (first, "retry", {}),
        (trial, "trial_will_end", {}),
        (trial, "renew", {}),
    ):
        await stage.control(f"subscriptions/{of.reference}/{path}", **body)
    customer = str(first.customer_reference)
    visa = await stage.api("POST", "/v1/payment_methods/pm_card_visa/attach", customer=customer)
    await stage.api("POST", "/v1/payment_methods/pm_card_chargeDeclined/attach", customer=customer)
    method = visa.json()["id"]
    await stage.api("POST", f"/v1/subscriptions/{first.reference}/pause")
    item = {"customer": customer, "items[0][price]": plan.reference, "default_payment_method": method}
    await stage.api("POST", "/v1/subscriptions", **item)
    await stage.api("POST", "/v1/subscriptions", **item | {"payment_behavior": "default_incomplete"})
    await stage.api("POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=customer)
    bill = {"customer": customer, "currency": "usd", "collection_method": "send_invoice", "days_until_due": "7"}
    paid, void = [(await stage.api("POST", "/v1/invoices", **bill)).json()["id"] for _ in range(2)]
    added = ""
    for made in (paid, void):
        line = {"customer": customer, "invoice": made, "amount": "2500", "currency": "usd", "description": "Tea"}
        added = (await stage.api("POST", "/v1/invoiceitems", **line)).json()["id"]
        await stage.api("POST", f"/v1/invoices/{made}/finalize", **{"expand[]": "payments"})
    await stage.api("POST", f"/v1/invoices/{paid}/pay", payment_method=method)
    await stage.api("POST", f"/v1/invoices/{void}/void")
    await _money(stage)
    shelves = ("payment_methods", "products", "prices", "subscriptions", "invoices", "invoiceitems", "payouts")
    for shelf in (*shelves, "invoice_payments", "balance_transactions", "disputes"):
        more = {"customer": customer} if shelf == "payment_methods" else {}
        rows = (await stage.api("GET", f"/v1/{shelf}", limit="100", **more)).json()["data"]
        if shelf != "invoice_payments":
            await stage.api("GET", f"/v1/{shelf}/{rows[0]['id']}")
            await stage.api("GET", f"/v1/{shelf}/no_such")
    await stage.api("GET", f"/v1/invoiceitems/{added}")
    await stage.api("GET", f"/v1/invoices/{paid}/lines")
    expand = {"expand[0]": "customer", "expand[1]": "latest_invoice.payments", "expand[2]": "default_payment_method"}
    await stage.api("GET", f"/v1/subscriptions/{first.reference}", **expand)
    await stage.api("POST", f"/v1/products/{plan.product}", description="New")


async def _money(stage: Stage) -> None:
    confirmed = {"amount": "9000", "currency": "usd", "confirm": "true", "return_url": "https://a.example"}
    await stage.control("fees", key=KEY, late=True)
    await stage.api("POST", "/v1/payment_intents", payment_method="pm_card_visa", **confirmed)
    await stage.control("fees", key=KEY, late=False)
    for won in (True, False):
        made = (await stage.api("POST", "/v1/payment_intents", payment_method="pm_card_visa", **confirmed)).json()["id"]
        dispute = (await stage.control(f"intents/{made}/dispute"))["id"]
        await stage.api("POST", "/v1/refunds", payment_intent=made)
        await stage.control(f"disputes/{dispute}/close", won=won)
    for status in ("paid", "failed"):
        sent = (await stage.api("POST", "/v1/payouts", amount="1000", currency="usd")).json()["id"]
        await stage.control(f"payouts/{sent}/settle", status=status)
    sent = (await stage.api("POST", "/v1/payouts", amount="1000", currency="usd")).json()["id"]
    await stage.api("POST", f"/v1/payouts/{sent}/cancel")
    await stage.api("POST", "/v1/payouts", amount="99999999", currency="usd")
