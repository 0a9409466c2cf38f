"""A mail server that keeps what it is given, for the demo and the tests, with pages to read the mails."""

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import attrs
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from litestar import Response, Router, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, JSONBody
from markupsafe import Markup

from adapters.sandbox.mishaps import Mishaps
from adapters.sandbox.page import empty, joined, moment, page
from application.ports.clock import Clock
from application.ports.ids import Ids
from domain.refusals import Invalid

_KEPT = 500
"""Mails remembered; the oldest give way."""

_STAGES = ("mail", "rcpt", "data")


@attrs.frozen
class Mail:
    """A mail as it arrived. duplicate: a mail with the same Message-ID came before."""

    id: str
    at: datetime
    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    duplicate: bool

    @property
    def parsed(self) -> EmailMessage:
        """The mail, read."""
        read = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(read, EmailMessage)
        return read

    def part(self, kind: str) -> str | None:
        """The body of the kind `html` or `plain`, if there is one."""
        body = self.parsed.get_body((kind,))
        return None if body is None else str(body.get_content())

    def as_json(self) -> dict[str, Any]:
        """For a test to read."""
        parsed = self.parsed
        return {
            "id": self.id,
            "at": self.at.isoformat(),
            "from": self.sender,
            "to": list(self.recipients),
            "duplicate": self.duplicate,
            "subject": str(parsed["Subject"]),
            "message_id": str(parsed["Message-ID"]),
            "headers": {name: str(value) for name, value in parsed.items()},
            "html": self.part("html"),
            "text": self.part("plain"),
        }


@attrs.define
class MailSink:
    """Listens on `host`:`port` (0: any free one) in the running event loop, between `start` and `stop`.

    credentials: (user name, password) that must be given; None takes mail from anyone. tls: offered with STARTTLS, or
    spoken from the start.
    mishaps: a failure's `status` is an SMTP reply (451, 550); `fail_at` says at which command. `refuse`: addresses that
    get 550.
    """

    _clock: Clock
    _ids: Ids
    host: str = "127.0.0.1"
    port: int = 0
    credentials: tuple[str, str] | None = attrs.field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    tls_from_start: bool = False
    mails: deque[Mail] = attrs.field(factory=lambda: deque(maxlen=_KEPT), init=False)
    mishaps: Mishaps = attrs.field(factory=lambda: Mishaps(status=451), init=False)
    fail_at: str = attrs.field(default="data", init=False)
    refuse: frozenset[str] = attrs.field(default=frozenset(), init=False)
    _server: asyncio.Server | None = attrs.field(default=None, init=False)
    _open: set[asyncio.BaseTransport] = attrs.field(factory=set, init=False)

    async def start(self) -> None:
        """Begin to listen; `port` is then the real one. Raises OSError if the port is taken."""
        loop = asyncio.get_running_loop()
        at_once = self.tls if self.tls_from_start else None
        self._server = await loop.create_server(self._conversation, self.host, self.port, ssl=at_once)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and hang up on whoever is connected."""
        if self._server is not None:
            self._server.close()
            for transport in tuple(self._open):
                transport.close()
            await self._server.wait_closed()
            self._server = None
            await asyncio.sleep(0)  # lets the conversations end

    async def __aenter__(self) -> "MailSink":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def control(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Obey {fail_next, status, fail_at: mail|rcpt|data, refuse: [addresses], delay_ms, hang, reset}. Raises Invalid."""
        if told.get("reset"):
            self.mails.clear()
            self.mishaps.reset()
            self.mishaps.status, self.fail_at, self.refuse = 451, "data", frozenset()
        if told.get("fail_at", "data") not in _STAGES:
            raise Invalid.field("fail_at", f"fail_at is one of {', '.join(_STAGES)}.")
        self.mishaps.plan(told)
        self.fail_at = told.get("fail_at", self.fail_at)
        self.refuse = frozenset(map(str, told["refuse"])) if "refuse" in told else self.refuse
        return {"host": self.host, "port": self.port, "mails": len(self.mails)}

    def keep(self, sender: str, recipients: list[str], raw: bytes) -> None:
        """Take a mail in."""
        mail = Mail(self._ids.new("mail"), self._clock.now(), sender, tuple(recipients), raw, duplicate=False)
        known = {each.parsed["Message-ID"] for each in self.mails}
        self.mails.append(attrs.evolve(mail, duplicate=mail.parsed["Message-ID"] in known))

    def failure(self, stage: str) -> str | None:
        """The reply to fail with at this command, if one is due."""
        status = self.mishaps.next_failure() if stage == self.fail_at else None
        return f"{status} {_words(status)}" if status else None

    def opened(self, transport: asyncio.BaseTransport) -> None:
        """A conversation began."""
        self._open.add(transport)

    def closed(self, transport: asyncio.BaseTransport | None) -> None:
        """A conversation ended."""
        if transport is not None:
            self._open.discard(transport)

    def _conversation(self) -> SMTP:
        return _Conversation(
            _Handler(self),
            self,
            hostname="sandbox.patchbay.test",
            ident="Patchbay sandbox",
            tls_context=None if self.tls_from_start else self.tls,
            auth_require_tls=False,
            authenticator=self._authenticate,
            loop=asyncio.get_running_loop(),
        )

    def _authenticate(self, _: SMTP, __: Session, ___: Envelope, mechanism: str, data: Any) -> AuthResult:
        given = (data.login, data.password) if isinstance(data, LoginPassword) else (b"", b"")
        wanted = tuple(part.encode() for part in self.credentials or ("", ""))
        return AuthResult(success=self.credentials is None or given == wanted, handled=False)


class _Conversation(SMTP):
    """One connection; the sink knows it, so that it can hang up."""

    def __init__(self, handler: "_Handler", sink: MailSink, **options: Any) -> None:
        super().__init__(handler, **options)
        self._sink = sink

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._sink.opened(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._sink.closed(self.transport)
        super().connection_lost(error)


@attrs.frozen
class _Handler:
    """What aiosmtpd asks about each command."""

    _sink: MailSink

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self._sink.mishaps.hold_up()
        if self._sink.credentials is not None and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self._sink.failure("mail") or "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self._sink.refuse:
            return "550 5.1.1 No such mailbox here"
        failure = self._sink.failure("rcpt")
        if failure is None:
            envelope.rcpt_tos.append(address)
        return failure or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        failure = self._sink.failure("data")
        if failure is None:
            self._sink.keep(str(envelope.mail_from or ""), envelope.rcpt_tos, bytes(envelope.original_content or b""))
        return failure or "250 OK: kept"


def _words(status: int) -> str:
    return "4.3.0 Try again later" if status < 500 else "5.7.1 Not wanted here"


def sandbox_router(sink: MailSink) -> Router:
    """The mails as pages and as JSON, and the control."""

    @get("/mail")
    async def listing() -> Response[str]:
        rows = [
            Markup('<tr><td>{}</td><td>{}</td><td><a href="mail/{}">{}</a>{}</td></tr>').format(
                moment(each.at), ", ".join(each.recipients), each.id, each.parsed["Subject"] or "(no subject)",
                Markup(' <span class="tag">again</span>') if each.duplicate else "",
            )
            for each in reversed(sink.mails)
        ]  # fmt: skip
        table = Markup("<article><table><tr><th>When</th><th>To</th><th>Subject</th></tr>{}</table></article>")
        return page("Mail", table.format(joined(rows)) if rows else empty("No mail has arrived yet."))

    @get("/mail/{mail_id:str}")
    async def view(mail_id: FromPath[str]) -> Response[str]:
        found = next((each for each in sink.mails if each.id == mail_id), None)
        if found is None:
            raise NotFoundException(f"There is no mail '{mail_id}' here.")
        return page(str(found.parsed["Subject"] or "(no subject)"), _mail(found))

    @get("/mail/_sandbox/messages")
    async def messages() -> list[dict[str, Any]]:
        return [each.as_json() for each in sink.mails]

    @post("/mail/_sandbox", status_code=200)
    async def control(data: JSONBody[dict[str, Any]]) -> Response[dict[str, Any]]:
        try:
            return Response(sink.control(data))
        except Invalid as invalid:
            return Response({"error": invalid.reason}, status_code=400)

    return Router("/", route_handlers=[listing, view, messages, control], include_in_schema=False)


def _mail(mail: Mail) -> Markup:
    """The page of a mail stands in a frame without scripts and forms; a link that is clicked opens in its place."""
    html, text = mail.part("html") or "", mail.part("plain")
    html = html.replace("<head>", '<head><base target="_top">', 1)
    frame = Markup(
        '<iframe sandbox="allow-top-navigation-by-user-activation" title="The mail" srcdoc="{}"></iframe>'
    ).format(html)
    return Markup(
        "<article><table><tr><th>From</th><td>{}</td></tr><tr><th>To</th><td>{}</td></tr><tr><th>Date</th><td>{}</td>"
        '</tr></table></article>{}<h2>Plain text</h2><pre>{}</pre><p><a href="../mail">All mails</a></p>'
    ).format(mail.parsed["From"], ", ".join(mail.recipients), moment(mail.at), frame if html else "", text or "")
