"""Signing and verifying beside what others use for it, turn by turn in the same process."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import stripe
from standardwebhooks.webhooks import Webhook

from adapters.providers.stripe.webhook import HEADER, read_webhook, signature
from benchmarks.rows import Row, row, tidy
from domain.notifications.signing import sign

_SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_BODY = json.dumps({"type": "kiln.fired", "data": {"padding": "x" * 440}}).encode()


def signing(times: int, runs: int) -> Iterator[Row]:
    """From the secret as it is kept to the signature of 500 bytes."""
    now, text = datetime.now(UTC), _BODY.decode()
    yield _beside(
        "Standard Webhooks, signing 500 bytes",
        lambda: sign([_SECRET], "evt_1", now, _BODY),
        "standardwebhooks",
        lambda: Webhook(_SECRET).sign("evt_1", now, text),
        times,
        runs,
    )


def stripe_verifying(times: int, runs: int) -> Iterator[Row]:
    """From the raw body of a webhook of 3 KB to what it says."""
    at = int(time.time())
    about = {"id": "pi_1", "object": "payment_intent", "status": "succeeded", "metadata": {}, "description": "x" * 2500}
    event = {"id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "created": at, "livemode": False}
    body = json.dumps({**event, "data": {"object": about}}).encode()
    header = f"t={at},v1={signature(_SECRET, at, body)}"
    now, headers = datetime.fromtimestamp(at, UTC), {HEADER: header}
    yield _beside(
        "Stripe webhook, verifying and reading 3 KB",
        lambda: read_webhook((_SECRET,), headers, body, now),
        "stripe.Webhook.construct_event",
        lambda: stripe.Webhook.construct_event(body, header, _SECRET),
        times,
        runs,
    )


def _beside(
    name: str, ours: Callable[[], object], peer: str, theirs: Callable[[], object], times: int, runs: int
) -> Row:
    """Turn by turn, so that a busy moment of the machine hits both alike."""
    ratios, rates = [], []
    for _ in range(runs):
        mine, others = _rate(ours, times), _rate(theirs, times)
        rates.append(mine)
        ratios.append(mine / others)
    return row(name, rates, "1/s", peer=peer, ratio=tidy(sorted(ratios)[len(ratios) // 2]))


def _rate(work: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        work()
    return times / (time.perf_counter() - began)
