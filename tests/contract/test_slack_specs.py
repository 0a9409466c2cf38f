"""Others' opinion on our blocks: Slack's own models, Slack's API description; and the sandbox is as strict as Slack."""

import json
from datetime import timedelta
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient
from slack_sdk.models.blocks import Block

from adapters.providers.slack import limits
from adapters.providers.slack.channel import SlackChannel
from adapters.providers.slack.mapping import shape
from adapters.providers.slack.sandbox import SlackSandbox, sandbox_router
from adapters.providers.slack.sandbox_blocks import faults_of
from application.ports.outgoing import AddressRefused, Unreachable
from domain.notifications.attempts import Verdict
from domain.notifications.message import Message
from tests.contract.message_channel import HUGE, MESSAGE
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds
from tests.fakes.outgoing import FakeOutgoing, reply
from tests.specs import component, load, problems

_SPEC = "slack/slack_web.slim.json"
_URL = "https://hooks.slack.com/services/T1/B1/very-secret-token"
_PLAIN = {"type": "mrkdwn", "text": "x"}


@pytest.mark.parametrize("message", [MESSAGE, HUGE])
def test_slacks_own_models_accept_our_blocks(message: Message) -> None:
    """They check lengths and kinds, and were written by others."""
    for block in Block.parse_all(list(shape(message).payload["blocks"])):
        assert block is not None
        block.validate_json()


@pytest.mark.parametrize("message", [MESSAGE, HUGE])
def test_chat_post_message_would_take_our_blocks(message: Message) -> None:
    """The same payload goes through the Web API, where blocks are JSON in a form."""
    payload = shape(message).payload
    form = load(_SPEC)["paths"]["/chat.postMessage"]["post"]["requestBody"]["content"]
    schema = form["application/x-www-form-urlencoded"]["schema"]

    assert problems(_SPEC, component(_SPEC, "blocks"), payload["blocks"]) == []
    assert (
        problems(_SPEC, schema, {"channel": "C1", "text": payload["text"], "blocks": json.dumps(payload["blocks"])})
        == []
    )


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        ({"text": "x"}, ""),
        ({}, "no_text"),
        ({"text": 7}, "invalid_payload"),
        ({"blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": _PLAIN}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": ""}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {**_PLAIN, "text": "x" * limits.SECTION_TEXT}}]}, ""),
        (
            {"blocks": [{"type": "section", "text": {**_PLAIN, "text": "x" * (limits.SECTION_TEXT + 1)}}]},
            "invalid_blocks",
        ),
        ({"blocks": [{"type": "section", "fields": [_PLAIN] * limits.SECTION_FIELDS}]}, ""),
        ({"blocks": [{"type": "section", "fields": [_PLAIN] * (limits.SECTION_FIELDS + 1)}]}, "invalid_blocks"),
        ({"blocks": [{"type": "divider"}] * limits.BLOCKS}, ""),
        ({"blocks": [{"type": "divider"}] * (limits.BLOCKS + 1)}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {**_PLAIN, "text": "x" * 2700}}] * 5}, "msg_blocks_too_long"),
        ({"blocks": [{"type": "section", "text": _PLAIN, "colour": "red"}]}, "invalid_blocks"),
    ],
)
def test_the_sandbox_is_as_strict_as_slack(payload: dict[str, Any], fault: str) -> None:
    """A sandbox that takes anything proves nothing."""
    assert faults_of(payload) == fault


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, "ok", Verdict.DELIVERED),
        (200, "<html>Welcome", Verdict.REFUSED),
        (302, "", Verdict.RETRY),
        (400, "invalid_blocks", Verdict.REFUSED),
        (403, "action_prohibited", Verdict.REFUSED),
        (403, "team_disabled", Verdict.GONE),
        (404, "no_service", Verdict.GONE),
        (404, "channel_not_found", Verdict.GONE),
        (410, "channel_is_archived", Verdict.GONE),
        (429, "rate_limited", Verdict.RETRY),
        (500, "rollup_error", Verdict.RETRY),
        (503, "", Verdict.RETRY),
    ],
)
async def test_each_answer_has_its_meaning(status: int, body: str, verdict: Verdict) -> None:
    """The table of the manual, line by line."""
    outgoing = FakeOutgoing(reply(status, body, {"Retry-After": "12", "x": _URL}))
    outcome = await SlackChannel(outgoing).send({"webhook_url": _URL}, {}, MESSAGE, delivery_id="dlv_1")

    assert outcome.verdict is verdict
    assert outcome.retry_after == (timedelta(seconds=12) if verdict is Verdict.RETRY else None)
    assert "very-secret-token" not in repr(outcome)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (AddressRefused(f"{_URL} may not be reached."), Verdict.REFUSED),
        (Unreachable(f"could not connect to {_URL}"), Verdict.RETRY),
        (Unreachable("no answer", timed_out=True), Verdict.RETRY),
    ],
)
async def test_no_answer_has_its_meaning(error: Exception, verdict: Verdict) -> None:
    """And names the webhook's address to nobody."""
    outcome = await SlackChannel(FakeOutgoing(error)).send({"webhook_url": _URL}, {}, MESSAGE, delivery_id="dlv_1")

    assert outcome.verdict is verdict
    assert "very-secret-token" not in repr(outcome)


async def test_the_sandbox_shows_and_obeys() -> None:
    """The page, the JSON, the control and the rate limit."""
    clock = FrozenClock()
    sandbox = SlackSandbox(clock, CountingIds(), "http://testserver.local")
    async with AsyncTestClient(Litestar([sandbox_router(sandbox)], openapi_config=None)) as client:
        payload = dict(shape(MESSAGE).payload)
        made = (await client.post("/slack/_sandbox", json={"create": "#ops", "burst": 1})).json()["webhook_url"]
        first, second = await client.post(made, json=payload), await client.post(made, json=payload)
        clock.advance(timedelta(seconds=1))
        third = await client.post(made, data={"payload": json.dumps(payload)})
        page = await client.get("/slack")
        messages = (await client.get("/slack/_sandbox/messages")).json()
        wrong = await client.post("/slack/_sandbox", json={"fail_next": "many"})
        lost = await client.post("/slack/services/T/B/unknown", json=payload)
        await client.post("/slack/_sandbox", json={"burst": None})
        bad = await client.post(made, content=b"{", headers={"content-type": "application/json"})

    assert [first.status_code, second.status_code, third.status_code] == [200, 429, 200]
    assert (second.text, second.headers["retry-after"]) == ("rate_limited", "1")
    assert "Ada &amp; Söhne &lt;GmbH&gt;" in page.text
    assert 'href="https://hub.example.com/invoices/inv_1"' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert [each["channel"] for each in messages] == ["#ops", "#ops"]
    assert messages[0]["payload"] == payload
    assert (wrong.status_code, lost.status_code, lost.text) == (400, 404, "no_service")
    assert (bad.status_code, bad.text) == (400, "invalid_payload")
