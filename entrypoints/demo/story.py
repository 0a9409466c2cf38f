"""The story, step by step, over HTTP with an API key. Each step checks its own outcome and says what it saw."""

from typing import Any
from urllib.parse import urljoin

from entrypoints.demo.player import Chapter, Story, check, form_of, header
from entrypoints.demo.several import SEVERAL


async def a_client(story: Story) -> list[str]:
    client = {"name": "Northwind Coffee", "email": "ada@northwind.example", "currency": "USD"}
    story.held["client"] = await story.call("POST", "/api/clients", client, expect=201, key="demo-client")
    return [f"{story.held['client']['name']} is {story.held['client']['id']}"]


async def two_invoices(story: Story) -> list[str]:
    wrong = {
        "client_id": story.held["client"]["id"],
        "currency": "JPY",
        "lines": [{"description": "Signage", "unit_price": "1200.50"}],
    }
    refused = await story.call("POST", "/api/invoices", wrong, expect=422)
    check(refused["errors"][0]["field"] == "lines.0.unit_price", f"the refusal names the wrong field: {refused}")
    dollars = {
        "client_id": story.held["client"]["id"],
        "currency": "USD",
        "due_on": "2030-01-31",
        "lines": [
            {"description": "Brand workshop", "quantity": 2, "unit_price": "450.00"},
            {"description": "Logo and stationery", "unit_price": "1250.00"},
            {"description": "Menu boards", "quantity": 5, "unit_price": "39.90"},
        ],
    }
    yen = {**wrong, "lines": [{"description": "Signage, Kyoto shop", "unit_price": "148000"}]}
    story.held["usd"] = await story.call("POST", "/api/invoices", dollars, expect=201, key="demo-usd")
    story.held["jpy"] = await story.call("POST", "/api/invoices", yen, expect=201, key="demo-jpy")
    usd, jpy = story.held["usd"], story.held["jpy"]
    check(usd["total"] == {"amount": 234950, "currency": "USD", "decimal": "2349.50"}, f"the total is {usd['total']}")
    check(jpy["total"]["amount"] == 148000, f"yen have no cents, but the total is {jpy['total']}")
    return [
        f"{usd['number']} over {usd['total']['decimal']} USD and {jpy['number']} over {jpy['total']['decimal']} JPY",
        f"1200.50 JPY was refused: {refused['errors'][0]['reason']}",
    ]


async def connections(story: Story) -> list[str]:
    connect = "/api/integrations/{}/connect"
    key = {"secret_key": "sk_test_demo", "name": "Stripe, test mode"}
    stripe = await story.call("POST", connect.format("stripe"), key, expect=201)
    check(not stripe["live"], "a test key makes a test connection")
    check("webhook_secret" in stripe["secrets"], "connecting registers the webhook with Stripe and keeps its secret")
    places = {"slack": "/slack/services/", "discord": "/discord/api/webhooks/"}
    hooks = await story.box("GET", "/slack/_sandbox/messages"), await story.box("GET", "/discord/_sandbox/messages")
    check(hooks, "the sandbox answers")
    for platform in places:
        url = (await story.box("POST", f"/{platform}/_sandbox", {}))["webhook_url"]
        notification = {
            "name": f"{platform.capitalize()} #billing",
            "platform": platform,
            "events": ["invoice.*", "payment.*"],
        }
        await story.call("POST", "/api/integrations/notifications", {**notification, "webhook_url": url}, expect=201)
    smtp = {
        "host": "127.0.0.1",
        "port": str(story.mail_port),
        "security": "none",
        "sender": "billing@harbour-finch.example",
        "sender_name": "Harbour & Finch Studio",
    }
    await story.call("POST", connect.format("smtp"), smtp, expect=201)
    colleagues = {
        "name": "Back office",
        "platform": "smtp",
        "events": ["invoice.paid", "payment.received"],
        "target": {"to": ["office@harbour-finch.example"]},
    }
    await story.call("POST", "/api/integrations/notifications", colleagues, expect=201)
    refused = await story.call("POST", "/api/webhooks", {"url": "http://169.254.169.254/latest"}, expect=422)
    check(refused["type"].endswith("address-refused"), f"a metadata address was not refused: {refused}")
    endpoint = await story.call(
        "POST", "/api/webhooks", {"url": f"{story.sandbox}/receiver/app", "name": "Host application"}, expect=201
    )
    story.held["endpoint"] = endpoint
    await story.box("POST", "/receiver/app/_sandbox", {"secret": endpoint["secret"]})
    return [
        f"Stripe account “{stripe['account']}”; Slack, Discord and mail; a webhook endpoint, secret {endpoint['secret'][:10]}…",
        f"a webhook to 169.254.169.254 was refused: {refused['detail']}",
    ]


async def an_event(story: Story) -> list[str]:
    invoice = story.held["usd"]
    names = ("id", "number", "status", "client", "currency", "total", "amount_due", "amount_paid", "due_on")
    told = {"type": "invoice.created", "data": {"invoice": {name: invoice[name] for name in names}}}
    first = await story.call("POST", "/api/events", told, expect=201, key="demo-told")
    again = await story.call("POST", "/api/events", told, expect=201, key="demo-told")
    check(first == again, "the same Idempotency-Key and body must give the same answer")
    other = await story.call("POST", "/api/events", {**told, "data": {}}, expect=422, key="demo-told")
    check(other["type"].endswith("idempotency-key-reused"), f"another body under the same key: {other}")

    async def arrived() -> Any:
        received = await story.box("GET", "/receiver/app/_sandbox/requests")
        return [r for r in received if header(r, "webhook-id") == first["id"]]

    received = await story.until("the webhook", arrived)
    check(len(received) == 1 and received[0]["verified"], f"one verified webhook was expected: {received}")
    return [f"{first['id']} was told once, although it was published twice; its signature verifies"]


async def a_link(story: Story) -> list[str]:
    body = {"invoice_id": story.held["usd"]["id"]}
    link = await story.call("POST", "/api/integrations/stripe/payment-link", body, expect=201)
    fetched = await story.call("GET", f"/api/integrations/stripe/payment-link/{body['invoice_id']}")
    check(fetched["url"] == link["url"], "fetching gives the link that was made")
    sent = await story.call("POST", f"/api/invoices/{body['invoice_id']}/send", expect=202, key="demo-send")

    async def arrived() -> Any:
        mails = await story.box("GET", "/mail/_sandbox/messages")
        return [m for m in mails if "ada@northwind.example" in str(m)]

    mails = await story.until("the client's mail", arrived)
    check(link["url"] in str(mails[0]), "the mail holds the payment link")
    check(sent["invoice"]["status"] == "open", f"a sent invoice is open, not {sent['invoice']['status']}")
    story.held["link"] = link
    return [f"the client has a mail with {link['url']}"]


async def paying(story: Story) -> list[str]:
    await story.box("POST", "/stripe/_sandbox/webhooks", {"copies": 2, "reorder": True})
    await story.box("POST", "/receiver/app/_sandbox", {"fail_next": 4, "status": 503})
    first = await story.client.get(story.held["link"]["url"])
    check(first.status_code == 303, f"the link answered {first.status_code} instead of leading to the payment page")
    again = await story.client.get(story.held["link"]["url"])
    check(again.headers["location"] == first.headers["location"], "a second click leads to the same payment page")
    page = await story.client.get(first.headers["location"])
    check(page.status_code == 200 and "2,349.50" in page.text, "the hosted page shows the amount")
    action, fields = form_of(page.text)
    card = {"email": "ada@northwind.example", "name": "Ada Northwind", "cvc": "123"}
    filled = {**fields, **{k: v for k, v in card.items() if k in fields}}
    paid = await story.client.post(urljoin(first.headers["location"], action), data=filled)
    check(paid.status_code == 303, f"paying answered {paid.status_code}: {paid.text[:200]}")
    back = await story.client.get(paid.headers["location"])
    check(back.status_code == 200, f"the page after paying answered {back.status_code}")
    return [f"on {first.headers['location'].split('?')[0]}", "by card 4242 4242 4242 4242, on a page with a real form"]


async def paid_once(story: Story) -> list[str]:
    async def look() -> Any:
        detail = await story.invoice("usd")
        return detail if detail["invoice"]["status"] == "paid" else None

    detail = await story.until("the invoice's payment", look)

    async def handled() -> Any:
        inbox = (await story.call("GET", "/api/inbox?limit=200"))["items"]
        mine = [i for i in inbox if i["type"] in ("checkout.session.completed", "payment_intent.succeeded")]
        return mine if len(mine) == 2 and all(i["status"] == "handled" for i in mine) else None

    inbox = await story.until("both webhooks", handled)

    async def sent_twice() -> Any:
        deliveries = (await story.box("GET", "/stripe/_sandbox/deliveries"))["deliveries"]
        mine = [d for d in deliveries if d["type"] in ("checkout.session.completed", "payment_intent.succeeded")]
        return mine if len(mine) >= 4 else None

    deliveries = await story.until("every copy of the webhooks", sent_twice)
    check(len(detail["payments"]) == 1, f"one payment was expected, there are {len(detail['payments'])}")
    payment = detail["payments"][0]
    check(payment["amount"]["amount"] == 234950, f"the payment is over {payment['amount']}")
    for type_ in ("invoice.paid", "payment.received"):
        told = await story.events(type_)
        check(len(told) == 1, f"{type_} was told {len(told)} times")
    check(detail["links"][0]["status"] == "completed", f"the link is {detail['links'][0]['status']}")
    story.held["payment"] = payment
    order = [i["type"] for i in sorted(inbox, key=lambda i: str(i["received_at"]))]
    check(order[0] == "checkout.session.completed", f"the wrong order was asked for, they came as {order}")
    copies = len(deliveries) - len(inbox)
    return [
        f"{order[0]} came before {order[1]}, each twice",
        f"{len(inbox)} events kept, {copies} copies recognised, 1 payment, told once",
    ]


async def everyone_told(story: Story) -> list[str]:
    async def in_slack() -> Any:
        text = str(await story.box("GET", "/slack/_sandbox/messages"))
        return ("paid" in text and "blocks" in text and "2,349.50" in text) or ("2349.50" in text and "paid" in text)

    async def in_discord() -> Any:
        text = str(await story.box("GET", "/discord/_sandbox/messages"))
        return "embeds" in text and "paid" in text.lower()

    async def in_mail() -> Any:
        mails = await story.box("GET", "/mail/_sandbox/messages")
        return len([m for m in mails if "office@harbour-finch.example" in str(m)]) >= 2

    await story.until("the Slack message", in_slack)
    await story.until("the Discord message", in_discord)
    await story.until("the colleagues' mails", in_mail)
    return ["Slack has blocks, Discord has embeds, the back office has two mails"]


async def failing_receiver(story: Story) -> list[str]:
    async def look() -> Any:
        path = f"/api/webhooks/{story.held['endpoint']['id']}/deliveries?limit=200"
        items = (await story.call("GET", path))["items"]
        retried = [d for d in items if d["attempts"] > 1]
        done = all(d["status"] == "delivered" for d in items)
        return retried if done and sum(d["attempts"] - 1 for d in retried) == 4 else None

    retried = await story.until("the third attempt", look)
    shown = await story.call("GET", f"/api/deliveries/{retried[0]['id']}")
    statuses = [attempt["status"] for attempt in shown["attempts"]]
    check(statuses == [503, 503, 200], f"the attempts answered {statuses}")
    received = await story.box("GET", "/receiver/app/_sandbox/requests")
    mine = [r for r in received if header(r, "webhook-id") == shown["delivery"]["message_id"]]
    check(len(mine) == len(statuses), f"{len(statuses)} requests were expected at the receiver, it saw {len(mine)}")
    check(all(r["verified"] for r in received), "every request's signature verifies")
    story.held["delivery"] = retried[0]
    shown_all = [await story.call("GET", f"/api/deliveries/{d['id']}") for d in retried]
    attempts = "; ".join(
        f"{one['delivery']['event_type']}: " + " → ".join(str(a["status"]) for a in one["attempts"])
        for one in shown_all
    )
    return [f"{attempts}; each attempt recorded, the same webhook-id throughout"]


async def already_paid(story: Story) -> list[str]:
    page = await story.client.get(story.held["link"]["url"])
    check(page.status_code == 200 and "already" in page.text.lower(), f"the link answered {page.status_code}")
    return ["the link now says that the invoice is already paid"]


async def second_link(story: Story) -> list[str]:
    body = {"invoice_id": story.held["jpy"]["id"]}
    link = await story.call("POST", "/api/integrations/stripe/payment-link", body, expect=201)
    opened = await story.client.get(link["url"])
    check(opened.status_code == 303, f"the second link answered {opened.status_code}")
    await story.call("DELETE", f"/api/integrations/stripe/payment-link/{body['invoice_id']}")
    page = await story.client.get(link["url"])
    check(page.status_code == 410 and "expired" in page.text.lower(), f"the expired link answered {page.status_code}")
    hosted = await story.client.get(opened.headers["location"])
    check("expired" in hosted.text.lower(), "the hosted page is closed at Stripe too")
    return ["its page says so, and the hosted page behind it is closed"]


async def part_refund(story: Story) -> list[str]:
    payment = story.held["payment"]["id"]
    too_much = await story.call("POST", f"/api/payments/{payment}/refunds", {"amount": "2349.51"}, expect=409)
    refund = await story.call(
        "POST", f"/api/payments/{payment}/refunds", {"amount": "39.90"}, expect=201, key="demo-refund"
    )
    check(refund["status"] == "succeeded", f"the refund is {refund['status']}: {refund['failure']}")

    async def noted() -> Any:
        inbox = (await story.call("GET", "/api/inbox?limit=200"))["items"]
        return [i for i in inbox if i["type"] == "charge.refunded" and i["status"] == "handled"]

    await story.until("charge.refunded", noted)
    detail = await story.invoice("usd")
    check(detail["payments"][0]["refunded"]["decimal"] == "39.90", f"refunded: {detail['payments'][0]['refunded']}")
    for type_ in ("payment.refunded", "invoice.refunded"):
        told = await story.events(type_)
        check(len(told) == 1, f"{type_} was told {len(told)} times")
    return ["39.90 USD went back, noted once", f"2349.51 USD was refused: {too_much['detail']}"]


async def send_again(story: Story) -> list[str]:
    before = story.held["delivery"]
    again = await story.call("POST", f"/api/deliveries/{before['id']}/retry", expect=202)

    async def look() -> Any:
        shown = await story.call("GET", f"/api/deliveries/{again['id']}")
        return shown if shown["delivery"]["status"] == "delivered" else None

    shown = await story.until("the repeated delivery", look)
    check(shown["delivery"]["message_id"] == before["message_id"], "a repetition keeps the webhook-id")
    return [f"{before['event_type']} was sent again as {again['id']}, with the same webhook-id"]


CHAPTERS = (
    Chapter("A client is recorded", a_client),
    Chapter("Two invoices are written", two_invoices),
    Chapter("Stripe, Slack, Discord, mail and a webhook endpoint are connected", connections),
    Chapter("The host application publishes invoice.created", an_event),
    Chapter("A payment link is made and mailed to the client", a_link),
    Chapter("The client pays on the hosted page", paying),
    Chapter("Stripe's webhooks come twice and in the wrong order; the invoice is paid once", paid_once),
    Chapter("Slack, Discord and the back office are told", everyone_told),
    Chapter("The webhook endpoint fails twice and then accepts", failing_receiver),
    Chapter("The link says “already paid”", already_paid),
    Chapter("A second link is expired", second_link),
    Chapter("Part of the payment is refunded", part_refund),
    Chapter("A delivery is sent again", send_again),
    *SEVERAL,
)
