"""The host application that publishes: each call carries a key, and is repeated until it is answered."""

import random
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import httpx

_AGAIN_S = 0.02
_REPEATED = 0.03
"""The part of the calls that are made again although they were answered, as by one who lost power too."""


@attrs.frozen
class Unit:
    """One call: the events of these numbers, alone or in a batch."""

    key: str
    numbers: tuple[int, ...]


def units(events: int, seed: str) -> list[Unit]:
    """Calls for so many events: a third of the events alone, the rest in batches of 5 to 40."""
    dice = random.Random(f"{seed} units")
    made: list[Unit] = []
    number = 0
    while number < events:
        size = 1 if dice.random() < 0.9 else min(dice.randint(5, 40), events - number)
        made.append(Unit(f"unit-{len(made)}", tuple(range(number, number + size))))
        number += size
    return made


class Publisher:
    """Threads that publish what was released so far."""

    def __init__(self, url: str, headers: Mapping[str, str], work: Sequence[Unit], seed: str, threads: int = 2) -> None:
        self.acknowledged: dict[int, str] = {}
        self.refused: list[str] = []
        self.repeated = self.retried = 0
        self._url, self._headers, self._work = url, headers, work
        self._dice = random.Random(f"{seed} publisher")
        self._next = self._released = 0
        self._change = threading.Condition()
        self._ended = False
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def release(self, part: float) -> None:
        """Publish up to this part of everything."""
        with self._change:
            self._released = round(len(self._work) * min(part, 1))
            self._change.notify_all()

    def finish(self, patience: float) -> None:
        """Release the rest, and wait until all of it is acknowledged."""
        self.release(1)
        deadline = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        assert not any(thread.is_alive() for thread in self._threads), "not everything was acknowledged"
        assert not self.refused, self.refused[:3]

    def stop(self) -> None:
        """Give up."""
        with self._change:
            self._ended = True
            self._change.notify_all()

    def _run(self) -> None:
        with httpx.Client(timeout=15, trust_env=False) as http:
            while (unit := self._take()) is not None:
                first = self._publish(http, unit)
                if first is None:
                    return
                self.acknowledged.update(zip(unit.numbers, first, strict=True))
                if self._dice.random() < _REPEATED:
                    self.repeated += 1
                    again = self._publish(http, unit)
                    if again is not None and again != first:
                        self.refused.append(f"{unit.key}: another answer: {first} and {again}")

    def _take(self) -> Unit | None:
        with self._change:
            while self._next >= self._released:
                if self._ended or self._next >= len(self._work):
                    return None
                self._change.wait()
            if self._ended:
                return None
            self._next += 1
            return self._work[self._next - 1]

    def _publish(self, http: httpx.Client, unit: Unit) -> list[str] | None:
        events = [{"type": "kiln.fired", "data": {"n": number}} for number in unit.numbers]
        path, body = ("/api/events", events[0]) if len(events) == 1 else ("/api/events/batch", {"events": events})
        headers = {**self._headers, "Idempotency-Key": unit.key}
        while not self._ended:
            try:
                answer = http.post(self._url + path, json=body, headers=headers)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == 201:
                told: Any = answer.json()
                return [item["id"] for item in told.get("items", [told])]
            if answer is not None and answer.status_code < 500 and "in-flight" not in answer.text:
                self.refused.append(f"{unit.key}: {answer.status_code} {answer.text}")
                return None
            self.retried += 1
            time.sleep(_AGAIN_S)
        return None
