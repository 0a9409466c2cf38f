"""The host application's receiver, emulated: what it records, verifies, and does wrong when told to."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient
from standardwebhooks.webhooks import Webhook

from adapters.sandbox.page import page
from adapters.sandbox.receiver import ReceiverSandbox, receiver_router, signature_fault
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds

_SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_BODY = b'{"type":"invoice.paid"}'


def _signed(body: bytes = _BODY, *, at: datetime = _NOW, secret: str = _SECRET) -> dict[str, str]:
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("evt_1", at, body.decode()),
    }


@pytest.fixture
async def client() -> AsyncIterator[AsyncTestClient[Litestar]]:
    sandbox = ReceiverSandbox(FrozenClock(_NOW), CountingIds(), "http://testserver.local")
    async with AsyncTestClient(Litestar([receiver_router(sandbox)], openapi_config=None)) as client:
        yield client


async def _requests(client: AsyncTestClient[Litestar]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/receiver/app/_sandbox/requests")).json()
    return found


def test_a_signature_made_by_others_holds() -> None:
    """The reference library signs; we verify with our own few lines, also among older signatures."""
    headers = _signed()
    several = {**headers, "webhook-signature": f"v1,AAAA v1a,BBBB {headers['webhook-signature']}"}

    assert signature_fault(_SECRET, headers, _BODY, _NOW) == ""
    assert signature_fault(_SECRET, several, _BODY, _NOW) == ""


@pytest.mark.parametrize(
    ("headers", "body", "later"),
    [
        ({}, _BODY, 0),
        (_signed(), _BODY + b" ", 0),
        (_signed(), _BODY, 301),
        (_signed(), _BODY, -301),
        (_signed() | {"webhook-id": "evt_2"}, _BODY, 0),
        (_signed() | {"webhook-timestamp": "soon"}, _BODY, 0),
        (_signed() | {"webhook-signature": "v1,ünïcode"}, _BODY, 0),
        (_signed(secret="whsec_" + base64.b64encode(b"x" * 24).decode()), _BODY, 0),
    ],
)
def test_anything_else_does_not_hold(headers: dict[str, str], body: bytes, later: int) -> None:
    """A receiver that verifies anything proves nothing."""
    assert signature_fault(_SECRET, headers, body, _NOW + timedelta(seconds=later))


async def test_what_comes_is_recorded_and_verified(client: AsyncTestClient[Litestar]) -> None:
    """Byte for byte, and a request that does not hold gets 401."""
    unset = await client.post("/receiver/app", content=_BODY)
    await client.post("/receiver/app/_sandbox", json={"secret": _SECRET})
    good = await client.post("/receiver/app", content=_BODY, headers=_signed())
    bad = await client.post("/receiver/app", content=b"\xff", headers=_signed())
    page_text = (await client.get("/receiver")).text

    assert [answer.status_code for answer in (unset, good, bad)] == [200, 200, 401]
    assert [each["verified"] for each in await _requests(client)] == [None, True, False]
    assert base64.b64decode((await _requests(client))[2]["body_base64"]) == b"\xff"
    assert "signature holds" in page_text
    assert "{&#34;type&#34;" in page_text


async def test_it_fails_as_often_as_it_is_told(client: AsyncTestClient[Litestar]) -> None:
    """Twice 503 and then well again: the story of every retry test."""
    await client.post("/receiver/app/_sandbox", json={"fail_next": 2, "status": 503, "retry_after": 9})
    answers = [await client.post("/receiver/app", content=_BODY) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "9"
    assert "retry-after" not in answers[2].headers


async def test_it_can_be_gone_and_be_reset(client: AsyncTestClient[Litestar]) -> None:
    """410 makes the hub switch an endpoint off."""
    await client.post("/receiver/app/_sandbox", json={"gone": True})
    gone = await client.post("/receiver/app", content=_BODY)
    await client.post("/receiver/app/_sandbox", json={"reset": True})

    assert gone.status_code == 410
    assert await _requests(client) == []
    assert (await client.post("/receiver/app", content=_BODY)).status_code == 200


async def test_it_hangs_until_it_is_told_otherwise() -> None:
    """What hangs is recorded all the same: a real one may have done its work, too."""
    sandbox = ReceiverSandbox(FrozenClock(_NOW), CountingIds(), "")
    sandbox.control("app", {"hang": True})
    waiting = asyncio.ensure_future(sandbox.take("app", {}, _BODY))
    await asyncio.sleep(0.01)
    before, recorded = waiting.done(), [each.status for each in sandbox.receiver("app").received]
    sandbox.control("app", {"hang": False})

    assert not before
    assert recorded == [None]
    assert await waiting == (200, {})


@pytest.mark.parametrize("told", [{"secret": "whsec_%"}, {"fail_next": -1}, {"status": "x"}, {"delay_ms": 1e12}])
async def test_a_control_that_cannot_be_is_refused(client: AsyncTestClient[Litestar], told: dict[str, Any]) -> None:
    """A typing mistake in a test must not pass as obeyed."""
    assert (await client.post("/receiver/app/_sandbox", json=told)).status_code == 400


def test_a_page_escapes_what_is_not_markup() -> None:
    """Titles are subjects of mails, and mails come from anyone."""
    shown = page("<script>", "<b>").content

    assert "<script>" not in shown
    assert "&lt;b&gt;" in shown
