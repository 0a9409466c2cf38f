"""The Stripe sandbox on a port of this machine, with everything that goes over the wire written down."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import httpx
import uvicorn
from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from adapters.providers.stripe.sandbox import StripeSandbox, sandbox_router
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds

KEY = "sk_test_contract"


@attrs.frozen
class Exchange:
    """A request to the sandbox and its answer."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    status: int
    answer: bytes

    @property
    def json(self) -> Any:
        """The answer's body."""
        return json.loads(self.answer)


class Recorder:
    """An ASGI application that writes down what another one is asked and answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.exchanges: list[Exchange] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == ScopeType.HTTP
        asked, answered, status = bytearray(), bytearray(), 0

        async def receive_() -> Any:
            message = await receive()
            asked.extend(message.get("body", b""))  # type: ignore[arg-type]
            return message

        async def send_(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)  # type: ignore[assignment]
            answered.extend(message.get("body", b""))  # type: ignore[arg-type]
            await send(message)

        await self._app(scope, receive_, send_)
        self.exchanges.append(
            Exchange(
                scope["method"],
                scope["path"],
                scope["query_string"].decode(),
                {name.decode().lower(): value.decode() for name, value in scope["headers"]},
                bytes(asked),
                status,
                bytes(answered),
            )
        )


class Mailbox:
    """A receiver of webhooks. statuses: what it answers to the next ones; afterwards 200."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")  # type: ignore[operator]
            more = bool(message.get("more_body", False))
        self.got.append(({k.decode(): v.decode() for k, v in scope["headers"]}, body))
        status = self.statuses.pop(0) if self.statuses else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    @property
    def events(self) -> list[dict[str, Any]]:
        """The bodies, in the order they came."""
        return [json.loads(body) for _, body in self.got]

    @property
    def types(self) -> list[str]:
        """The events' types, in the order they came."""
        return [event["type"] for event in self.events]


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI application on a free port of 127.0.0.1; gives its address."""
    # asyncio turns Nagle's algorithm off only for a socket that names its protocol; left on, each answer takes 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, ws="none", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await task


@attrs.define
class Stage:
    """A sandbox that is being served. base: what the SDK takes for Stripe's address."""

    url: str
    sandbox: StripeSandbox
    clock: FrozenClock
    recorder: Recorder
    http: httpx.AsyncClient

    @property
    def base(self) -> str:
        """The API's address."""
        return f"{self.url}/stripe"

    async def control(self, path: str, **body: Any) -> Any:
        """Use one of the sandbox's controls."""
        answer = await self.http.post(f"{self.base}/_sandbox/{path}", json=body)
        assert answer.status_code < 500, answer.text
        return answer.json()

    async def api(self, method: str, path: str, key: str = KEY, **form: str) -> httpx.Response:
        """Call the API by hand; `form` goes into the query of a GET."""
        headers = {"Authorization": f"Bearer {key}"}
        if method == "POST":
            return await self.http.post(f"{self.base}{path}", data=form, headers=headers)
        return await self.http.request(method, f"{self.base}{path}", params=form, headers=headers)


@asynccontextmanager
async def staged(*, retries: tuple[float, ...] = (0.02,) * 9, now: datetime | None = None) -> AsyncIterator[Stage]:
    """A sandbox of its own, its clock stopped at the second (by default at the present one)."""
    clock = FrozenClock((now or datetime.now(UTC)).replace(microsecond=0))
    sandbox = StripeSandbox(
        clock, CountingIds(), "http://to.be.known", retries=retries, refunds_settle=timedelta(milliseconds=20)
    )
    recorder = Recorder(Litestar([sandbox_router(sandbox)], openapi_config=None, logging_config=None))
    async with served(recorder) as url, httpx.AsyncClient(timeout=10) as http:
        sandbox.public_url = url
        yield Stage(url, sandbox, clock, recorder, http)
        await sandbox.aclose()
