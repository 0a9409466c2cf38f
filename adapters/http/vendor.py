"""Calling a vendor's JSON API: one pool for all connections, and what an answer means for the hub."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, final
from urllib.parse import urlencode

import attrs

from adapters.http.guard import AddressGuard
from adapters.http.outgoing import GuardedOutgoing
from application.ports.outgoing import AddressRefused, Reply, Unreachable
from application.ports.payments import ReconnectNeeded, RetryLater

TIMEOUT = timedelta(seconds=30)
LONGEST_ANSWER = 32 * 1024 * 1024

_AFTER_RATE_LIMIT = timedelta(seconds=5)
_LONGEST_WAIT = timedelta(hours=1)
_ANYWHERE = ("0.0.0.0/0", "::/0")
"""A vendor's address is the operator's choice, not a user's: it may be an emulator on this machine."""


@attrs.frozen
class VendorAnswer:
    """What a vendor answered. body: JSON, or the text where it is none; None where there is nothing."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300

    def field(self, *path: str) -> Any:
        """What is at a path of object keys; None where there is nothing."""
        node = self.body
        for name in path:
            node = node.get(name) if isinstance(node, Mapping) else None
        return node


@final
class VendorHttp:
    """A vendor's API. Follows no redirects, retries nothing by itself: a retry belongs to the hub's queue. (A request that
    may be sent twice is sent once more when a connection that waited proves to be closed; see GuardedOutgoing.)

    Args:
        name: the vendor's, for error texts.
        timeout: how long an answer may take.
    """

    def __init__(self, name: str, timeout: timedelta = TIMEOUT) -> None:
        self._name = name
        self._timeout = timeout
        self._outgoing = GuardedOutgoing(AddressGuard(_ANYWHERE), keep=LONGEST_ANSWER)

    async def aclose(self) -> None:
        """Close the pool."""
        await self._outgoing.aclose()

    async def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """Ask once, whatever the answer. Raises Unreachable (`sent` tells whether it may have arrived), AddressRefused."""
        return await self._outgoing.send(method, url, headers=headers, body=body, timeout=self._timeout)

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        query: Mapping[str, str | int] | None = None,
        writes: bool,
    ) -> VendorAnswer:
        """Ask once. `body` is sent as JSON, `content` as it is. writes: the call changes something there.

        Returns any 2xx and any 4xx but 408 and 429, for the caller to read; also 401 and 403.
        Raises RetryLater for 408, 429, 5xx, a redirect or no answer; it may have happened if it was sent and writes.
        """
        sent = {"Accept": "application/json", **(headers or {})}
        if body is not None:
            content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
            sent.setdefault("Content-Type", "application/json")
        elif form is not None:
            content = urlencode(form).encode()
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        if query:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"
        try:
            answer = await self.exchange(method, url, sent, content or b"")
        except (Unreachable, AddressRefused) as error:
            may = writes and isinstance(error, Unreachable) and error.sent
            raise RetryLater(f"{self._name} gave no answer ({error.reason})", may_have_happened=may) from error
        if len(answer.body) >= LONGEST_ANSWER:
            raise RetryLater(f"{self._name}'s answer is too long.", may_have_happened=writes)
        if answer.status == 429:
            after = retry_after(answer.headers) or _AFTER_RATE_LIMIT
            raise RetryLater(f"{self._name} takes no more calls for now.", after=after) from _Status(429)
        if answer.status >= 500 or answer.status == 408 or 300 <= answer.status < 400:
            raise RetryLater(
                f"{self._name} answered {answer.status}.",
                after=retry_after(answer.headers),
                may_have_happened=writes,
            ) from _Status(answer.status)
        return VendorAnswer(answer.status, answer.headers, _read(answer.body))


class _Status(Exception):
    """The status that was answered: the cause of what is raised for it."""


def refuse_access(answer: VendorAnswer, why: str) -> None:
    """Raise ReconnectNeeded for 401 and 403: only a person can mend it."""
    if answer.status in (401, 403):
        raise ReconnectNeeded(why) from _Status(answer.status)


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Retry-After in whole seconds; a date is not used, because it would be read against a clock of ours."""
    asked = headers.get("retry-after", "")
    return min(timedelta(seconds=int(asked)), _LONGEST_WAIT) if asked.isascii() and asked.isdigit() else None


def _read(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
