"""How a sandbox's events reach those who asked: signed, retried, and on demand late, twofold or out of order."""

import asyncio
import copy
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
import httpx

from application.ports.clock import Clock

RETRIES = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0)
"""Seconds between tries. The vendors spread their own over hours or days."""
_KEPT = 1000
_TIMEOUT = 10.0


@attrs.define
class Behaviour:
    """How badly the post behaves.

    copies: each event is sent so many times. reorder: the events of one change are held for `hold_ms` and sent last
    first. delay_ms: everything waits so long first. drop: so many events are lost on their way, with all their copies.
    """

    copies: int = 1
    reorder: bool = False
    delay_ms: int = 0
    hold_ms: int = 300
    drop: int = 0


@attrs.define
class Delivery:
    """One copy of an event on its way to one endpoint."""

    event: str
    type: str
    endpoint: str
    url: str
    copy: int
    state: str = "pending"
    attempts: list[dict[str, Any]] = attrs.field(factory=list)


def _nothing() -> None:
    pass


@attrs.frozen
class Letter:
    """An event for one endpoint. seal: the headers and body as they are sent at a moment, so that each try is signed anew.
    delivered: called when it has arrived."""

    id: str
    type: str
    endpoint: str
    url: str
    seal: Callable[[datetime], tuple[Mapping[str, str], bytes]]
    delivered: Callable[[], None] = _nothing


class Post:
    """Sends events. retries: seconds before each further try."""

    def __init__(self, clock: Clock, retries: Sequence[float] = RETRIES) -> None:
        self.behaviour = Behaviour()
        self.deliveries: deque[Delivery] = deque(maxlen=_KEPT)
        self._clock = clock
        self._retries = retries
        self._http: httpx.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, letters: Iterable[Letter]) -> None:
        """Send the letters born of one change, in order or as the behaviour says. Returns at once."""
        burst = [
            (letter, Delivery(letter.id, letter.type, letter.endpoint, letter.url, number))
            for letter in letters
            if not self._lost(letter)
            for number in range(1, self.behaviour.copies + 1)
        ]
        if burst:
            self.deliveries.extend(delivery for _, delivery in burst)
            self._start(self._burst(burst, copy.copy(self.behaviour)))

    def _lost(self, letter: Letter) -> bool:
        """Whether it never arrives; nobody is told."""
        if self.behaviour.drop <= 0:
            return False
        self.behaviour.drop -= 1
        self.deliveries.append(Delivery(letter.id, letter.type, letter.endpoint, letter.url, 1, "lost"))
        return True

    async def idle(self) -> None:
        """Return when nothing is on its way."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def aclose(self) -> None:
        """Stop sending."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http:
            await self._http.aclose()
            self._http = None

    def reset(self) -> None:
        """Forget what was sent and give up what was not."""
        for task in self._tasks:
            task.cancel()
        self.deliveries.clear()
        self.behaviour = Behaviour()

    async def _burst(self, burst: list[tuple[Letter, Delivery]], behaviour: Behaviour) -> None:
        await asyncio.sleep((behaviour.delay_ms + (behaviour.hold_ms if behaviour.reorder else 0)) / 1000)
        for letter, delivery in reversed(burst) if behaviour.reorder else burst:
            if not await self._try(letter, delivery):
                self._start(self._again(letter, delivery))

    async def _again(self, letter: Letter, delivery: Delivery) -> None:
        for pause in self._retries:
            await asyncio.sleep(pause)
            if await self._try(letter, delivery):
                return
        delivery.state = "failed"

    async def _try(self, letter: Letter, delivery: Delivery) -> bool:
        now = self._clock.now()
        headers, body = letter.seal(now)
        self._http = self._http or httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False)
        attempt: dict[str, Any] = {"at": int(now.timestamp()), "status": None, "error": None}
        delivery.attempts.append(attempt)
        try:
            answer = await self._http.post(letter.url, content=body, headers=dict(headers))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            attempt["error"] = f"{type(error).__name__}: {error}"
            return False
        attempt["status"] = answer.status_code
        if not answer.is_success:
            return False
        delivery.state = "delivered"
        letter.delivered()
        return True

    def _start(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
