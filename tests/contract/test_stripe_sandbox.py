"""What the sandbox does beyond Stripe's API: the page that people see, webhooks that misbehave, and its controls."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from adapters.providers.stripe.sandbox_cards import CARDS
from tests.contract.stripe_sandbox import KEY, Mailbox, Stage, served, staged

FORM = {"email": "pat@example.com", "card": "4242 4242 4242 4242", "expiry": "12 / 34", "cvc": "123", "name": "Pat"}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A fresh sandbox."""
    async with staged() as stage:
        yield stage


async def _session(stage: Stage, **more: str) -> dict[str, str]:
    form = {
        "mode": "payment",
        "success_url": "https://shop.example/done?id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.example/back",
        "line_items[0][price_data][currency]": "kwd",
        "line_items[0][price_data][unit_amount]": "5120",
        "line_items[0][price_data][product_data][name]": "<b>Tea & cake</b>",
        "line_items[0][quantity]": "2",
    }
    answer = await stage.api("POST", "/v1/checkout/sessions", **form, **more)
    assert answer.status_code == 200, answer.text
    made: dict[str, str] = answer.json()
    return made


async def _now(stage: Stage, session: dict[str, str]) -> dict[str, str]:
    now: dict[str, str] = (await stage.api("GET", f"/v1/checkout/sessions/{session['id']}")).json()
    return now


async def test_the_page_shows_what_is_paid_and_takes_the_money(stage: Stage) -> None:
    """As a person sees it."""
    session = await _session(stage)
    page = await stage.http.get(session["url"])
    assert page.status_code == 200
    assert "&lt;b&gt;Tea &amp; cake&lt;/b&gt;" in page.text
    assert "KWD\xa010.240" in page.text
    assert "<script" not in page.text
    for name in FORM:
        assert re.search(rf'<label for="{name}">', page.text)
        assert re.search(rf'<input id="{name}" name="{name}"', page.text)
    paid = await stage.http.post(session["url"], data=FORM)
    assert paid.status_code == 303
    assert paid.headers["location"] == f"https://shop.example/done?id={session['id']}"
    assert (await _now(stage, session))["payment_status"] == "paid"
    again = await stage.http.post(session["url"], data=FORM)
    assert (again.status_code, "This has been paid" in again.text) == (200, True)
    assert len((await stage.api("GET", "/v1/charges")).json()["data"]) == 1


async def test_the_page_says_which_field_is_wrong(stage: Stage) -> None:
    """And keeps what was typed, except the security code."""
    session = await _session(stage)
    wrong = {"email": "pat", "card": "4242 4242 4242 4241", "expiry": "13/34", "cvc": "12", "name": ""}
    page = await stage.http.post(session["url"], data=wrong)
    assert page.status_code == 422
    for name in wrong:
        assert f'id="{name}-fault"' in page.text
        assert f'aria-describedby="{name}-fault"' in page.text
    assert 'value="4242 4242 4242 4241"' in page.text
    assert 'value="12"' not in page.text
    for field, value in (("expiry", "01/20"), ("expiry", "soon"), ("cvc", "1234"), ("email", "a@b")):
        page = await stage.http.post(session["url"], data={**FORM, field: value})
        assert (page.status_code, page.text.count("aria-invalid")) == (422, 2), field  # one is in the style sheet


async def test_a_declined_card_can_be_followed_by_another(stage: Stage) -> None:
    """The reason is shown, the failure is told, the page stays open."""
    session = await _session(stage)
    for card in ("4000 0000 0000 0002", "4000000000009995", "4000000000000069"):
        page = await stage.http.post(session["url"], data={**FORM, "card": card})
        assert page.status_code == 402
        assert CARDS[card.replace(" ", "")].decline[2].replace("'", "&#39;") in page.text
    assert (await stage.http.post(session["url"], data=FORM)).status_code == 303
    told = [event["type"] for event in (await stage.api("GET", "/v1/events", limit="100")).json()["data"]][::-1]
    assert told.count("payment_intent.payment_failed") == 3
    assert told.count("payment_intent.created") == 1
    assert told[-3:] == ["charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"]


@pytest.mark.parametrize(("answer", "paid"), [("complete", "paid"), ("fail", "unpaid")])
async def test_a_bank_may_ask_who_is_paying(stage: Stage, answer: str, paid: str) -> None:
    """3D Secure, both ways."""
    session = await _session(stage)
    asked = await stage.http.post(session["url"], data={**FORM, "card": "4000002500003155"})
    assert asked.status_code == 303
    page = await stage.http.get(f"{stage.url}{asked.headers['location']}")
    assert "Complete authentication" in page.text
    assert (await _now(stage, session))["payment_status"] == "unpaid"
    done = await stage.http.post(f"{stage.url}{asked.headers['location']}", data={"answer": answer})
    assert done.status_code == (303 if paid == "paid" else 402)
    assert (await _now(stage, session))["payment_status"] == paid
    assert (await stage.http.get(f"{stage.url}{asked.headers['location']}")).status_code == 410
    if paid == "unpaid":
        assert 'action="/stripe/c/pay/' in done.text
        assert (await stage.http.post(session["url"], data=FORM)).status_code == 303


async def test_a_page_runs_out(stage: Stage) -> None:
    """At the moment it said, and says so."""
    wrong = await stage.api("POST", "/v1/checkout/sessions", mode="payment", success_url="https://a.example")
    assert wrong.json()["error"]["param"] == "line_items"
    now = int(stage.clock.now().timestamp())
    session = await _session(stage, expires_at=str(now + 1800))
    stage.clock.advance(timedelta(minutes=29, seconds=59))
    assert (await stage.http.get(session["url"])).status_code == 200
    stage.clock.advance(timedelta(seconds=1))
    page = await stage.http.get(session["url"])
    assert (page.status_code, "has expired" in page.text, "https://shop.example/back" in page.text) == (410, True, True)
    assert (await stage.http.post(session["url"], data=FORM)).status_code == 410
    assert (await _now(stage, session))["status"] == "expired"
    assert (await stage.http.get(f"{stage.base}/c/pay/cs_none")).status_code == 404
    for seconds in (1799, 86_401):
        with pytest.raises(AssertionError, match="expires_at"):
            await _session(stage, expires_at=str(int(stage.clock.now().timestamp()) + seconds))


async def _hooked(stage: Stage, url: str, *types: str) -> None:
    kinds = {f"enabled_events[{index}]": kind for index, kind in enumerate(types or ("*",))}
    assert (await stage.api("POST", "/v1/webhook_endpoints", url=url, **kinds)).status_code == 200


PAID = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"]


async def test_webhooks_come_twice_and_last_first_on_demand(stage: Stage) -> None:
    """What Stripe does now and then, always."""
    box = Mailbox()
    async with served(box) as url:
        await _hooked(stage, url)
        await stage.control("webhooks", copies=2, reorder=True, hold_ms=50)
        await stage.control(f"sessions/{(await _session(stage))['id']}/pay")
        await stage.sandbox.post.idle()
        assert box.types == [kind for kind in reversed(PAID) for _ in range(2)]
        assert len({event["id"] for event in box.events}) == 4
        assert (await stage.control("webhooks"))["copies"] == 1
        box.got.clear()
        await stage.control(f"sessions/{(await _session(stage))['id']}/pay")
        await stage.sandbox.post.idle()
        assert box.types == PAID


async def test_webhooks_are_sent_again_until_they_are_taken(stage: Stage) -> None:
    """With a signature of the new moment, and not for ever."""
    box = Mailbox()
    async with served(box) as url:
        await _hooked(stage, url, "customer.created")
        box.statuses = [500, 302, 404]
        await stage.api("POST", "/v1/customers", name="A")
        await stage.api("GET", "/v1/balance")
        await stage.sandbox.post.idle()
        assert box.types == ["customer.created"] * 4
        [delivery] = (await stage.http.get(f"{stage.base}/_sandbox/deliveries")).json()["deliveries"]
        assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 302, 404, 200]
        assert delivery["state"] == "delivered"
        box.statuses = [500] * 99
        event = box.events[0]["id"]
        assert (await stage.control(f"events/{event}/resend"))["sent"] == 1
        await stage.sandbox.post.idle()
        last = (await stage.http.get(f"{stage.base}/_sandbox/deliveries")).json()["deliveries"][-1]
        assert (last["state"], len(last["attempts"])) == ("failed", 10)


async def test_a_receiver_that_is_not_there_is_tried_again(stage: Stage) -> None:
    """Connection refused is no reason to lose an event."""
    await _hooked(stage, "http://127.0.0.1:9/in", "customer.created")
    await stage.api("POST", "/v1/customers", name="A")
    await stage.sandbox.post.idle()
    [delivery] = stage.sandbox.post.deliveries
    assert delivery.state == "failed"
    assert "ConnectError" in delivery.attempts[0]["error"]


@pytest.mark.parametrize(
    ("card", "begins", "ends"), [("7726", "pending", "succeeded"), ("5126", "succeeded", "failed")]
)
async def test_refunds_may_take_their_time_or_fail_later(stage: Stage, card: str, begins: str, ends: str) -> None:
    """Money that was thought to be back can come to us again."""
    number = next(each for each in CARDS if each.endswith(card))
    session = await stage.control(f"sessions/{(await _session(stage))['id']}/pay", card=number)
    refund = (await stage.api("POST", "/v1/refunds", payment_intent=session["payment_intent"])).json()
    assert refund["status"] == begins
    async with asyncio.timeout(5):
        while (now := (await stage.api("GET", f"/v1/refunds/{refund['id']}")).json())["status"] != ends:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (now.get("failure_reason") is not None) == (ends == "failed")
    charge = (await stage.api("GET", f"/v1/charges/{refund['charge']}")).json()
    assert charge["amount_refunded"] == (0 if ends == "failed" else 10_240)


async def test_forms_are_read_strictly(stage: Stage) -> None:
    """A sandbox that guesses hides our mistakes."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}
    for body in (
        "name=a&name=b",
        "metadata[a]=1&metadata=2",
        "metadata[a][b]=1",
        "[a]=1",
        "name",
        "name=",
        "colour=red",
        "email=nobody",
        "metadata[" + "k" * 41 + "]=1",
        "metadata[a]=" + "v" * 501,
        "&".join(f"metadata[{n}]=1" for n in range(51)),
        "preferred_locales=en",
        "expand[]=sources",
        "name=" + "n" * 257,
        "a[b][c][d][e][f][g]=1",
        "name=%ff",
    ):
        answer = await stage.http.post(f"{stage.base}/v1/customers", content=body, headers=headers)
        ok = body == "name="  # which unsets
        assert (answer.status_code, "error" in answer.json()) == ((200, False) if ok else (400, True)), body


async def test_the_key_and_the_version_are_checked(stage: Stage) -> None:
    """Bearer and Basic both work; a publishable key does not; shops and modes are apart."""
    balance = f"{stage.base}/v1/balance"
    basic = httpx.BasicAuth(KEY, "")
    assert (await stage.http.get(balance, auth=basic)).json()["livemode"] is False
    for headers in (
        {},
        {"Authorization": "Bearer pk_test_1"},
        {"Authorization": "Basic !!"},
        {"Authorization": "Bearer"},
    ):
        assert (await stage.http.get(balance, headers=headers)).status_code == 401
    version = {"Authorization": f"Bearer {KEY}", "Stripe-Version": "yesterday"}
    assert (await stage.http.get(balance, headers=version)).status_code == 400
    made = (await stage.api("POST", "/v1/customers", name="A")).json()["id"]
    same_shop, live = "rk_test_other", "sk_live_contract"
    other_shop = "sk_test_51AbCdEfGhIjKlMnOsecret"
    assert (await stage.api("GET", f"/v1/customers/{made}", same_shop)).status_code == 200
    for key in (live, other_shop):
        assert (await stage.api("GET", f"/v1/customers/{made}", key)).status_code == 404
    assert (await stage.api("GET", "/v1/account", other_shop)).json()["id"] == "acct_1AbCdEfGhIjKlMnO"


async def test_everything_can_be_forgotten(stage: Stage) -> None:
    """For the next test, or the next demo."""
    await _session(stage)
    await stage.control("faults", status=500, count=5)
    await stage.control("keys/revoke", key=KEY)
    assert (await stage.http.get(f"{stage.base}/_sandbox")).json()["shops"][0]["sessions"] == 1
    await stage.control("reset")
    assert (await stage.api("GET", "/v1/checkout/sessions")).json()["data"] == []
    for wrong in ({"copies": "two"}, {"copies": 0}, {"colour": 1}, {"reorder": 1}):
        assert (await stage.http.post(f"{stage.base}/_sandbox/webhooks", json=wrong)).status_code == 400
