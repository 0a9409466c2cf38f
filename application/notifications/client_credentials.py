"""Tokens by OAuth 2.0 client credentials (RFC 6749, section 4.4): one for each endpoint, in memory, renewed in time."""

import asyncio
from collections import OrderedDict
from datetime import timedelta

import attrs

from application.ports.clock import Clock
from application.ports.outgoing import AddressRefused, Outgoing, Unreachable
from domain.notifications.grants import Grant, NotGranted, Token, read_token
from domain.notifications.schedule import read_retry_after

KNOWN = 1_000
"""For how many endpoints a token is remembered; the one that was not used for the longest time goes first."""

PATIENCE = timedelta(seconds=10)
"""How long a token server may take."""

YOUNG = timedelta(seconds=30)
"""A token that a receiver refuses although it is younger than this is not asked for anew: another would fare no better."""


class NoToken(Exception):
    """There is no token now; trying again later is right. The text says why and holds no secret."""

    def __init__(self, reason: str, *, retry_after: timedelta | None = None, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.timed_out = timed_out


@attrs.define(eq=False)
class _Known:
    grant: Grant
    token: Token | None = None
    asking: "asyncio.Task[Token] | None" = None


@attrs.define(eq=False)
class ClientCredentials:
    """The tokens of all endpoints. Keep one a process: it remembers them, and asks for each only once at a time."""

    _outgoing: Outgoing
    _clock: Clock
    _known: OrderedDict[str, _Known] = attrs.field(factory=OrderedDict, init=False, repr=False)

    async def token(self, endpoint_id: str, grant: Grant, *, refused: Token | None = None) -> Token:
        """A token that is good for a while yet.

        refused: one that the receiver did not take; another is asked for, unless that was done already or it is so young
        that another would fare no better. Then the same one comes back.

        Raises NoToken.
        """
        known = self._of(endpoint_id, grant)
        now, token = self._clock.now(), known.token
        if (
            token is not None
            and token.taken_at <= now < token.renew_at
            and (token is not refused or now - token.taken_at < YOUNG)
        ):
            return token
        if known.asking is None or known.asking.get_loop() is not asyncio.get_running_loop():
            known.asking = asyncio.create_task(self._ask(known))
            known.asking.add_done_callback(_looked_at)
        # Whoever came first may leave; those who wait with it still get the token.
        return await asyncio.shield(known.asking)

    def _of(self, endpoint_id: str, grant: Grant) -> _Known:
        known = self._known.get(endpoint_id)
        if known is None or known.grant != grant:
            known = self._known[endpoint_id] = _Known(grant)
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)
        self._known.move_to_end(endpoint_id)
        return known

    async def _ask(self, known: _Known) -> Token:
        try:
            known.token = await self._granted(known.grant)
            return known.token
        finally:
            known.asking = None

    async def _granted(self, grant: Grant) -> Token:
        headers, body = grant.request
        try:
            reply = await self._outgoing.send("POST", grant.token_url, headers=headers, body=body, timeout=PATIENCE)
        except AddressRefused as refused:
            raise NoToken(f"The token server cannot be asked: {refused.reason}") from refused
        except Unreachable as problem:
            text = f"The token server cannot be reached: {problem.reason}"
            raise NoToken(text, timed_out=problem.timed_out) from problem
        now = self._clock.now()
        try:
            return read_token(reply.status, reply.body, now, grant.client_secret)
        except NotGranted as error:
            raise NoToken(str(error), retry_after=read_retry_after(reply.headers.get("retry-after"), now)) from error


def _looked_at(task: "asyncio.Task[Token]") -> None:
    """So that an error nobody waits for any more is not reported as forgotten."""
    if not task.cancelled():
        task.exception()
