"""One HTTP request to an address that a user typed: guarded, bounded, never redirected."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

import attrs

from domain.refusals import Refusal


class AddressRefused(Refusal):
    """The URL is malformed, or leads to a private, loopback, link-local or metadata address that is not allowed."""


class Unreachable(Exception):
    """No complete answer came: name not found, connection refused, TLS failure, time-out. The text says which.

    sent: the request, or part of it, may have reached the other end.
    """

    def __init__(self, reason: str, *, timed_out: bool = False, sent: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.timed_out = timed_out
        self.sent = sent


@attrs.frozen
class ClientIdentity:
    """What the hub shows of itself to a receiver that asks for a client certificate (mutual TLS).

    certificate: PEM, the client's own first, then those between it and its authority. key: PEM, not encrypted.
    """

    certificate: str
    key: str = attrs.field(repr=False)


class ClientIdentities(Protocol):
    """Knows which client certificates can be used."""

    @abstractmethod
    def check(self, identity: ClientIdentity, *, now: datetime, field: str = "client") -> None:
        """Raise Invalid, naming `<field>.certificate` or `<field>.key`, for an identity that could not be used.

        Refused are what is no PEM, an encrypted key, a key of another certificate, a certificate that is not valid at `now`
        (aware), and one too weak for TLS.
        """


@attrs.frozen
class Reply:
    """An HTTP answer: status, headers (lower-case names), at most the first 16 KiB of its body, time taken."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    duration: timedelta


class Outgoing(Protocol):
    """Sends requests to addresses that a user typed."""

    @abstractmethod
    async def check(self, url: str, *, field: str = "url") -> None:
        """Raise AddressRefused, naming `field`, unless the URL is http(s) and its host may be reached."""

    @abstractmethod
    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeout: timedelta,
        identity: ClientIdentity | None = None,
    ) -> Reply:
        """Send once; the address that is dialled is the address that was checked; redirects are answers.

        identity: shown to a receiver on https:// that asks for it. A request that carries a `webhook-id` or an
        `idempotency-key`, or whose method is idempotent, may arrive twice.

        Raises:
            AddressRefused: nothing was sent.
            Unreachable: something may have been sent.
            ValueError: the method or a header would break the request (RFC 9110, section 5.5); nothing was sent.
        """
