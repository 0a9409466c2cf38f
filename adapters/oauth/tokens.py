"""Access tokens that are got with an application's own credentials (RFC 6749, section 4.4), kept until they lapse."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import final

import attrs

from application.ports.clock import Clock

MARGIN = timedelta(minutes=5)
"""A token with less time left than this is not used any more."""

_MOST = 1_000


@attrs.frozen
class Token:
    """An access token and when it lapses."""

    text: str = attrs.field(repr=False)
    lapses_at: datetime


@final
class Tokens:
    """Tokens in memory, by the credentials that got them. Of many who need one at once, one asks and all get it."""

    def __init__(self, clock: Clock, margin: timedelta = MARGIN) -> None:
        self._clock = clock
        self._margin = margin
        self._kept: dict[str, Token] = {}
        self._asking: dict[str, asyncio.Task[Token]] = {}

    async def get(self, credentials: tuple[str, ...], ask: Callable[[], Awaitable[Token]]) -> Token:
        """The token kept for the credentials, or a new one. Raises what `ask` raises, to everyone who waits for it."""
        key = _key(credentials)
        kept = self._kept.get(key)
        if kept is not None and self._clock.now() + self._margin < kept.lapses_at:
            return kept
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.ensure_future(self._ask(key, ask))
            self._asking[key] = asking
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        # One who gives up waiting does not take the answer from the others.
        return await asyncio.shield(asking)

    def forget(self, credentials: tuple[str, ...], token: Token) -> None:
        """The provider no longer takes this token. A newer one that came meanwhile stays."""
        key = _key(credentials)
        if self._kept.get(key) == token:
            del self._kept[key]

    async def _ask(self, key: str, ask: Callable[[], Awaitable[Token]]) -> Token:
        token = await ask()
        if len(self._kept) >= _MOST:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = token
        return token


def _key(credentials: tuple[str, ...]) -> str:
    """Not the credentials themselves: they need not be in memory twice."""
    return hashlib.sha256("\0".join(credentials).encode()).hexdigest()
