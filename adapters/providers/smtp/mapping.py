"""A neutral message as a mail: subject, page and plain text; and the mail itself with all its headers. Pure."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import attrs
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from adapters.providers.smtp import limits
from application.ports.message_channel import Meter, Preview
from domain.notifications.message import Action, Fact, Message, Tone
from domain.notifications.shortening import clean, one_line, shorten
from domain.refusals import Invalid

COLOUR: Mapping[Tone, str] = {
    Tone.GOOD: "#1f7a46",
    Tone.NEUTRAL: "#3b5bdb",
    Tone.WARNING: "#a06800",
    Tone.BAD: "#c22f35",
}
"""Each dark enough for white text on it (WCAG 2.2, 1.4.3: a contrast of 4.5 to 1)."""

_PAGE = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
).get_template("mail.html.j2")
_URL = re.compile(r"https?://[^\s<>\"…]+[^\s<>\"….,;:!?)\]}']")
_ADDRESS = re.compile(r"[^\s@<>(),;:\"\\\[\]]+@[^\s@<>(),;:\"\\\[\]]+")
_SMALLEST_ROOM = 1_000
"""With fewer bytes than this left in the page, a fact is left out and not cut to a stump."""


@attrs.define
class _Room:
    """What is left of the room that all texts of the page share, and what had to give way."""

    left: int = limits.HTML_BYTES
    shortened: list[str] = attrs.field(factory=list)

    def take(self, place: str, text: str, limit: int) -> str:
        """The text, cut to its own limit in bytes and to what is left. Not yet escaped."""
        kept = shorten(text, min(limit, self.left), size=_bytes)
        self.left -= _bytes(kept)
        return self.note(place, text, kept)

    def note(self, place: str, text: str, kept: str) -> str:
        """Remember the place if the text was cut."""
        if kept != text and place not in self.shortened:
            self.shortened.append(place)
        return kept


def shape(message: Message, *, subject: str | None = None) -> Preview:
    """Subject, HTML page and plain text. `subject` takes the place of the title in the mail's subject alone."""
    room = _Room()
    source = (
        room.note("source", one_line(message.source), shorten(one_line(message.source), limits.SOURCE)) or "Patchbay"
    )
    whole_title = one_line(message.title) or source
    title = room.note("title", whole_title, shorten(whole_title, limits.SUBJECT))
    whole_subject = one_line(subject or "") or whole_title
    line = room.note("subject" if subject else "title", whole_subject, shorten(whole_subject, limits.SUBJECT))
    action = _action(room, message.action)
    text = room.take("text", clean(message.text).strip(), limits.TEXT_BYTES)
    facts = _facts(room, message.facts)
    moment = f"{message.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    html = _PAGE.render(
        title=title,
        preview=shorten(one_line(text), 140),
        source=source,
        colour=COLOUR[message.tone],
        paragraphs=[_linked(part) for part in _paragraphs(text)],
        facts=facts,
        action=action,
        moment=moment,
    )
    return Preview(
        payload={"subject": line, "html": html, "text": _plain(title, text, facts, action, f"{source} · {moment}")},
        meters=(
            Meter("subject", len(line), limits.SUBJECT),
            Meter("text", _bytes(text), limits.TEXT_BYTES),
            Meter("facts", len(facts), limits.FACTS),
            Meter("page", limits.HTML_BYTES - room.left, limits.HTML_BYTES),
        ),
        shortened=tuple(room.shortened),
    )


def letter(
    message: Message, payload: Mapping[str, Any], *, sender: str, sender_name: str, to: Sequence[str], delivery_id: str
) -> EmailMessage:
    """The mail. The same delivery gives the same bytes each time, and the same Message-ID.

    Mail servers and programs drop a second mail with the Message-ID of the first. Raises Invalid for an address that is
    none, for none at all, or for too many.
    """
    if not 1 <= len(to) <= limits.RECIPIENTS:
        raise Invalid.field("to", f"A mail goes to 1 to {limits.RECIPIENTS} addresses.")
    origin = address(sender, field="sender")
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(display_name=one_line(sender_name), addr_spec=origin)
    mail["To"] = [Address(addr_spec=address(each, field="to")) for each in to]
    mail["Subject"] = payload["subject"]
    mail["Date"] = format_datetime(message.at.astimezone(UTC))
    mail["Message-ID"] = message_id(delivery_id, origin)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
    mail.set_content(payload["text"], cte="quoted-printable")
    mail.add_alternative(payload["html"], subtype="html", cte="quoted-printable")
    boundary = "=_" + hashlib.sha256(delivery_id.encode("utf-8", "replace")).hexdigest()[:40]
    mail.set_boundary(boundary)
    for enclosed in message.attachments:
        kind, _, subtype = enclosed.media_type.partition("/")
        mail.add_attachment(enclosed.content, maintype=kind, subtype=subtype, filename=one_line(enclosed.name))
    if message.attachments:
        mail.set_boundary(f"{boundary}_all")  # the page and the text moved into a part of their own, with its boundary
    return mail


def message_id(delivery_id: str, sender: str) -> str:
    """`<dlv_…@example.com>`: the delivery at the sender's domain (RFC 5322, 3.6.4)."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", delivery_id):
        delivery_id = hashlib.sha256(delivery_id.encode("utf-8", "replace")).hexdigest()
    return f"<{delivery_id}@{sender.rpartition('@')[2]}>"


def address(text: Any, *, field: str) -> str:
    """A bare address, its domain in ASCII (IDNA). Raises Invalid for anything else, such as one with a line break."""
    typed = text.strip() if isinstance(text, str) else ""
    local, _, domain = typed.rpartition("@")
    try:
        whole = f"{local}@{domain.encode('idna').decode()}" if domain else ""
        fits = len(whole) <= limits.ADDRESS and len(local) <= limits.LOCAL_PART and local.isascii()
        if not (fits and _ADDRESS.fullmatch(whole) and whole.isprintable()):
            raise ValueError(f"{typed[:80]!r} does not have the form of an address")
        Address(addr_spec=whole)
    except (ValueError, IndexError) as error:  # UnicodeError and email's HeaderParseError are ValueErrors
        raise Invalid.field(
            field, f"'{one_line(typed)[:80]}' is not a mail address such as ada@example.com."
        ) from error
    return whole


def _bytes(text: str) -> int:
    return len(str(escape(text)).encode("utf-8", "replace"))


def _paragraphs(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def _linked(paragraph: str) -> Markup:
    """A paragraph with its line breaks kept and its addresses as links, everything else escaped."""
    pieces, end = [Markup()], 0
    for found in _URL.finditer(paragraph):
        link = Markup('<a href="{0}" style="color:inherit;">{0}</a>').format(found[0])
        pieces += [escape(paragraph[end : found.start()]), link]
        end = found.end()
    return Markup().join([*pieces, escape(paragraph[end:])]).replace("\n", Markup("<br>\n"))


def _facts(room: _Room, facts: tuple[Fact, ...]) -> list[Fact]:
    shown: list[Fact] = []
    for fact in facts:
        if room.left < _SMALLEST_ROOM or len(shown) == limits.FACTS:
            room.shortened.append("facts")
            break
        label = shorten(one_line(fact.label), limits.FACT_LABEL)
        room.left = max(0, room.left - _bytes(label))
        value = room.take(f"facts.{fact.label}", clean(fact.value).strip() or "–", limits.FACT_BYTES)
        shown.append(Fact(label, value))
    return shown


def _action(room: _Room, action: Action | None) -> Action | None:
    if action is None:
        return None
    if not action.url.startswith(("http://", "https://")) or len(action.url) > limits.URL:
        room.shortened.append("action")  # a link cannot be cut: it would lead elsewhere
        return None
    return Action(shorten(one_line(action.label) or "Open", limits.ACTION_LABEL), clean(action.url))


def _plain(title: str, text: str, facts: list[Fact], action: Action | None, footer: str) -> str:
    parts = [title, text, "\n".join(f"{fact.label}: {fact.value}" for fact in facts)]
    if action:
        parts.append(f"{action.label}: {action.url}")
    return "\n\n".join([part for part in parts if part] + [f"-- \n{footer}"]) + "\n"
