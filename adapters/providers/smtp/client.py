"""One mail handed to one SMTP server, and what its answer means."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from typing import Protocol

import aiosmtplib
import attrs

from application.ports.outgoing import AddressRefused, Unreachable
from domain.notifications.attempts import KEPT_BODY, Outcome, Verdict

_SHOWN_HEADERS = ("From", "To", "Subject", "Date", "Message-ID")


class Addresses(Protocol):
    """The part of the address guard that dialling a mail server needs."""

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """The IP addresses of the host. Raises AddressRefused unless every one may be reached."""


@attrs.frozen
class MailServer:
    """Where mail is handed in, as it was typed. security: `none`, `starttls` or `tls`."""

    host: str
    port: int
    security: str
    username: str = ""
    password: str = attrs.field(default="", repr=False)


@attrs.frozen
class SmtpClient:
    """Hands mails in. `timeout` is for the whole exchange; `tls` replaces the machine's own list of authorities."""

    _guard: Addresses
    _timeout: timedelta
    _tls: ssl.SSLContext | None = None

    async def hand_in(self, server: MailServer, mail: EmailMessage, sender: str, to: Sequence[str]) -> Outcome:
        """Hand the mail in once. The password stands nowhere in the outcome.

        A reply of 4xx may pass, one of 5xx will not (RFC 5321, 4.2.1).
        """
        loop = asyncio.get_running_loop()
        raw = mail.as_bytes()
        outcome = Outcome(
            Verdict.DELIVERED,
            timedelta(),
            request_headers={name: str(mail[name]) for name in _SHOWN_HEADERS},
            request_body=raw[:KEPT_BODY].decode("utf-8", "replace"),
        )
        began = loop.time()
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                refused, answer = await self._exchange(server, raw, sender, to)
            outcome = attrs.evolve(outcome, status=250, body=answer[:KEPT_BODY], error=_partly(refused, len(to)))
        except (AddressRefused, Unreachable, aiosmtplib.SMTPException, OSError, ValueError) as error:
            verdict, status, why = _meaning(error, self._timeout)
            outcome = attrs.evolve(outcome, verdict=verdict, status=status, error=_hidden(why, server.password))
        return attrs.evolve(outcome, duration=timedelta(seconds=loop.time() - began))

    async def _exchange(
        self, server: MailServer, raw: bytes, sender: str, to: Sequence[str]
    ) -> tuple[dict[str, aiosmtplib.SMTPResponse], str]:
        connected = await self._dial(server)
        client = aiosmtplib.SMTP(
            hostname=server.host,  # the name in the certificate; the address dialled is the one that was checked
            sock=connected,
            local_hostname=_literal(connected),
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=self._tls if server.security != "none" else None,
            username=server.username or None,
            password=server.password if server.username else None,
            timeout=self._timeout.total_seconds(),
        )
        try:
            await client.connect()
            refused, answer = await client.sendmail(sender, list(to), raw)
            with suppress(aiosmtplib.SMTPException, OSError):  # the mail is accepted: a rude goodbye changes nothing
                await client.quit(timeout=1)
        finally:
            client.close()
            connected.close()
        return refused, answer

    async def _dial(self, server: MailServer) -> socket.socket:
        """A connection to the first address that answers; each was checked."""
        loop, failure = asyncio.get_running_loop(), OSError("the host has no address")
        for ip in await self._guard.addresses(server.host, server.port):
            family = socket.AF_INET6 if ip_address(ip).version == 6 else socket.AF_INET
            dialled = socket.socket(family, socket.SOCK_STREAM)
            dialled.setblocking(False)
            try:
                await loop.sock_connect(dialled, (ip, server.port))
            except OSError as error:
                dialled.close()
                failure = error
            except BaseException:
                dialled.close()
                raise
            else:
                return dialled
        raise failure


def _meaning(error: Exception, timeout: timedelta) -> tuple[Verdict, int | None, str]:
    """(verdict, reply code, why) of what went wrong."""
    if isinstance(error, AddressRefused | Unreachable):
        return Verdict.REFUSED if isinstance(error, AddressRefused) else Verdict.RETRY, None, error.reason
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        codes = [each.code for each in error.recipients]
        passing = any(code < 500 for code in codes)
        why = "; ".join(f"{each.recipient}: {each.code} {each.message}" for each in error.recipients[:5])
        return Verdict.RETRY if passing else Verdict.REFUSED, codes[0], f"Every recipient was refused. {why}"[:1000]
    if isinstance(error, aiosmtplib.SMTPResponseException):
        said = f"{error.code} {error.message}"[:500]
        verdict = Verdict.REFUSED if 500 <= error.code < 600 else Verdict.RETRY
        if isinstance(error, aiosmtplib.SMTPAuthenticationError):
            return verdict, error.code, f"The mail server did not accept the user name and password: {said}"
        return verdict, error.code, f"The mail server answered {said}"
    if isinstance(error, TimeoutError):
        return Verdict.RETRY, None, f"The mail server did not answer within {timeout.total_seconds():g} seconds."
    if isinstance(error, OSError):  # also aiosmtplib's connection errors
        return Verdict.RETRY, None, f"The mail server could not be reached: {error}"
    return Verdict.REFUSED, None, f"The mail server cannot do what the connection asks for: {error}"


def _partly(refused: dict[str, aiosmtplib.SMTPResponse], count: int) -> str | None:
    """What to say of a mail that only some get. It counts as delivered: another try would send it to those twice."""
    if not refused:
        return None
    why = "; ".join(f"{to}: {reply.code} {reply.message}" for to, reply in list(refused.items())[:5])
    return f"{len(refused)} of {count} recipients were refused. {why}"[:1000]


def _literal(connected: socket.socket) -> str:
    """How we greet: our own address, since the machine may have no name that others know (RFC 5321, 4.1.3)."""
    own = str(connected.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{own}]" if ":" in own else f"[{own}]"


def _hidden(text: str, password: str) -> str:
    return text.replace(password, "•••") if len(password) > 3 else text
