"""The contract of message channels, on the fake and on every adapter over its sandbox."""

import json
import ssl
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from litestar import Litestar

from adapters.providers.discord.channel import DiscordChannel
from adapters.providers.discord.sandbox import DiscordSandbox
from adapters.providers.discord.sandbox import sandbox_router as discord_router
from adapters.providers.slack.channel import SlackChannel
from adapters.providers.slack.sandbox import SlackSandbox
from adapters.providers.slack.sandbox import sandbox_router as slack_router
from adapters.providers.smtp.channel import SmtpChannel
from adapters.providers.smtp.sandbox import MailSink
from application.ports.outgoing import AddressRefused
from domain.notifications.attempts import Outcome, Verdict
from tests.contract.message_channel import MESSAGE, DuplicatesContract, GoneContract, RetryAfterContract, Subject
from tests.fakes.channel import FakeChannel
from tests.fakes.clock import FrozenClock
from tests.fakes.ids import CountingIds
from tests.fakes.outgoing import SandboxOutgoing

_URL = "http://sandbox.example.com"
_TIMEOUT = timedelta(milliseconds=300)


class OpenGuard:
    """Allows every address, and leads every name to this machine."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        self.asked.append((host, port))
        return ("127.0.0.1",)


class ClosedGuard:
    """Allows none."""

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        raise AddressRefused(f"{host} leads to a private address.", field="host")


class TestFakeChannel(GoneContract, RetryAfterContract, DuplicatesContract):
    """The fake keeps the contract too, so that what is tested with it is true."""

    @pytest.fixture
    def subject(self) -> Subject:
        channel = FakeChannel()

        async def fail(how: str, retry_after: int | None = None) -> None:
            verdict = {"refused": Verdict.REFUSED, "gone": Verdict.GONE}.get(how, Verdict.RETRY)
            wait = timedelta(seconds=retry_after) if retry_after else None
            channel.next.append(Outcome(verdict, timedelta(), error="as told", retry_after=wait))

        return Subject(
            channel, {}, {}, fail, lambda: [sent.delivery_id for sent in channel.sent], "a-secret",
            shows=lambda: repr(channel.sent),
        )  # fmt: skip


class TestSlackChannel(GoneContract, RetryAfterContract):
    """Slack's webhooks, over the sandbox."""

    @pytest.fixture
    def subject(self) -> Subject:
        sandbox = SlackSandbox(FrozenClock(), CountingIds(), _URL)
        app = Litestar([slack_router(sandbox)], openapi_config=None)

        async def fail(how: str, retry_after: int | None = None) -> None:
            if how == "time-out":
                sandbox.control({"hang": True})
            elif how == "gone":
                sandbox.control({"revoke": "patchbay-sandbox"})
            else:
                status = 403 if how == "refused" else 429 if retry_after else 503
                sandbox.control({"fail_next": 1, "status": status, "retry_after": retry_after})

        return Subject(
            SlackChannel(SandboxOutgoing(app), _TIMEOUT), {"webhook_url": sandbox.webhook_url}, {}, fail,
            lambda: list(sandbox.messages), "patchbay-sandbox",
            shows=lambda: json.dumps([dict(each.payload) for each in sandbox.messages]),
        )  # fmt: skip


class TestDiscordChannel(GoneContract, RetryAfterContract):
    """Discord's webhooks, over the sandbox."""

    @pytest.fixture
    def subject(self) -> Subject:
        clock = FrozenClock()
        sandbox = DiscordSandbox(clock, CountingIds(), _URL)
        app = Litestar([discord_router(sandbox)], openapi_config=None)

        async def fail(how: str, retry_after: int | None = None) -> None:
            if how == "time-out":
                sandbox.control({"hang": True})
            elif how == "gone":
                sandbox.control({"revoke": "patchbay-sandbox"})
            else:
                status = 403 if how == "refused" else 429 if retry_after else 503
                sandbox.control({"fail_next": 1, "status": status, "retry_after": retry_after})

        return Subject(
            DiscordChannel(SandboxOutgoing(app), clock, _TIMEOUT), {"webhook_url": sandbox.webhook_url}, {}, fail,
            lambda: list(sandbox.messages), "patchbay-sandbox",
            shows=lambda: json.dumps([dict(each.message) for each in sandbox.messages]),
        )  # fmt: skip


class TestSmtpChannel(DuplicatesContract):
    """Mail, over a server on this machine."""

    @pytest.fixture
    async def sink(self) -> AsyncIterator[MailSink]:
        async with MailSink(FrozenClock(), CountingIds(), credentials=("hub", "pass-word-1")) as sink:
            yield sink

    @pytest.fixture
    def subject(self, sink: MailSink) -> Subject:
        async def fail(how: str, retry_after: int | None = None) -> None:
            if how == "time-out":
                sink.control({"hang": True})
            else:
                sink.control({"fail_next": 1, "status": 550 if how == "refused" else 451})

        return Subject(
            SmtpChannel(OpenGuard(), _TIMEOUT * 4), self._access(sink), {"to": ["ada@example.com"]}, fail,
            lambda: [each.parsed["Message-ID"] for each in sink.mails], "pass-word-1",
            knows_gone=False,
            shows=lambda: json.dumps([each.as_json() for each in sink.mails]),
        )  # fmt: skip

    def _access(self, sink: MailSink) -> dict[str, str]:
        return {
            "host": "mail.example.com", "port": str(sink.port), "security": "none", "username": "hub",
            "password": "pass-word-1", "sender": "billing@example.com", "sender_name": "Ada, Bo & Co",
        }  # fmt: skip

    async def test_a_wrong_password_is_refused_in_clear_words(self, subject: Subject, sink: MailSink) -> None:
        """The person who typed it must know what to mend."""
        access = {**subject.access, "password": "not-this-one"}
        outcome = await subject.channel.send(access, subject.target, MESSAGE, delivery_id="dlv_1")

        assert (outcome.verdict, outcome.status) == (Verdict.REFUSED, 535)
        assert "user name and password" in (outcome.error or "")
        assert "not-this-one" not in repr(outcome)

    async def test_one_refused_recipient_of_two_does_not_send_the_mail_twice(
        self, subject: Subject, sink: MailSink
    ) -> None:
        """A retry would reach the good recipient again and again."""
        sink.control({"refuse": ["bo@example.com"]})
        both: dict[str, Any] = {"to": ["ada@example.com", "bo@example.com"]}
        outcome = await subject.channel.send(subject.access, both, MESSAGE, delivery_id="dlv_1")

        assert outcome.verdict is Verdict.DELIVERED
        assert "1 of 2" in (outcome.error or "")
        only = await subject.channel.send(subject.access, {"to": ["bo@example.com"]}, MESSAGE, delivery_id="dlv_2")
        assert (only.verdict, only.status) == (Verdict.REFUSED, 550)

    async def test_an_address_that_may_not_be_reached_is_never_dialled(self, subject: Subject, sink: MailSink) -> None:
        """A typed host must not lead the hub into its own network."""
        outcome = await SmtpChannel(ClosedGuard()).send(subject.access, subject.target, MESSAGE, delivery_id="dlv_1")

        assert outcome.verdict is Verdict.REFUSED
        assert not sink.mails

    async def test_a_closed_port_is_to_be_tried_again(self, subject: Subject, sink: MailSink) -> None:
        """Mail servers restart."""
        await sink.stop()

        assert (await self._send(subject)).verdict is Verdict.RETRY

    async def test_a_server_without_starttls_gets_no_mail_unencrypted(self, subject: Subject, sink: MailSink) -> None:
        """Whoever asked for encryption gets it or an error, never a quiet downgrade."""
        access = {**subject.access, "security": "starttls"}
        outcome = await subject.channel.send(access, subject.target, MESSAGE, delivery_id="dlv_1")

        assert outcome.verdict is Verdict.REFUSED
        assert not sink.mails

    @pytest.mark.parametrize("security", ["starttls", "tls"])
    async def test_the_certificate_must_name_the_host_that_was_typed(self, security: str) -> None:
        """The address dialled is the one that was checked; the name checked is the one that was typed."""
        authority, server = _contexts("mail.example.com")
        async with MailSink(FrozenClock(), CountingIds(), tls=server, tls_from_start=security == "tls") as sink:
            channel = SmtpChannel(OpenGuard(), tls=authority)
            access = {"port": str(sink.port), "security": security, "sender": "billing@example.com"}
            target = {"to": ["ada@example.com"]}
            right = await channel.send({**access, "host": "mail.example.com"}, target, MESSAGE, delivery_id="dlv_1")
            wrong = await channel.send({**access, "host": "other.example.com"}, target, MESSAGE, delivery_id="dlv_2")

        assert right.verdict is Verdict.DELIVERED, right.error
        assert wrong.verdict is Verdict.RETRY
        assert len(sink.mails) == 1


def _contexts(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(what a client that knows the authority uses, what the server called `name` uses)."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate)
        file.flush()
        server.load_cert_chain(file.name)
    return ssl.create_default_context(cadata=certificate.decode()), server
