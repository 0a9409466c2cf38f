"""Messages as mails: subject, page, plain text and headers."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import Any

import attrs
import pytest

from adapters.providers.smtp import limits
from adapters.providers.smtp.mapping import address, letter, message_id, shape
from domain.notifications.message import Action, Attachment, Fact, Message, Tone
from domain.refusals import Invalid

_MESSAGE = Message(
    title="Invoice 42 paid",
    text="Ada <paid> & left.\nBye.\n\nSee https://a.example/x?a=1&b=2.",
    at=datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
    facts=(Fact("Client", "Ada <b>"), Fact("Amount", "125.00 USD")),
    action=Action("Open invoice", "https://hub.example.com/invoices/inv_1?a=1&b=2"),
    tone=Tone.GOOD,
    source="Studio Nord",
)


def _letter(to: list[Any], **changes: Any) -> bytes:
    given = {"sender": "billing@example.com", "sender_name": "Studio, Nord", "delivery_id": "dlv_1"} | changes
    return letter(_MESSAGE, shape(_MESSAGE).payload, to=to, **given).as_bytes()


def test_the_plain_text_says_all_that_the_page_says() -> None:
    """Some people read mail as text."""
    assert shape(_MESSAGE).payload["text"] == (
        "Invoice 42 paid\n\nAda <paid> & left.\nBye.\n\nSee https://a.example/x?a=1&b=2.\n\n"
        "Client: Ada <b>\nAmount: 125.00 USD\n\n"
        "Open invoice: https://hub.example.com/invoices/inv_1?a=1&b=2\n\n-- \nStudio Nord · 2026-11-21 09:30 UTC\n"
    )


def test_the_page_escapes_what_it_shows_and_loads_nothing() -> None:
    """Texts come from other systems; images from elsewhere are blocked and tell who reads."""
    html = shape(_MESSAGE).payload["html"]

    assert "Ada &lt;paid&gt; &amp; left.<br>" in html
    assert "Ada &lt;b&gt;" in html
    assert 'href="https://a.example/x?a=1&amp;b=2"' in html
    assert 'href="https://hub.example.com/invoices/inv_1?a=1&amp;b=2"' in html
    assert not any(word in html for word in ("<img", "<script", "<link", "url(", "@import"))


def test_a_subject_at_the_limit_stays_and_one_over_is_cut() -> None:
    """Two hundred characters are already more than any program shows."""
    at = shape(attrs.evolve(_MESSAGE, title="x" * limits.SUBJECT))
    over = shape(attrs.evolve(_MESSAGE, title="x" * (limits.SUBJECT + 1)))

    assert at.shortened == ()
    assert (over.payload["subject"], over.shortened) == ("x" * (limits.SUBJECT - 1) + "…", ("title",))


def test_a_text_at_the_limit_stays_and_one_over_is_cut() -> None:
    """Counted in bytes, as the page is cut by."""
    assert shape(attrs.evolve(_MESSAGE, text="x" * limits.TEXT_BYTES)).shortened == ()
    assert shape(attrs.evolve(_MESSAGE, text="x" * (limits.TEXT_BYTES + 1))).shortened == ("text",)


def test_an_overlong_page_stays_below_what_programs_show() -> None:
    """Gmail hides what comes after about 102 KB."""
    message = attrs.evolve(_MESSAGE, text="&" * 90_000, facts=tuple(Fact("&" * 200, "<" * 3000) for _ in range(200)))

    assert len(shape(message).payload["html"].encode()) < 102_000


def test_the_override_changes_the_subject_alone() -> None:
    """A rule may name its own subject."""
    payload = shape(_MESSAGE, subject="Paid!\r\nBcc: eve@example.com").payload

    assert payload["subject"] == "Paid! Bcc: eve@example.com"
    assert "<h1" in payload["html"]
    assert "Invoice 42 paid" in payload["html"]


def test_a_delivery_makes_the_same_mail_each_time() -> None:
    """A server that got it twice can then tell."""
    assert _letter(["ada@example.com"]) == _letter(["ada@example.com"])
    assert b"<dlv_1@example.com>" in _letter(["ada@example.com"])


def test_the_mail_has_the_headers_it_needs() -> None:
    """And no line too long for a server (RFC 5322, 2.1.1)."""
    raw = _letter(["ada@example.com", "bo@bücher.example"])
    mail = message_from_bytes(raw, policy=policy.default)

    assert mail["From"] == '"Studio, Nord" <billing@example.com>'
    assert mail["To"] == "ada@example.com, bo@xn--bcher-kva.example"
    assert mail["Date"] == "Sat, 21 Nov 2026 09:30:00 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "multipart/alternative"
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_what_is_enclosed_comes_after_the_page_and_the_text() -> None:
    """An invoice as a file that a bookkeeper can save; the same delivery still makes the same mail."""
    content = bytes(range(256)) * 300
    enclosed = Attachment("INV-0001\r\n.pdf", "application/pdf", content)
    message = attrs.evolve(_MESSAGE, attachments=(enclosed,))

    def raw() -> bytes:
        made = letter(
            message,
            shape(message).payload,
            sender="a@example.com",
            sender_name="",
            to=["b@example.com"],
            delivery_id="d",
        )
        return made.as_bytes()

    mail = message_from_bytes(raw(), policy=policy.default)
    assert mail.get_content_type() == "multipart/mixed"
    (file,) = mail.iter_attachments()  # type: ignore[attr-defined]
    assert (file.get_content_type(), file.get_filename(), file.get_content()) == (
        "application/pdf",
        "INV-0001 .pdf",
        content,
    )
    body = mail.get_body(("html",))  # type: ignore[attr-defined]
    assert "Invoice 42 paid" in body.get_content()
    assert raw() == raw()
    assert max(map(len, raw().split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    "wrong",
    ["", "ada", "@example.com", "ada@", "ada@example.com\r\nBcc: eve@example.com", "Ada <ada@example.com>",
     "a@b, c@d", "a b@example.com", f"{'x' * 65}@example.com", f"x@{'y' * 60}.{'z' * 63}.{'y' * 63}.{'z' * 63}.example",
     "jörg@example.com", "a@b..c", "a..b@example.com", None, 7],
)  # fmt: skip
def test_what_is_no_address_is_refused(wrong: Any) -> None:
    """A line break in an address would be a header of the sender's choice."""
    with pytest.raises(Invalid):
        address(wrong, field="to")
    with pytest.raises(Invalid):
        _letter(["ada@example.com", wrong])


def test_an_address_at_the_limits_is_taken() -> None:
    """64 before the @."""
    assert address(f"{'x' * 64}@example.com", field="to")


def test_a_mail_goes_to_at_least_one_and_at_most_a_hundred() -> None:
    """More is a mailing list."""
    _letter([f"a{number}@example.com" for number in range(limits.RECIPIENTS)])
    for to in ([], [f"a{number}@example.com" for number in range(limits.RECIPIENTS + 1)]):
        with pytest.raises(Invalid):
            _letter(to)


def test_a_strange_delivery_id_still_makes_a_message_id() -> None:
    """Nothing else may stand in one."""
    assert message_id("a b\r\n>", "x@example.com").endswith("@example.com>")
    assert " " not in message_id("a b\r\n>", "x@example.com")
