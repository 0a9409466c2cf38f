"""What stands before the sandbox's work: the rate limit, the memory of idempotency keys, and faults made to order."""

import asyncio
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from adapters.providers.stripe.sandbox_books import Books
from adapters.providers.stripe.sandbox_form import StripeFault
from application.ports.clock import Clock

_REMEMBERED = timedelta(hours=24)


@attrs.frozen
class Call:
    """One HTTP request. headers: lower-case names."""

    method: str
    path: str
    query: str
    body: bytes
    headers: Mapping[str, str]


@attrs.frozen
class Answer:
    """One HTTP answer. hangs: it is never sent."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = attrs.field(factory=dict)
    hangs: bool = False

    def replayed(self) -> "Answer":
        """The same, marked as told before."""
        return attrs.evolve(self, headers={**self.headers, "Idempotent-Replayed": "true"})


@attrs.define
class Fault:
    """What goes wrong with the next `count` calls whose path begins with `path`.

    status: answered instead, before the work or after it. timeout: the work is done and no answer comes.
    delay_ms: the work takes so long.
    """

    count: int = 1
    path: str = "/"
    status: int | None = None
    after_work: bool = False
    timeout: bool = False
    delay_ms: int = 0
    retry_after: int | None = None

    def refusal(self) -> StripeFault:
        """The error that is answered."""
        status = self.status or 500
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if status == 429:
            return StripeFault("Too many requests.", status=429, code="rate_limit", headers=headers)
        kind = "api_error" if status >= 500 else "invalid_request_error"
        return StripeFault(f"The sandbox was told to answer {status}.", status=status, kind=kind, headers=headers)


class RateLimit:
    """At most so many calls in any second, for each key."""

    def __init__(self, per_second: int) -> None:
        self._default = per_second
        self.per_second = per_second
        self._spent: dict[str, deque[float]] = {}

    def spend(self, key: str) -> None:
        """Count a call. Raises StripeFault 429."""
        now = asyncio.get_running_loop().time()
        spent = self._spent.setdefault(key, deque())
        while spent and spent[0] <= now - 1:
            spent.popleft()
        if len(spent) >= self.per_second:
            headers = {"Stripe-Rate-Limited-Reason": "global-rate"}
            raise StripeFault("Too many requests in a second.", status=429, code="rate_limit", headers=headers)
        spent.append(now)

    def reset(self) -> None:
        """Forget what was spent and set the limit back."""
        self._spent.clear()
        self.per_second = self._default


@attrs.define
class Slot:
    """What is remembered under an idempotency key."""

    asked: tuple[str, str, dict[str, Any]]
    at: datetime
    running: bool = True
    answer: Answer | None = None


class Idempotency:
    """The first answer under a key, for 24 hours; only what began to be done is kept (docs.stripe.com, idempotency)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slots: dict[tuple[str, bool, str], Slot] = {}

    def slot(self, books: Books, call: Call, tree: dict[str, Any]) -> Slot | None:
        """The place for this call's answer; it may have one already. Raises StripeFault 400 or 409."""
        key = call.headers.get("idempotency-key")
        if key is None or call.method != "POST":
            return None
        if not 1 <= len(key) <= 255:
            raise StripeFault("An idempotency key has 1 to 255 characters.", kind="idempotency_error")
        now = self._clock.now()
        place = (books.account, books.live, key)
        asked = (call.method, call.path, tree)
        slot = self._slots.get(place)
        if slot and slot.at + _REMEMBERED <= now:
            slot = None
        if slot and slot.asked != asked:
            raise StripeFault("This idempotency key was used for another request.", kind="idempotency_error")
        if slot and slot.running:
            raise StripeFault(
                "A request with this idempotency key is still being done.",
                status=409,
                kind="idempotency_error",
                code="idempotency_key_in_use",
            )
        if slot is None or slot.answer is None:
            slot = self._slots[place] = Slot(asked, now)
        return slot

    def keep(self, slot: Slot | None, answer: Answer, request_id: str) -> None:
        """Remember an answer, unless the request was refused before anything was done."""
        if slot and (answer.status < 400 or answer.status == 402 or answer.status >= 500):
            slot.answer = attrs.evolve(answer, headers={**answer.headers, "Original-Request": request_id})

    def leave(self, slot: Slot | None) -> None:
        """The request is over."""
        if slot:
            slot.running = False
            if slot.answer is None:
                self._slots = {place: kept for place, kept in self._slots.items() if kept is not slot}
