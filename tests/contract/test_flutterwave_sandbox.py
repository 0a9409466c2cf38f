"""What the sandbox does beyond Flutterwave's API: the page that people see, webhooks that misbehave, and its controls."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from adapters.providers.flutterwave import webhook
from adapters.providers.flutterwave.sandbox_cards import CARDS
from tests.contract.flutterwave_sandbox import KEY, Stage, staged
from tests.contract.stripe_sandbox import Mailbox, served

GOOD = "5531 8866 5214 2950"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A fresh sandbox."""
    async with staged() as stage:
        yield stage


async def _page(stage: Stage, tx_ref: str = "chk_1", **more: Any) -> str:
    given: dict[str, Any] = {
        "tx_ref": tx_ref,
        "amount": 125.5,
        "currency": "GHS",
        "redirect_url": "https://shop.example/paid?returned=1",
        "customer": {"email": "pat@example.com"},
        "customizations": {"title": "<b>Tea & cake</b>"},
    }
    answer = await stage.api("POST", "/payments", **{**given, **more})
    assert answer.status_code == 200, answer.text
    link: str = answer.json()["data"]["link"]
    return link


async def _verified(stage: Stage, tx_ref: str = "chk_1") -> dict[str, Any]:
    answer = (await stage.api("GET", "/transactions/verify_by_reference", query={"tx_ref": tx_ref})).json()
    found: dict[str, Any] = answer["data"] or {}
    return found


async def test_the_page_shows_what_is_paid_and_takes_the_money(stage: Stage) -> None:
    """As a person sees it; nobody can make it run a script."""
    link = await _page(stage)
    page = await stage.http.get(link)
    assert page.status_code == 200
    assert "&lt;b&gt;Tea &amp; cake&lt;/b&gt;" in page.text
    assert "GHS 125.5" in page.text
    assert "<script" not in page.text
    for name in ("card", "phone", "amount"):
        assert re.search(rf'<label class="text" for="{name}">', page.text)
        assert re.search(rf'<input id="{name}" name="{name}"', page.text)
    paid = await stage.http.post(link, data={"method": "card", "card": GOOD})
    assert paid.status_code == 303
    made = await _verified(stage)
    assert paid.headers["location"] == (
        f"https://shop.example/paid?returned=1&status=successful&tx_ref=chk_1&transaction_id={made['id']}"
    )
    again = await stage.http.post(link, data={"method": "card", "card": GOOD})
    assert (again.status_code, "This has been paid" in again.text) == (200, True)
    assert len((await stage.api("GET", "/transactions")).json()["data"]) == 1


async def test_the_way_back_says_that_it_was_cancelled(stage: Stage) -> None:
    """The hub then knows that nothing is to be awaited."""
    page = await stage.http.get(await _page(stage))
    assert "https://shop.example/paid?returned=1&amp;status=cancelled&amp;tx_ref=chk_1" in page.text


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ({"method": "card", "card": "12"}, "card"),
        ({"method": "mobile_money", "phone": "call me"}, "phone"),
        ({"method": "bank_transfer", "amount": "many"}, "amount"),
        ({"method": "bank_transfer", "amount": "-5"}, "amount"),
    ],
)
async def test_the_page_says_which_field_is_wrong(stage: Stage, form: dict[str, str], name: str) -> None:
    """And nothing is paid."""
    page = await stage.http.post(await _page(stage), data=form)
    assert page.status_code == 422
    assert f'id="{name}-fault"' in page.text
    assert f'aria-describedby="{name}-fault"' in page.text
    assert await _verified(stage) == {}


@pytest.mark.parametrize("card", [card for card in CARDS.values() if not card.good], ids=lambda card: card.said)
async def test_a_declined_card_may_be_followed_by_another(stage: Stage, card: Any) -> None:
    """The page says why, and stays open."""
    link = await _page(stage)
    declined = await stage.http.post(link, data={"method": "card", "card": card.number})
    assert (declined.status_code, card.said in declined.text) == (402, True)
    assert (await _verified(stage))["status"] == "failed"
    assert (await stage.http.post(link, data={"method": "card", "card": GOOD})).status_code == 303


async def test_tries_and_time_run_out(stage: Stage) -> None:
    """As was asked for when the page was made."""
    link = await _page(stage, max_retry_attempt=1)
    await stage.http.post(link, data={"method": "card", "card": "5258585922666506"})
    assert (await stage.http.get(link)).status_code == 410
    short = await _page(stage, "chk_2", session_duration=5)
    assert (await stage.http.get(short)).status_code == 200
    stage.clock.advance(timedelta(minutes=6))
    assert (await stage.http.get(short)).status_code == 410


async def test_a_card_only_page_offers_nothing_else(stage: Stage) -> None:
    """A page that is to leave a token must not be paid by telephone."""
    link = await _page(stage, payment_options="card")
    page = await stage.http.get(link)
    assert "Mobile money" not in page.text
    assert (await stage.http.post(link, data={"method": "mobile_money", "phone": "233547000011"})).status_code == 422


async def test_mobile_money_comes_out_by_itself(stage: Stage) -> None:
    """Seconds later, when nobody looks at the page any more; or the payer says no."""
    stage.sandbox._settles = timedelta(seconds=0.05)
    for tx_ref, phone, status in (("yes", "233547000011", "successful"), ("no", "233547000000", "failed")):
        link = await _page(stage, tx_ref)
        answer = await stage.http.post(link, data={"method": "mobile_money", "phone": phone})
        assert "Look at your telephone" in answer.text
        assert (await _verified(stage, tx_ref))["status"] == "pending"
        async with asyncio.timeout(5):
            while (await _verified(stage, tx_ref))["status"] == "pending":  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)
        assert (await _verified(stage, tx_ref))["status"] == status


async def test_webhooks_may_come_twice_late_or_never(stage: Stage) -> None:
    """So that the hub can be seen to bear it."""
    mailbox = Mailbox()
    async with served(mailbox) as url:
        await stage.control("webhook", key=KEY, url=url, secret_hash="hash")
        await _page(stage, "lost")
        await stage.control("webhooks", drop=1)
        await stage.control("pages/lost/pay")
        await stage.sandbox.post.idle()
        assert mailbox.events == []
        await _page(stage, "twice")
        await stage.control("webhooks", copies=2, delay_ms=20)
        await stage.control("pages/twice/pay")
        await stage.sandbox.post.idle()
        assert [event["data"]["tx_ref"] for event in mailbox.events] == ["twice", "twice"]
        await stage.control("webhooks")
        lost = await _verified(stage, "lost")
        assert (await stage.control(f"transactions/{lost['id']}/resend"))["sent"] == 1
        await stage.sandbox.post.idle()
        assert mailbox.events[-1]["data"]["tx_ref"] == "lost"
    assert {headers["verif-hash"] for headers, _ in mailbox.got} == {"hash"}


async def test_v4_webhooks_are_signed(stage: Stage) -> None:
    """By the body as it was sent, and without the hash."""
    mailbox = Mailbox()
    async with served(mailbox) as url:
        await stage.control("webhook", key=KEY, url=url, secret_hash="hash", version="v4")
        await _page(stage)
        await stage.control("pages/chk_1/pay")
        await stage.sandbox.post.idle()
    [(headers, body)] = mailbox.got
    assert "verif-hash" not in headers
    webhook.verify((webhook.marked("v4", "hash"),), headers, body)


async def test_a_failed_delivery_is_tried_again(stage: Stage) -> None:
    """Any answer but 2xx counts as failed."""
    mailbox = Mailbox()
    mailbox.statuses = [500, 302]
    async with served(mailbox) as url:
        await stage.control("webhook", key=KEY, url=url, secret_hash="hash")
        await _page(stage)
        await stage.control("pages/chk_1/pay")
        await stage.sandbox.post.idle()
    assert len(mailbox.got) == 3
    (delivery,) = (await stage.http.get(f"{stage.base}/_sandbox/deliveries")).json()["deliveries"]
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 302, 200]


async def test_a_reference_is_paid_once(stage: Stage) -> None:
    """Two pages for one reference, as after a retry: the second cannot be paid too."""
    first, second = await _page(stage), await _page(stage)
    assert first != second
    await stage.http.post(first, data={"method": "card", "card": GOOD})
    again = await stage.http.post(second, data={"method": "card", "card": GOOD})
    assert "This has been paid" in again.text
    assert len((await stage.api("GET", "/transactions")).json()["data"]) == 1


async def test_live_and_test_keys_and_other_accounts_see_nothing_of_each_other(stage: Stage) -> None:
    """As at Flutterwave."""
    await _page(stage)
    await stage.control("pages/chk_1/pay")
    for key in ("FLWSECK-contract-X", "FLWSECK_TEST-acct7-X"):
        assert (await stage.api("GET", "/transactions", key=key)).json()["data"] == []
    shown = (await stage.http.get(f"{stage.base}/_sandbox")).json()["accounts"]
    assert [(one["account"], one["live"]) for one in shown] == [(1000001, False), (1000001, True), (7, False)]
    await stage.control("reset")
    assert (await stage.api("GET", "/transactions")).json()["data"] == []


async def test_the_balance_follows_the_money(stage: Stage) -> None:
    """Refunds and transfers are refused when it does not reach, so it must be right."""

    async def balance() -> float:
        rows = (await stage.api("GET", "/balances")).json()["data"]
        return next(float(row["available_balance"]) for row in rows if row["currency"] == "GHS")

    before = await balance()
    await _page(stage)
    await stage.control("pages/chk_1/pay")
    made = await _verified(stage)
    assert await balance() == pytest.approx(before + made["amount_settled"])
    refund = (await stage.api("POST", f"/transactions/{made['id']}/refund", amount=25)).json()["data"]
    assert await balance() == pytest.approx(before + made["amount_settled"] - 25)
    await stage.control(f"refunds/{refund['id']}", status="failed")
    assert await balance() == pytest.approx(before + made["amount_settled"])


@pytest.mark.parametrize(
    "told", [("webhooks", {"colour": "red"}), ("webhooks", {"copies": "two"}), ("faults", {"count": 0}),
             ("rate", {"per_second": -1}), ("refunds", {"key": KEY, "begin": "odd"}), ("webhook", {"key": "no"}),
             ("pages/none/pay", {}), ("refunds/9", {}), ("balance", {"key": KEY, "amount": "x"})],
)  # fmt: skip
async def test_a_control_that_makes_no_sense_is_refused(stage: Stage, told: tuple[str, dict[str, Any]]) -> None:
    """A test that misspells a control would prove nothing."""
    path, body = told
    answer = await stage.http.post(f"{stage.base}/_sandbox/{path}", json=body)
    assert answer.status_code in (400, 404)
