"""The certificates that PayPal signs with: from whom, how long, and what is refused."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.x509.verification import Store

from adapters.providers.paypal import sandbox_seal as seal
from adapters.providers.paypal.certificates import AUTHORITY, PATH, Certificates, check_chain
from application.ports.payments import BadSignature
from tests.contract.stripe_sandbox import served
from tests.fakes.clock import FrozenClock

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ROOT = seal.authority(NOW)
ROOTS = Store([ROOT.certificate])
GOOD = seal.issue(ROOT, NOW)

Answer = tuple[int, bytes, list[tuple[bytes, bytes]]]


class Emulator:
    """Serves certificates; `asked` says which were asked for."""

    def __init__(self) -> None:
        self.files: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.base = ""

    def has(self, name: str, body: bytes, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None) -> str:
        """Serve it from now on; returns its address."""
        self.files[PATH + name] = (status, body, headers or [])
        return f"{self.base}{PATH}{name}"

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        self.asked.append(scope["path"])
        status, body, headers = self.files.get(scope["path"], (404, b"", []))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """One with an authority of its own."""
    emulator = Emulator()
    async with served(emulator) as url:
        emulator.base = url
        emulator.has(AUTHORITY.removeprefix(PATH), ROOT.pem)
        yield emulator


@pytest.fixture
async def clock() -> FrozenClock:
    """It stands still."""
    return FrozenClock(NOW)


@pytest.fixture
async def certificates(emulator: Emulator, clock: FrozenClock) -> AsyncIterator[Certificates]:
    """Of the emulator's."""
    certificates = Certificates(clock, emulator.base)
    yield certificates
    await certificates.aclose()


def test_a_certificate_of_paypal_s_is_taken() -> None:
    """With or without others beside it."""
    assert check_chain(GOOD.pem, ROOTS, NOW) == GOOD.certificate
    assert check_chain(GOOD.pem + ROOT.pem, ROOTS, NOW) == GOOD.certificate


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: seal.issue(ROOT, NOW, "mail.example.com"), "not issued to PayPal"),
        (lambda: seal.issue(ROOT, NOW, "paypal.com.example.com"), "not issued to PayPal"),
        (lambda: seal.issue(ROOT, NOW, "evilpaypal.com"), "not issued to PayPal"),
        (lambda: seal.issue(ROOT, NOW, lasts=timedelta(days=29)), "past its dates"),
        (lambda: seal.issue(ROOT, NOW, age=-timedelta(days=1)), "past its dates"),
        (lambda: seal.issue(seal.authority(NOW), NOW), "authority"),
        (lambda: seal.authority(NOW), "not issued to PayPal"),
    ],
)
def test_any_other_is_refused(made: Callable[[], seal.Issued], why: str) -> None:
    """Everybody can have a certificate; it is whose, by whom, and until when that counts."""
    with pytest.raises(BadSignature, match=why):
        check_chain(made().pem, ROOTS, NOW)


@pytest.mark.parametrize("pem", [b"", b"<html>", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(pem: bytes) -> None:
    """An error page, for one."""
    with pytest.raises(BadSignature, match="no certificate"):
        check_chain(pem, ROOTS, NOW)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1/notifications/certs/CERT-1",
        "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1",
        "https://evilpaypal.com/v1/notifications/certs/CERT-1",
        "https://paypal.com@evil.example/v1/notifications/certs/CERT-1",
        "https://x@api.paypal.com/v1/notifications/certs/CERT-1",
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/redirect?to=https://evil.example",
        "https://api.paypal.com/v1/notifications/certs/CERT-1?x=1",
        "https://127.0.0.1/v1/notifications/certs/CERT-1",
        "https://[::1/v1/notifications/certs/",
        "https://api.paypal.com/v1/notifications/certs/" + "x" * 500,
        "nonsense",
        "",
    ],
)
async def test_an_address_that_is_not_paypal_s_is_never_called(url: str, clock: FrozenClock) -> None:
    """The webhook names it, and anybody can send one."""
    certificates = Certificates(clock)
    await certificates.fetch(url)
    with pytest.raises(BadSignature, match="address"):
        certificates.at_hand(url, NOW)
    await certificates.aclose()


async def test_paypal_s_own_addresses_are_its_own(clock: FrozenClock) -> None:
    """Both worlds; nothing is at hand before it was fetched."""
    certificates = Certificates(clock)
    for host in ("api.paypal.com", "api.sandbox.paypal.com", "api-m.paypal.com"):
        assert certificates.at_hand(f"https://{host}/v1/notifications/certs/CERT-360caa42", NOW) is None
    await certificates.aclose()


async def test_where_an_emulator_stands_in_paypal_s_addresses_are_not_called(
    emulator: Emulator, certificates: Certificates
) -> None:
    """Nor do an emulator's count where PayPal itself is connected."""
    with pytest.raises(BadSignature, match="emulator"):
        certificates.at_hand("https://api.paypal.com/v1/notifications/certs/CERT-1", NOW)


async def test_one_is_fetched_once(emulator: Emulator, certificates: Certificates) -> None:
    """A burst of webhooks names the same one."""
    url = emulator.has("CERT-1", GOOD.pem)
    await asyncio.gather(*(certificates.fetch(url) for _ in range(20)))
    await certificates.fetch(url)
    assert certificates.at_hand(url, NOW) == GOOD.certificate
    assert emulator.asked.count(f"{PATH}CERT-1") == 1


async def test_one_that_passes_its_dates_while_it_is_kept_is_refused(
    emulator: Emulator, certificates: Certificates
) -> None:
    """It is kept for as long as the process runs, which may be longer."""
    url = emulator.has("CERT-1", GOOD.pem)
    await certificates.fetch(url)
    with pytest.raises(BadSignature, match="dates"):
        certificates.at_hand(url, NOW + timedelta(days=61))


async def test_one_that_paypal_does_not_have_is_refused_for_a_while(
    emulator: Emulator, certificates: Certificates, clock: FrozenClock
) -> None:
    """A forger makes up names; each costs one call, and the name may come into use."""
    url = f"{emulator.base}{PATH}CERT-2"
    for _ in range(3):
        await certificates.fetch(url)
        with pytest.raises(BadSignature, match="no such"):
            certificates.at_hand(url, NOW)
    assert emulator.asked.count(f"{PATH}CERT-2") == 1
    emulator.has("CERT-2", GOOD.pem)
    later = clock.advance(timedelta(minutes=6))
    await certificates.fetch(url)
    assert certificates.at_hand(url, later) is not None


@pytest.mark.parametrize("status", [500, 503, 429, 302])
async def test_one_that_cannot_be_had_now_is_neither_there_nor_refused(
    emulator: Emulator, certificates: Certificates, status: int
) -> None:
    """PayPal is asked about the webhook, or sends it again. No redirect is followed."""
    elsewhere = emulator.has("CERT-ELSEWHERE", GOOD.pem)
    url = emulator.has("CERT-3", b"", status, [(b"location", elsewhere.encode())])
    await certificates.fetch(url)
    assert certificates.at_hand(url, NOW) is None
    assert f"{PATH}CERT-ELSEWHERE" not in emulator.asked


async def test_one_that_is_too_long_is_refused(emulator: Emulator, certificates: Certificates) -> None:
    """Memory is not a stranger's to fill."""
    url = emulator.has("CERT-4", b"x" * 100_000)
    await certificates.fetch(url)
    with pytest.raises(BadSignature, match="too long"):
        certificates.at_hand(url, NOW)


async def test_no_more_than_some_are_fetched_in_a_minute(
    emulator: Emulator, certificates: Certificates, clock: FrozenClock
) -> None:
    """The hub is not made a nuisance to PayPal."""
    urls = [f"{emulator.base}{PATH}CERT-{number}" for number in range(100, 150)]
    for url in urls:
        await certificates.fetch(url)
    assert len(emulator.asked) == 20
    clock.advance(timedelta(minutes=1))
    await certificates.fetch(urls[-1])
    assert len(emulator.asked) == 21


async def test_one_that_nobody_vouches_for_is_left_to_paypal(
    emulator: Emulator, certificates: Certificates, clock: FrozenClock
) -> None:
    """It may have come without those between it and a root: PayPal is asked about the webhook, and nothing is believed."""
    url = emulator.has("CERT-5", seal.issue(seal.authority(NOW), NOW).pem)
    for _ in range(3):
        await certificates.fetch(url)
        assert certificates.at_hand(url, NOW) is None
    assert emulator.asked.count(f"{PATH}CERT-5") == 1
    clock.advance(timedelta(minutes=6))
    await certificates.fetch(url)
    assert emulator.asked.count(f"{PATH}CERT-5") == 2
