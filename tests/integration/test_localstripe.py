"""A second opinion on our Stripe adapter: localstripe, an emulator that other people made.

It is under the GPL, so it only ever runs in a process and an environment of its own, outside this project. What it is
too old to know is taken out of our requests on the way by `Relay`, which is the list of those differences.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
from litestar.types import Receive, Scope, Send

from adapters.providers.stripe.payments import StripePayments
from application.ports.payments import BadSignature, IntentState, ProviderRefused, RefundState
from domain.money import Money
from tests.contract.stripe_sandbox import Mailbox, served

VERSION = "localstripe==1.15.10"
HOME = Path(
    os.environ.get("PATCHBAY_LOCALSTRIPE_VENV", Path.home() / ".cache" / "patchbay-tests" / "localstripe")
).expanduser()
SECRET = "whsec_localstripe"
ACCESS = {"secret_key": "sk_test_localstripe"}
# It would listen on every address, and keep its objects in a file in the temporary folder.
SERVE = """
import sys
from aiohttp import web
from localstripe import resources
resources.Store.dump_to_disk = lambda self: None
from localstripe.server import app
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


class Relay:
    """Passes requests on. localstripe knows no `automatic_payment_methods`, which Stripe has had since 2022."""

    def __init__(self, to: str) -> None:
        self._http = httpx.AsyncClient(base_url=to, timeout=10)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message: Any = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["path"] == "/v1/payment_intents":
            pairs = parse_qsl(body.decode(), keep_blank_values=True)
            body = urlencode([pair for pair in pairs if not pair[0].startswith("automatic_payment_methods")]).encode()
        headers = {k: v for k, v in scope["headers"] if k in (b"authorization", b"content-type")}
        url = f"{scope['path']}?{scope['query_string'].decode()}"
        answer = await self._http.request(scope["method"], url, content=body, headers=headers)  # type: ignore[typeddict-item]
        start: Any = {
            "type": "http.response.start",
            "status": answer.status_code,
            "headers": [(b"content-type", b"application/json")],
        }
        await send(start)
        await send({"type": "http.response.body", "body": answer.content, "more_body": False})

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _python() -> Path:
    """The interpreter that has localstripe; it is installed when it is not there. Skips, in CI fails, if it cannot be."""
    python = HOME / "bin" / "python"
    have = [str(python), "-c", "import localstripe.server"]
    if python.exists() and subprocess.run(have, capture_output=True, check=False).returncode == 0:
        return python
    try:
        HOME.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True, capture_output=True, timeout=120)
        install = [str(python), "-m", "pip", "install", "--quiet", VERSION]
        subprocess.run(install, check=True, capture_output=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", None) or b""
        reason = f"localstripe cannot be installed: {error} {told.decode(errors='replace')[-300:]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return python


@pytest.fixture(scope="module")
def localstripe() -> Iterator[str]:
    """localstripe, listening on this machine only; gives its address."""
    python = _python()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [str(python), "-c", SERVE, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=HOME
    )
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + 20
    while True:
        try:
            httpx.get(url, timeout=1)
            break
        except httpx.TransportError:
            assert process.poll() is None, "localstripe did not start"
            assert time.monotonic() < end, "localstripe does not answer"
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture
async def payments(localstripe: str) -> AsyncIterator[StripePayments]:
    """Our adapter, with localstripe at the other end."""
    relay = Relay(localstripe)
    async with served(relay) as url:
        payments = StripePayments(url, timeout=timedelta(seconds=10))
        yield payments
        await payments.aclose()
    await relay.aclose()


async def _confirm(localstripe: str, reference: str, method: str) -> int:
    """The payer's part; localstripe takes the method beforehand, not with the confirmation."""
    async with httpx.AsyncClient(base_url=localstripe, auth=(ACCESS["secret_key"], "")) as http:
        given = await http.post(f"/v1/payment_intents/{reference}", data={"payment_method": method})
        assert given.status_code == 200, given.text
        return (await http.post(f"/v1/payment_intents/{reference}/confirm")).status_code


async def test_money_comes_and_goes_back(localstripe: str, payments: StripePayments) -> None:
    """Customer, payment and refunds, judged by an emulator that knows nothing of ours."""
    customer = await payments.ensure_customer(ACCESS, our_reference="cl_1", email="a@b.example", name="Pat", key="c")
    assert (customer.email, customer.name) == ("a@b.example", "Pat")
    price = Money.of("25.00", "EUR")
    made = await payments.create_intent(
        ACCESS, price, key="i", customer_reference=customer.reference, metadata={"payment": "pay_1"}
    )
    assert (made.state, made.amount, made.metadata) == (IntentState.WAITING, price, {"payment": "pay_1"})
    assert await _confirm(localstripe, made.reference, "pm_card_visa") == 200
    async with asyncio.timeout(10):
        while (now := await payments.fetch_intent(ACCESS, made.reference)).state is not IntentState.SUCCEEDED:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert now.received == price
    first = await payments.refund(ACCESS, made.reference, Money.of("10.00", "EUR"), key="r", reason="Too small")
    assert (first.state, first.amount, first.intent_reference) == (
        RefundState.SUCCEEDED,
        Money.of("10.00", "EUR"),
        made.reference,
    )
    for number in range(11):
        await payments.refund(ACCESS, made.reference, Money.of("1.00", "EUR"), key=f"r{number}")
    assert len(await payments.refunds_of(ACCESS, made.reference)) == 12


async def test_a_decline_and_an_unknown_payment(localstripe: str, payments: StripePayments) -> None:
    """Its refusals become ours."""
    made = await payments.create_intent(ACCESS, Money.of("25.00", "EUR"), key="i")
    assert await _confirm(localstripe, made.reference, "pm_card_chargeCustomerFail") == 402
    now = await payments.fetch_intent(ACCESS, made.reference)
    assert (now.state, bool(now.failure), now.received.amount) == (IntentState.WAITING, True, 0)
    with pytest.raises(ProviderRefused) as refused:
        await payments.fetch_intent(ACCESS, "pi_none")
    assert refused.value.missing


async def test_its_webhooks_are_believed(localstripe: str, payments: StripePayments) -> None:
    """Signed by code that neither we nor Stripe wrote."""
    box = Mailbox()
    async with served(box) as url, httpx.AsyncClient(auth=(ACCESS["secret_key"], "")) as http:
        hook = {"url": f"{url}/in", "secret": SECRET}
        assert (await http.post(f"{localstripe}/_config/webhooks/ours", json=hook)).status_code == 200
        made = await payments.create_intent(ACCESS, Money.of("25.00", "EUR"), key="i", metadata={"payment": "pay_1"})
        await _confirm(localstripe, made.reference, "pm_card_visa")
        payer = await payments.ensure_customer(ACCESS, our_reference="cl_1", email=None, name="Pat", key="c")
        # It tells a second later, and first of what earlier tests did.
        async with asyncio.timeout(10):
            while not {made.reference, payer.reference} <= {event["data"]["object"]["id"] for event in box.events}:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    now = datetime.now(UTC)
    read = [payments.read_webhook((SECRET,), headers, body, now) for headers, body in box.got]
    told = {event.object_reference: event for event in read}
    assert told[made.reference].type == "payment_intent.succeeded"
    assert told[made.reference].intent_reference == made.reference
    assert told[made.reference].metadata == {"payment": "pay_1"}
    assert (told[payer.reference].type, told[payer.reference].object_kind) == ("customer.created", "customer")
    for headers, body in box.got:
        with pytest.raises(BadSignature):
            payments.read_webhook(("whsec_other",), headers, body, now)
        with pytest.raises(BadSignature):
            payments.read_webhook((SECRET,), headers, body.replace(b"pi_", b"pj_") + b" ", now)
