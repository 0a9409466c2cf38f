"""The certificates that PayPal signs its webhooks with: fetched from PayPal alone, checked, and kept.

A webhook names its certificate's address itself, so anybody could name one of their own: it is fetched only over HTTPS from
a host of paypal.com, no redirect is followed, and what comes must be issued to a host of paypal.com by an authority that
this machine trusts (certifi's list). An emulator that stands in for PayPal has an authority of its own, which is trusted
for that emulator's addresses only, and only where the hub was started with its address.
"""

import asyncio
from collections import deque
from datetime import datetime, timedelta
from typing import Any, final
from urllib.parse import urlsplit

import attrs
import certifi
import httpx
from cryptography import x509
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from application.ports.clock import Clock
from application.ports.payments import BadSignature

PATH = "/v1/notifications/certs/"
AUTHORITY = "/v1/notifications/certs/_sandbox/authority"
"""Where the emulator has its own authority's certificate."""

_SUFFIX = ".paypal.com"
_LARGEST = 64 * 1024
_TIMEOUT = 2.0
_MOST = 50
_REFUSED_FOR = timedelta(minutes=5)
_AT_MOST = (20, timedelta(minutes=1))
"""Fetches in any minute: PayPal uses one certificate for months, and forgeries may name any number."""


class Unproven(BadSignature):
    """Nobody who is trusted vouches for the certificate. It may be PayPal's all the same, sent without those between it and
    a root (PayPal's own SDKs bring them along); whoever reads the webhook asks PayPal."""


@attrs.frozen
class _Refused:
    why: str
    until: float


@final
class Certificates:
    """Certificates by their address.

    Args:
        base_url: an emulator's address; None for PayPal itself.
    """

    def __init__(self, clock: Clock, base_url: str | None = None) -> None:
        self._clock = clock
        self._base_url = base_url
        self._http: httpx.AsyncClient | None = None
        self._kept: dict[str, x509.Certificate] = {}
        self._refused: dict[str, _Refused] = {}
        self._unproven: dict[str, float] = {}
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._fetched: deque[float] = deque()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()

    def at_hand(self, url: str, now: datetime) -> x509.Certificate | None:
        """The checked certificate of an address, None where it was not fetched or is unproven. Raises BadSignature for an
        address that is not PayPal's, a certificate that was refused, or one that is past its dates by now."""
        self._check_address(url)
        refused = self._refused.get(url)
        if refused is not None and now.timestamp() < refused.until:
            raise BadSignature(refused.why)
        found = self._kept.get(url)
        if found is not None:
            _check_dates(found, now)
        return found

    async def fetch(self, url: str) -> None:
        """Have it at hand, if it can be had; of many who want it at once, one asks."""
        try:
            if self.at_hand(url, self._clock.now()) is not None:
                return
        except BadSignature:
            return
        if self._clock.now().timestamp() < self._unproven.get(url, 0):
            return
        fetching = self._fetching.get(url)
        if fetching is None:
            if not self._may_fetch():
                return
            fetching = asyncio.ensure_future(self._fetch(url))
            self._fetching[url] = fetching
            fetching.add_done_callback(lambda _: self._fetching.pop(url, None))
        await asyncio.shield(fetching)

    def _may_fetch(self) -> bool:
        most, within = _AT_MOST
        now = self._clock.now().timestamp()
        while self._fetched and self._fetched[0] <= now - within.total_seconds():
            self._fetched.popleft()
        if len(self._fetched) >= most:
            return False
        self._fetched.append(now)
        return True

    async def _fetch(self, url: str) -> None:
        try:
            status, pem = await self._get(url)
            if status != 200:
                if 400 <= status < 500 and status not in (408, 429):
                    raise BadSignature("PayPal has no such certificate.")
                return  # PayPal is away or busy: whoever reads the webhook asks otherwise
            # An emulator that was started anew has another authority.
            roots = _trusted() if self._base_url is None else await self._emulators_authority()
            self._kept[url] = check_chain(pem, roots, self._clock.now())
        except Unproven:
            self._unproven[url] = (self._clock.now() + _REFUSED_FOR).timestamp()
        except BadSignature as refused:
            until = (self._clock.now() + _REFUSED_FOR).timestamp()
            self._refused[url] = _Refused(str(refused), until)
        except httpx.HTTPError:
            return
        _bound(self._kept)
        _bound(self._refused)
        _bound(self._unproven)

    async def _emulators_authority(self) -> Store:
        status, pem = await self._get(f"{self._base_url}{AUTHORITY}")
        if status != 200:
            raise BadSignature("The emulator has no authority.")
        return Store([x509.load_pem_x509_certificate(pem)])

    async def _get(self, url: str) -> tuple[int, bytes]:
        """The status and the body, of which no more than a certificate's length is read."""
        self._http = self._http or httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False, trust_env=False)
        async with self._http.stream("GET", url) as answer:
            read = bytearray()
            async for chunk in answer.aiter_bytes():
                read += chunk
                if len(read) > _LARGEST:
                    raise BadSignature("PayPal's certificate is too long.")
            return answer.status_code, bytes(read)

    def _check_address(self, url: str) -> None:
        if self._base_url is not None:
            if not url.startswith(f"{self._base_url}{PATH}"):
                raise BadSignature("The certificate's address is not the emulator's.")
            return
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise BadSignature("The certificate's address is none.") from error
        plain = parts.scheme == "https" and port is None and "@" not in parts.netloc and not parts.query
        if not plain or not host.endswith(_SUFFIX) or not parts.path.startswith(PATH) or len(url) > 500:
            raise BadSignature("The certificate's address is not PayPal's.")


def _bound(kept: dict[str, Any]) -> None:
    while len(kept) > _MOST:
        kept.pop(next(iter(kept)))


def check_chain(pem: bytes, roots: Store, now: datetime) -> x509.Certificate:
    """The certificate, if it is PayPal's. Raises BadSignature saying what is wrong with it; Unproven when nobody who is
    trusted vouches for it."""
    try:
        leaf, *others = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise BadSignature("What PayPal's address has is no certificate.") from error
    names = [str(one.value) for one in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if len(names) != 1 or not names[0].endswith(_SUFFIX):
        raise BadSignature("The certificate is not issued to PayPal.")
    _check_dates(leaf, now)
    verifier = PolicyBuilder().store(roots).time(now).build_server_verifier(x509.DNSName(names[0]))
    try:
        verifier.verify(leaf, others)
    except VerificationError as error:
        raise Unproven("The certificate is not issued by an authority that is trusted.") from error
    return leaf


def _check_dates(certificate: x509.Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise BadSignature("The certificate is past its dates.")


_trust: list[Store] = []


def _trusted() -> Store:
    """Read once: certifi's list is long."""
    if not _trust:
        with open(certifi.where(), "rb") as file:
            _trust.append(Store(x509.load_pem_x509_certificates(file.read())))
    return _trust[0]
