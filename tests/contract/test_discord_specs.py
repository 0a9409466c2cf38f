"""Discord's own API description judges what we send and what the sandbox answers."""

import json
from datetime import timedelta
from typing import Any

import attrs
import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from adapters.providers.discord import limits
from adapters.providers.discord.channel import DiscordChannel
from adapters.providers.discord.mapping import shape
from adapters.providers.discord.sandbox import DiscordSandbox, sandbox_router
from application.ports.outgoing import AddressRefused, Unreachable
from domain.notifications.attempts import Verdict
from domain.notifications.message import Message
from tests.contract.message_channel import HUGE, MESSAGE
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds
from tests.fakes.outgoing import FakeOutgoing, reply
from tests.specs import component, problems

_SPEC = "discord/discord_v10.slim.json"
_URL = "https://discord.com/api/webhooks/123456789/very-secret-token"
_MADE = json.dumps({"id": "1", "type": 0})


def _numbered(error: Any) -> Any:
    """The description calls the code of a nested error a number; Discord sends, and documents, a word."""
    if isinstance(error, dict):
        return {
            key: 0 if key == "code" and isinstance(value, str) else _numbered(value) for key, value in error.items()
        }
    return [_numbered(each) for each in error] if isinstance(error, list) else error


@pytest.mark.parametrize("message", [MESSAGE, HUGE, attrs.evolve(MESSAGE, title="", text="", facts=(), action=None)])
def test_what_we_send_is_what_discord_describes(message: Message) -> None:
    """Every `maxLength` of the description holds."""
    assert problems(_SPEC, component(_SPEC, "IncomingWebhookRequestPartial"), shape(message).payload) == []


async def test_what_the_sandbox_answers_is_what_discord_describes() -> None:
    """Message, errors and rate limit, each by its own schema; and with the headers of the bucket."""
    sandbox = DiscordSandbox(FrozenClock(), CountingIds(), "")
    url = sandbox.webhook_url
    bad = {
        "embeds": [{"title": "x" * 257, "fields": [{"name": "", "value": "v" * 1025}], "footer": {"text": "f" * 2049}}]
    }
    async with AsyncTestClient(Litestar([sandbox_router(sandbox)], openapi_config=None)) as client:
        made = await client.post(url + "?wait=true", json=dict(shape(MESSAGE).payload))
        silent = await client.post(url.replace("/api/", "/api/v10/"), json=dict(shape(HUGE).payload))
        wrong = await client.post(url, json=bad)
        empty = await client.post(url, json={})
        unknown = await client.post("/discord/api/webhooks/1/x", json={})
        unlike = await client.post(url + "x", json={})
        broken = await client.post(url, content=b"{")
        limited = await client.post(url, json={"content": "sixth"})
        page = await client.get("/discord")

    assert problems(_SPEC, component(_SPEC, "MessageResponse"), made.json()) == []
    assert (silent.status_code, silent.content) == (204, b"")
    for answer, status in ((wrong, 400), (empty, 400), (broken, 400), (unknown, 404), (unlike, 401)):
        assert answer.status_code == status
        assert problems(_SPEC, component(_SPEC, "ErrorResponse"), _numbered(answer.json())) == []
    assert set(wrong.json()["errors"]["embeds"]["0"]) == {"title", "fields", "footer"}
    assert limited.status_code == 429
    assert problems(_SPEC, component(_SPEC, "RatelimitedResponse"), limited.json()) == []
    assert made.headers["x-ratelimit-remaining"] == "4"
    assert limited.headers["x-ratelimit-reset-after"] == "2.000"
    assert "Ada &amp; Söhne &lt;GmbH&gt;" in page.text
    assert "Studio *Nord*" in page.text


@pytest.mark.parametrize(
    ("embed", "status"),
    [
        ({"title": "x" * limits.TITLE}, 204),
        ({"description": "x" * limits.DESCRIPTION}, 204),
        ({"description": "x" * (limits.DESCRIPTION + 1)}, 400),
        ({"fields": [{"name": "n", "value": "v"}] * limits.FIELDS}, 204),
        ({"fields": [{"name": "n", "value": "v"}] * (limits.FIELDS + 1)}, 400),
        ({"description": "x" * 4096, "fields": [{"name": "nnnn", "value": "v" * 948}] * 2}, 204),
        ({"description": "x" * 4096, "fields": [{"name": "nnnnn", "value": "v" * 948}] * 2}, 400),
        ({"title": "x", "url": "javascript:alert(1)"}, 400),
        ({"title": "x", "color": 0x1000000}, 400),
    ],
)
def test_the_sandbox_keeps_to_discords_limits(embed: dict[str, Any], status: int) -> None:
    """At each limit and one over."""
    sandbox = DiscordSandbox(FrozenClock(), CountingIds(), "")
    id_, token = sandbox.webhook_url.rsplit("/", 2)[1:]

    assert sandbox.receive(id_, token, json.dumps({"embeds": [embed]}).encode(), wait=False)[0] == status


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, _MADE, Verdict.DELIVERED),
        (204, "", Verdict.DELIVERED),
        (200, "<html>Welcome", Verdict.REFUSED),
        (302, "", Verdict.RETRY),
        (400, '{"message": "Invalid Form Body", "code": 50035}', Verdict.REFUSED),
        (401, "{}", Verdict.REFUSED),
        (403, "{}", Verdict.REFUSED),
        (404, '{"message": "Unknown Webhook", "code": 10015}', Verdict.GONE),
        (404, '{"message": "Unknown Channel", "code": 10003}', Verdict.REFUSED),
        (429, "cloudflare", Verdict.RETRY),
        (502, "", Verdict.RETRY),
    ],
)
async def test_each_answer_has_its_meaning(status: int, body: str, verdict: Verdict) -> None:
    """A deleted webhook must not be asked again: 10,000 refused requests in ten minutes ban the hub's address."""
    channel = DiscordChannel(FakeOutgoing(reply(status, body, {"x": _URL})), FrozenClock())
    outcome = await channel.send({"webhook_url": _URL}, {}, MESSAGE, delivery_id="dlv_1")

    assert outcome.verdict is verdict
    assert "very-secret-token" not in repr(outcome)


async def test_nested_errors_are_told_in_one_line() -> None:
    """The person who wrote the template must see which part is wrong."""
    errors = {"embeds": {"0": {"title": {"_errors": [{"code": "X", "message": "Must be 256 or fewer in length."}]}}}}
    answer = reply(400, json.dumps({"message": "Invalid Form Body", "code": 50035, "errors": errors}))
    channel = DiscordChannel(FakeOutgoing(answer), FrozenClock())
    outcome = await channel.send({"webhook_url": _URL}, {}, MESSAGE, delivery_id="dlv_1")

    assert outcome.error == (
        "Discord answered 400: Invalid Form Body (embeds.0.title: Must be 256 or fewer in length.)"
    )


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (AddressRefused(f"{_URL} may not be reached."), Verdict.REFUSED),
        (Unreachable(f"could not connect to {_URL}"), Verdict.RETRY),
    ],
)
async def test_no_answer_has_its_meaning(error: Exception, verdict: Verdict) -> None:
    """And names the webhook's address to nobody."""
    channel = DiscordChannel(FakeOutgoing(error), FrozenClock())
    outcome = await channel.send({"webhook_url": _URL}, {}, MESSAGE, delivery_id="dlv_1")

    assert outcome.verdict is verdict
    assert "very-secret-token" not in repr(outcome)


async def test_an_empty_bucket_is_left_alone_until_it_is_full() -> None:
    """A message that would be refused anyway is not sent; other webhooks are not kept waiting."""
    clock = FrozenClock()
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "1.5"}
    outgoing = FakeOutgoing(reply(200, _MADE, headers), otherwise=reply(200, _MADE))
    channel = DiscordChannel(outgoing, clock)

    async def send(url: str = _URL) -> Any:
        return await channel.send({"webhook_url": url}, {}, MESSAGE, delivery_id="dlv_1")

    assert (await send()).verdict is Verdict.DELIVERED
    held = await send()
    assert (held.verdict, held.retry_after, held.status) == (Verdict.RETRY, timedelta(seconds=1.5), None)
    assert "very-secret-token" not in repr(held) + repr(channel)
    assert (await send(_URL.replace("123", "456"))).verdict is Verdict.DELIVERED
    assert len(outgoing.requests) == 2
    clock.advance(timedelta(seconds=1.5))
    assert (await send()).verdict is Verdict.DELIVERED


@pytest.mark.parametrize(("everywhere", "sent"), [(True, 1), (False, 2)])
async def test_a_global_limit_holds_every_webhook(everywhere: bool, sent: int) -> None:
    """Webhooks have no login: the global limit is the address's."""
    body = json.dumps({"message": "slow", "retry_after": 0.25, "global": everywhere})
    outgoing = FakeOutgoing(reply(429, body, {"Retry-After": "1"}), otherwise=reply(200, _MADE))
    channel = DiscordChannel(outgoing, FrozenClock())
    outcome = await channel.send({"webhook_url": _URL}, {}, MESSAGE, delivery_id="dlv_1")
    await channel.send({"webhook_url": _URL.replace("123", "456")}, {}, MESSAGE, delivery_id="dlv_2")

    assert outcome.retry_after == timedelta(seconds=0.25)
    assert len(outgoing.requests) == sent


async def test_the_answer_is_waited_for_and_a_thread_can_be_named() -> None:
    """Without `wait`, a message that was not kept brings no error."""
    outgoing = FakeOutgoing(otherwise=reply(200, _MADE))
    channel = DiscordChannel(outgoing, FrozenClock())
    await channel.send({"webhook_url": _URL}, {"thread_id": "42"}, MESSAGE, delivery_id="dlv_1")
    await channel.send({"webhook_url": _URL}, {"thread_name": "Paid"}, MESSAGE, delivery_id="dlv_2")

    assert outgoing.requests[0].url == _URL + "?wait=true&thread_id=42"
    assert json.loads(outgoing.requests[1].body)["thread_name"] == "Paid"


async def test_a_malformed_address_is_refused() -> None:
    """Never raised: the delivery engine must go on."""
    channel = DiscordChannel(FakeOutgoing(), FrozenClock())

    assert (await channel.send({"webhook_url": "http://["}, {}, MESSAGE, delivery_id="d")).verdict is Verdict.REFUSED
