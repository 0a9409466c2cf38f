"""The second half of the story: two providers more, a payer who chooses, a subscription that renews, and books that agree."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urljoin

import httpx

from entrypoints.demo.player import Chapter, Story, check, form_of

_HASH = "the-secret-hash-of-the-demo"
_KEY = "FLWSECK_TEST-demo-X"


async def two_more(story: Story) -> list[str]:
    connect = "/api/integrations/{}/connect"
    keys = {"client_id": "client-id-of-the-demo", "client_secret": "client-secret-of-the-demo"}
    paypal = await story.call("POST", connect.format("paypal"), keys, expect=201)
    check("webhook_secret" in paypal["secrets"], "connecting registers the webhook with PayPal")
    key = {"secret_key": _KEY, "webhook_secret": _HASH}
    flutterwave = await story.call("POST", connect.format("flutterwave"), key, expect=201)
    check(not flutterwave["live"], "a test key makes a test connection")
    # Flutterwave's API cannot register a webhook: people do that in its dashboard.
    door = {"key": _KEY, "url": f"{story.hub}/api/billing/webhooks/flutterwave", "secret_hash": _HASH}
    await story.box("POST", "/flutterwave/_sandbox/webhook", door)
    catalogue = await story.call("GET", "/api/integrations/catalog")
    lacking = {
        one["name"]: [name for name, support in one["abilities"].items() if support["by"] == "hub"]
        for one in catalogue
        if one["abilities"]
    }
    notes = [
        f"{name}: the hub does {', '.join(does).replace('_', ' ')} in its stead"
        for name, does in lacking.items()
        if does
    ]
    return [f"PayPal account “{paypal['account']}”, Flutterwave account “{flutterwave['account']}”", *notes]


async def at_paypal(story: Story) -> list[str]:
    invoice = await _invoice(story, "paypal", "USD", "480.00")
    link = await story.call("POST", f"/api/invoices/{invoice['id']}/payment-link", {}, expect=201)
    page = await story.client.get(link["url"])
    offered = [name for name in ("stripe", "paypal", "flutterwave") if f"?with={name}" in page.text]
    check(len(offered) == 3, f"the payer can choose between {offered}")
    location = await _chosen(story, link, "paypal")
    agreed = await story.client.post(location, data={"answer": "good"})
    check(agreed.status_code == 303, f"agreeing at PayPal answered {agreed.status_code}")
    for _ in range(2):  # a reload must not take the money again
        await story.client.get(agreed.headers["location"])
    detail = await _paid(story, "paypal")
    check(len(detail["payments"]) == 1, f"one payment was expected: {detail['payments']}")
    return [
        "one link, and a page that offers Stripe, PayPal and Flutterwave",
        "PayPal had the payer's agreement, the hub took the money once, although the page was loaded twice",
    ]


async def by_mobile_money(story: Story) -> list[str]:
    invoice = await _invoice(story, "ghs", "GHS", "350.00")
    link = await story.call(
        "POST", "/api/integrations/flutterwave/payment-link", {"invoice_id": invoice["id"]}, expect=201
    )
    location = (await story.client.get(link["url"])).headers["location"]
    asked = await story.client.post(location, data={"method": "mobile_money", "phone": "233547000011"})
    check(asked.status_code == 200, f"the page answered {asked.status_code}: nobody is sent back")
    waiting = await story.client.get(f"{link['url']}?returned=1&status=successful")
    check("waiting" in waiting.text.lower(), "an address that says “successful” must not be believed")
    await _paid(story, "ghs")
    return ["confirmed on the telephone seconds later; what the address of the browser claimed was not believed"]


async def in_two_parts(story: Story) -> list[str]:
    invoice = await _invoice(story, "ngn", "NGN", "100000.00")
    link = await story.call("POST", f"/api/invoices/{invoice['id']}/payment-link", {}, expect=201)
    location = await _chosen(story, link, "flutterwave")
    sent = await story.client.post(location, data={"method": "bank_transfer", "amount": "60000.00"})
    check(sent.status_code in (200, 303), f"the transfer answered {sent.status_code}")

    async def partly() -> Any:
        detail = await story.invoice("ngn")
        return detail if detail["invoice"]["status"] == "partly_paid" else None

    detail = await story.until("the part payment", partly)
    first = detail["payments"][0]
    check(first["conflict_kind"] == "underpaid", f"the payment is {first['conflict_kind']}: {first['conflict']}")
    resolve = f"/api/payments/{first['id']}/resolve"
    await story.call("POST", resolve, {"resolution": "accept"}, key="demo-accept")
    location = await _chosen(story, link, "stripe")
    await _pay_by_card(story, location)
    detail = await _paid(story, "ngn")
    through = sorted(payment["provider"] for payment in detail["payments"])
    check(through == ["flutterwave", "stripe"], f"the parts came through {through}")
    refund = await story.call("POST", f"/api/payments/{first['id']}/refunds", {"amount": "10000.00"}, expect=201)

    async def back() -> Any:
        payment = await story.call("GET", f"/api/payments/{first['id']}")
        return payment["refunded"]["decimal"] == "10000.00"

    await story.until("the refund", back)
    return [
        f"60,000 of 100,000 NGN came by bank transfer: {first['conflict']} A person accepted it",
        f"the rest came through Stripe; 10,000 NGN of the first part went back ({refund['id']})",
    ]


async def subscribing(story: Story) -> list[str]:
    plan = {
        "code": "care-monthly",
        "name": "Website care",
        "interval": "month",
        "prices": [{"amount": "25000.00", "currency": "NGN"}],
    }
    await story.call("POST", "/api/billing/plans", plan, expect=201, key="demo-plan")
    asked = {"client_id": story.held["client"]["id"], "plan": "care-monthly", "provider": "flutterwave"}
    made = await story.call("POST", "/api/billing/subscription", asked, expect=201, key="demo-subscription")
    check(made["renewed_by"] == "hub", f"it is renewed by {made['renewed_by']}")
    location = made["url"]
    if location.startswith(story.hub):
        location = (await story.client.get(location)).headers["location"]
    paid = await story.client.post(location, data={"method": "card", "card": "5531 8866 5214 2950"})
    check(paid.status_code == 303, f"paying answered {paid.status_code}")
    await story.client.get(paid.headers["location"])
    active = await _subscription(story, made["id"], lambda one: one["status"] == "active")
    story.held["subscription"] = active
    return [f"25,000 NGN a month, active until {active['current_period_end'][:10]}; the card's token is kept, sealed"]


async def a_month_later(story: Story) -> list[str]:
    before = story.held["subscription"]
    await story.later(timedelta(days=31, hours=1))
    renewed = await _subscription(
        story, before["id"], lambda one: one["current_period_end"] > before["current_period_end"]
    )
    payments = (await story.call("GET", "/api/billing/payments?provider=flutterwave"))["items"]
    mine = [one for one in payments if one["subscription_id"] == before["id"]]
    check(len(mine) == 2, f"two charges were expected, there are {len(mine)}")
    check(all(one["status"] == "succeeded" for one in mine), f"the charges are {mine}")
    return [
        f"Flutterwave renews nothing, so the hub charged the card again: now until {renewed['current_period_end'][:10]}"
    ]


async def reconciling(story: Story) -> list[str]:
    begun = datetime.fromisoformat(story.held["client"]["created_at"])
    window = {"since": (begun - timedelta(hours=1)).isoformat(), "until": (begun + timedelta(hours=20)).isoformat()}
    asked = [
        await story.call("POST", "/api/billing/reconciliations", {"connection": name, **window}, expect=201)
        for name in ("stripe", "paypal", "flutterwave")
    ]
    await story.later(timedelta(minutes=5))
    notes = []
    for one in asked:
        path = f"/api/billing/reconciliations/{one['id']}"

        async def over(path: str = path) -> Any:
            run = await story.call("GET", path)
            return run if run["status"] != "running" else None

        run = await story.until(f"the reconciliation with {one['provider']}", over)
        differences = (await story.call("GET", f"{path}/differences"))["items"]
        check(run["status"] == "done", f"{run['provider']}: {run['status']}, {run['error']}")
        check(not differences, f"{run['provider']} does not agree: {differences}")
        check(run["compared"], f"nothing was compared with {run['provider']}")
        notes.append(f"{run['provider']}: {run['compared']} movements, no difference")
    return notes


async def _invoice(story: Story, name: str, currency: str, price: str) -> Any:
    line = {"description": "Website care", "unit_price": price}
    body = {"client_id": story.held["client"]["id"], "currency": currency, "lines": [line]}
    story.held[name] = await story.call("POST", "/api/invoices", body, expect=201, key=f"demo-{name}")
    return story.held[name]


async def _chosen(story: Story, link: Any, provider: str) -> str:
    """The hosted page of the provider that the payer chooses."""
    answer = await story.client.get(link["url"], params={"with": provider})
    check(answer.status_code == 303, f"choosing {provider} answered {answer.status_code}: {answer.text[:200]}")
    return str(answer.headers["location"])


async def _pay_by_card(story: Story, location: str) -> httpx.Response:
    page = await story.client.get(location)
    action, fields = form_of(page.text)
    card = {"email": "ada@northwind.example", "name": "Ada Northwind", "cvc": "123"}
    filled = {**fields, **{k: v for k, v in card.items() if k in fields}}
    paid = await story.client.post(urljoin(location, action), data=filled)
    check(paid.status_code == 303, f"paying answered {paid.status_code}: {paid.text[:200]}")
    return await story.client.get(paid.headers["location"])


async def _paid(story: Story, name: str) -> Any:
    async def look() -> Any:
        detail = await story.invoice(name)
        return detail if detail["invoice"]["status"] == "paid" else None

    return await story.until("the invoice's payment", look)


async def _subscription(story: Story, id_: str, wanted: Any) -> Any:
    async def look() -> Any:
        one = (await story.call("GET", f"/api/billing/subscriptions/{id_}"))["subscription"]
        return one if wanted(one) else None

    return await story.until("the subscription", look)


SEVERAL = (
    Chapter("PayPal and Flutterwave are connected too", two_more),
    Chapter("A client chooses PayPal on the pay page", at_paypal),
    Chapter("A client pays by mobile money, which is confirmed late", by_mobile_money),
    Chapter("An invoice is paid in two parts through two providers, and a part goes back", in_two_parts),
    Chapter("A client subscribes at Flutterwave, which has no subscriptions of this kind", subscribing),
    Chapter("A month later the hub renews it", a_month_later),
    Chapter("The hub's books agree with all three providers", reconciling),
)
