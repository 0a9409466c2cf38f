"""Doing a thing once for an Idempotency-Key: the answer is kept in the same transaction as the effect.

So a crash between the two cannot happen: either both are there and a repetition gets the same answer, or neither is.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import attrs

from application.ports.store import Answer, Work
from domain.refusals import Refusal


class KeyReused(Refusal):
    """The same Idempotency-Key came with another request."""


@attrs.frozen
class Once:
    """A call that carries an Idempotency-Key. `render` makes the answer's status, body and headers of the result, `refuse`
    those of a refusal that is to be answered again when the call is repeated."""

    key: str
    request_hash: str
    render: Callable[[Any], tuple[int, bytes, Mapping[str, str]]]
    refuse: Callable[[Refusal], tuple[int, bytes, Mapping[str, str]]] | None = None

    def check(self, earlier: Answer) -> None:
        """Raise KeyReused unless the earlier call was this one."""
        if earlier.request_hash != self.request_hash:
            raise KeyReused("This Idempotency-Key was used for another request.", field="Idempotency-Key")


async def remember(work: Work, once: Once | None, result: object, now: datetime) -> None:
    """Keep what is about to be answered. Call it last before the commit."""
    if once is not None:
        await work.answers.add(_answer(once, result, now))


async def remember_later(work: Work, once: Once | None, result: object, now: datetime) -> None:
    """Keep how far a remembered call has come since."""
    if once is not None:
        await work.answers.replace(_answer(once, result, now))


async def refuse_later(work: Work, once: Once | None, refusal: Refusal, result: object, now: datetime) -> None:
    """Keep that a remembered call was refused in the end; `result` is what is shown where a refusal cannot be."""
    if once is not None and once.refuse is not None:
        status, body, headers = once.refuse(refusal)
        await work.answers.replace(Answer(once.key, once.request_hash, status, body, headers, now))
    else:
        await remember_later(work, once, result, now)


def _answer(once: Once, result: object, now: datetime) -> Answer:
    status, body, headers = once.render(result)
    return Answer(once.key, once.request_hash, status, body, headers, now)
