"""Mail as a place to post messages."""

import ssl
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, final

import attrs

from adapters.providers.smtp.client import Addresses, MailServer, SmtpClient
from adapters.providers.smtp.mapping import address, letter, shape
from adapters.providers.smtp.provider import SECURITIES
from application.ports.message_channel import MessageChannel, Preview
from domain.notifications.attempts import Outcome, Verdict
from domain.notifications.message import Message
from domain.refusals import Invalid

TIMEOUT = timedelta(seconds=20)


@final
@attrs.frozen
class SmtpChannel(MessageChannel):
    """Mails to `target["to"]`, a list of addresses; `target["subject"]`, if given, takes the place of the title.

    One mail goes to all of them. Its Message-ID comes from the delivery, so that a second try can be told apart.
    """

    _guard: Addresses
    _timeout: timedelta = TIMEOUT
    _tls: ssl.SSLContext | None = None

    def preview(self, message: Message) -> Preview:
        """The mail's subject, page and text."""
        return shape(message)

    async def send(
        self, access: Mapping[str, str], target: Mapping[str, Any], message: Message, *, delivery_id: str
    ) -> Outcome:
        """Hand the mail in once."""
        override = target.get("subject")
        payload = shape(message, subject=override if isinstance(override, str) else None).payload
        given = target.get("to")
        to = given if isinstance(given, list | tuple) else [given] if given else []
        try:
            server, sender = _server(access), address(access.get("sender"), field="sender")
            mail = letter(
                message,
                payload,
                sender=sender,
                sender_name=access.get("sender_name", ""),
                to=to,
                delivery_id=delivery_id,
            )
        except Invalid as invalid:
            return Outcome(Verdict.REFUSED, timedelta(), error=invalid.reason)
        recipients = [address(each, field="to") for each in to]
        return await SmtpClient(self._guard, self._timeout, self._tls).hand_in(server, mail, sender, recipients)


def _server(access: Mapping[str, str]) -> MailServer:
    host, port, security = (
        access.get("host", "").strip(),
        access.get("port") or "587",
        access.get("security") or "starttls",
    )
    if not host or any(character.isspace() for character in host):
        raise Invalid.field("host", "The mail server's name is needed.")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Invalid.field("port", "A port is a number from 1 to 65535, such as 587.")
    if security not in SECURITIES:
        raise Invalid.field("security", f"Security is one of {', '.join(SECURITIES)}.")
    return MailServer(host, int(port), security, access.get("username", ""), access.get("password", ""))
