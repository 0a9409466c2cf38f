"""The Flutterwave sandbox on a port of this machine, with everything that goes over the wire written down."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import httpx
from litestar import Litestar

from adapters.providers.flutterwave.sandbox import FlutterwaveSandbox, sandbox_router
from tests.contract.stripe_sandbox import Recorder, served
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds

KEY = "FLWSECK_TEST-contract-X"


@attrs.define
class Stage:
    """A sandbox that is being served. base: what the adapter takes for Flutterwave's address."""

    url: str
    sandbox: FlutterwaveSandbox
    clock: FrozenClock
    recorder: Recorder
    http: httpx.AsyncClient

    @property
    def base(self) -> str:
        """The API's address, without its version."""
        return f"{self.url}/flutterwave"

    async def control(self, path: str, /, **body: Any) -> Any:
        """Use one of the sandbox's controls."""
        answer = await self.http.post(f"{self.base}/_sandbox/{path}", json=body)
        assert answer.status_code < 500, answer.text
        return answer.json()

    async def api(self, method: str, path: str, /, key: str = KEY, query: Any = None, **body: Any) -> httpx.Response:
        """Call the API by hand."""
        headers = {"Authorization": f"Bearer {key}"}
        json = body if method in ("POST", "PUT") else None
        return await self.http.request(method, f"{self.base}/v3{path}", params=query, json=json, headers=headers)

    def page(self, tx_ref: str) -> str:
        """The address of the newest page for a reference."""
        found = [
            one.token for each in self.sandbox.accounts.values() for one in each.pages.values() if one.tx_ref == tx_ref
        ]
        return f"{self.base}/v3/hosted/pay/{found[-1]}"


@asynccontextmanager
async def staged(
    *, settles: timedelta = timedelta(hours=1), retries: tuple[float, ...] = (0.02,) * 9
) -> AsyncIterator[Stage]:
    """A sandbox of its own, its clock stopped at the present second. What waits for time comes out when it is told to."""
    clock = FrozenClock(datetime.now(UTC).replace(microsecond=0))
    sandbox = FlutterwaveSandbox(clock, CountingIds(), "http://to.be.known", settles=settles, retries=retries)
    recorder = Recorder(Litestar([sandbox_router(sandbox)], openapi_config=None, logging_config=None))
    async with served(recorder) as url, httpx.AsyncClient(timeout=10) as http:
        sandbox.public_url = url
        yield Stage(url, sandbox, clock, recorder, http)
        await sandbox.aclose()
