"""Carrying to an endpoint with everything it may ask for; what is secret stays out of the record."""

import json
from datetime import timedelta
from typing import Any

import attrs

from application.notifications.client_credentials import YOUNG
from application.notifications.endpoint_settings import about
from application.ports.dispatch import Ready
from application.ports.outgoing import Reply, Unreachable
from domain.notifications.attempts import Outcome, Verdict
from domain.notifications.deliveries import Delivery, DestinationKind
from domain.notifications.endpoints import Endpoint, EndpointMode
from domain.notifications.envelopes import Envelope
from domain.notifications.grants import Grant
from domain.notifications.health import WELL
from domain.notifications.options import Options
from domain.notifications.payload import Payload
from domain.notifications.shape import Shape
from domain.notifications.signatures import SignatureStyle
from tests.contract.certificates import Authority
from tests.fakes.outgoing import FakeOutgoing, reply
from tests.unit.application.bench import Bench

GRANT = Grant("https://login.example/token", "id", "s3cret")


def granted(text: str) -> Reply:
    """A token server's answer."""
    return reply(200, json.dumps({"access_token": text, "token_type": "bearer", "expires_in": 3600}))


async def carried(bench: Bench, *script: Reply | Exception, **changes: Any) -> tuple[Outcome, FakeOutgoing]:
    """One attempt at an endpoint with these changes; what came of it, and what was sent."""
    outgoing = bench.outgoing
    assert isinstance(outgoing, FakeOutgoing)
    outgoing.script.extend(script)
    endpoint = await bench.endpoint()
    endpoint = with_secrets(bench, endpoint, **changes)
    return await bench.carry.to_endpoint(endpoint).carry(ready(bench, endpoint), bench.clock.now()), outgoing


def with_secrets(bench: Bench, endpoint: Endpoint, **changes: Any) -> Endpoint:
    """The texts among the changes are sealed."""
    sealing = about(endpoint.id, endpoint.organisation_id)
    sealed: dict[str, Any] = {
        n: bench.vault.seal(v, about=sealing) if n.startswith("sealed_") else v for n, v in changes.items()
    }
    return attrs.evolve(endpoint, **sealed)


def ready(bench: Bench, endpoint: Endpoint) -> Ready:
    """A delivery to it."""
    event = bench.make.event(bench.org)
    delivery = Delivery.of(event, DestinationKind.ENDPOINT, endpoint.id, id="dlv_1", now=bench.clock.now())
    return Ready(delivery, Payload.of(event, "https://hub.example"))


async def test_the_plain_body_is_not_kept_twice(bench: Bench) -> None:
    """It is kept with the event; what a template made is kept with the attempt."""
    plain, _ = await carried(bench)
    assert (plain.verdict, plain.request_body) == (Verdict.DELIVERED, "")
    shaped, outgoing = await carried(bench, options=Options(Shape(template='{"t": "{{type}}"}')))
    assert shaped.request_body == outgoing.requests[-1].body.decode()


async def test_a_token_is_sent_and_never_shown(bench: Bench) -> None:
    """Not even when the receiver repeats it in its answer."""
    echo = reply(200, "you sent Bearer tok-CANARY", {"X-Echo": "Bearer tok-CANARY"})
    outcome, outgoing = await carried(bench, granted("tok-CANARY"), echo, sealed_oauth=GRANT.to_json())
    asked, sent = outgoing.requests
    assert asked.url == GRANT.token_url
    assert sent.headers["authorization"] == "Bearer tok-CANARY"
    assert outcome.request_headers["authorization"] == "•••"
    assert outcome.verdict is Verdict.DELIVERED
    assert "CANARY" not in repr(outcome)


async def test_a_401_asks_for_one_new_token(bench: Bench) -> None:
    """Within the same attempt; a second 401 is the receiver's answer."""
    outgoing = bench.outgoing
    assert isinstance(outgoing, FakeOutgoing)
    endpoint = with_secrets(bench, await bench.endpoint(), sealed_oauth=GRANT.to_json())
    carrier = bench.carry.to_endpoint(endpoint)
    outgoing.script.extend([granted("one"), reply(200)])
    await carrier.carry(ready(bench, endpoint), bench.clock.now())
    bench.clock.advance(YOUNG)
    outgoing.script.extend([reply(401), granted("two"), reply(200)])
    outcome = await carrier.carry(ready(bench, endpoint), bench.clock.now())
    assert outcome.verdict is Verdict.DELIVERED
    assert [r.headers.get("authorization", "")[:10] for r in outgoing.requests[-3:]] == [
        "Bearer one",
        "Basic aWQ6",
        "Bearer two",
    ]
    outgoing.script.extend([reply(401)])  # the new one is too young to be replaced
    outcome = await carrier.carry(ready(bench, endpoint), bench.clock.now())
    assert (outcome.verdict, outcome.status, len(outgoing.script)) == (Verdict.RETRY, 401, 0)


async def test_without_a_token_nothing_is_sent_and_it_is_tried_again(bench: Bench) -> None:
    """The receiver is not bothered; the attempt says what is wrong at the token server."""
    refused = reply(401, '{"error":"invalid_client"}', {"Retry-After": "60"})
    outcome, outgoing = await carried(bench, refused, sealed_oauth=GRANT.to_json())
    assert (outcome.verdict, outcome.status, outcome.retry_after) == (Verdict.RETRY, None, timedelta(seconds=60))
    assert "invalid_client" in (outcome.error or "")
    assert len(outgoing.requests) == 1
    late, _ = await carried(bench, Unreachable("no answer", timed_out=True), sealed_oauth=GRANT.to_json())
    assert (late.verdict, late.timed_out) == (Verdict.RETRY, True)


async def test_certificate_headers_shape_and_style_go_together(bench: Bench) -> None:
    """Everything an endpoint may ask for at once."""
    identity = Authority().identity()
    outcome, outgoing = await carried(
        bench,
        sealed_identity=json.dumps({"certificate": identity.certificate, "key": identity.key}),
        sealed_headers=json.dumps({"X-Token": "tok"}),
        options=Options(
            Shape(Envelope.CLOUDEVENTS_BINARY), signature=SignatureStyle.STRIPE, signature_header="x-signature"
        ),
    )
    (sent,) = outgoing.requests
    assert sent.identity == identity
    assert sent.headers["X-Token"] == "tok"
    assert sent.headers["ce-specversion"] == "1.0"
    assert sent.headers["x-signature"].startswith("t=")
    assert outcome.request_headers["X-Token"] == "•••"


async def test_nothing_is_sent_to_a_polled_endpoint(bench: Bench) -> None:
    """A delivery that got into the lane all the same says so, and does not stay for ever."""
    endpoint = await bench.endpoint(url="", mode=EndpointMode.POLL)
    carrier = await bench.carry.opened(DestinationKind.ENDPOINT, bench.org, endpoint.id)
    outcome = await carrier.carry(ready(bench, endpoint), bench.clock.now())
    assert (outcome.verdict, "polled" in (outcome.error or "")) == (Verdict.REFUSED, True)


async def test_what_does_not_fit_the_shape_is_not_held_against_the_receiver(bench: Bench) -> None:
    """A publisher could otherwise switch off an endpoint that was never called."""
    shape = Shape(template="{{data.text | json | json | json | json | json | json | json | json}}")
    endpoint = attrs.evolve(await bench.endpoint(), options=Options(shape=shape))
    event = attrs.evolve(bench.make.event(bench.org), data={"text": '"' * 4_000})
    delivery = Delivery.of(event, DestinationKind.ENDPOINT, endpoint.id, id="dlv_1", now=bench.clock.now())
    carrier = bench.carry.to_endpoint(endpoint)
    outcome = await carrier.carry(Ready(delivery, Payload.of(event, "https://hub.example")), bench.clock.now())
    assert (outcome.verdict, outcome.unsent) == (Verdict.REFUSED, True)
    assert "does not fit the endpoint's shape" in (outcome.error or "")
    assert WELL.attempted(outcome, bench.clock.now(), bench.clock.now()) == WELL
