"""The PayPal sandbox on a port of this machine, with everything that goes over the wire written down."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import httpx
from litestar import Litestar

from adapters.providers.paypal.payments import PayPalPayments
from adapters.providers.paypal.sandbox import PayPalSandbox, sandbox_router
from application.ports.payments import HostedCheckout
from tests.contract.stripe_sandbox import Recorder, served
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds

CLIENT = "client-contract"
ACCESS = {"client_id": CLIENT, "client_secret": "secret-contract", "mode": "sandbox"}


@attrs.define
class Stage:
    """A sandbox that is being served, and the adapter that speaks to it."""

    url: str
    sandbox: PayPalSandbox
    clock: FrozenClock
    recorder: Recorder
    http: httpx.AsyncClient
    payments: PayPalPayments

    @property
    def base(self) -> str:
        """The API's address."""
        return f"{self.url}/paypal"

    async def control(self, where: str, /, **body: Any) -> Any:
        """Use one of the sandbox's controls."""
        answer = await self.http.post(f"{self.base}/_sandbox/{where}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def api(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> httpx.Response:
        """Call the API by hand."""
        form = {"grant_type": "client_credentials"}
        auth = (CLIENT, "secret-contract")
        token = (await self.http.post(f"{self.base}/v1/oauth2/token", data=form, auth=auth)).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"} | ({"PayPal-Request-Id": key} if key else {})
        return await self.http.request(method, f"{self.base}{path}", json=body, headers=headers)

    async def agree(self, reference: str, answer: str = "good", *, status: int = 303) -> httpx.Response:
        """Answer the page of an order, as a person would."""
        where = f"{self.base}/checkoutnow?token={reference}"
        told = await self.http.post(where, data={"answer": answer})
        assert told.status_code == status, told.text
        return told

    async def paid(self, page: HostedCheckout, key: str) -> HostedCheckout:
        """The payer agrees, and the hub takes the money."""
        await self.agree(page.reference)
        return await self.payments.capture_checkout(ACCESS, page.reference, key=key)


@asynccontextmanager
async def staged(*, retries: tuple[float, ...] = (0.02,) * 9, now: datetime | None = None) -> AsyncIterator[Stage]:
    """A sandbox of its own, its clock stopped at the second (by default at the present one)."""
    clock = FrozenClock((now or datetime.now(UTC)).replace(microsecond=0))
    sandbox = PayPalSandbox(clock, CountingIds(), "http://to.be.known", retries=retries, per_second=100_000)
    recorder = Recorder(Litestar([sandbox_router(sandbox)], openapi_config=None, logging_config=None))
    async with served(recorder) as url, httpx.AsyncClient(timeout=10) as http:
        sandbox.public_url = url
        payments = PayPalPayments(clock, f"{url}/paypal", timeout=timedelta(seconds=20))
        yield Stage(url, sandbox, clock, recorder, http, payments)
        await payments.aclose()
        await sandbox.aclose()
