"""Messages as Slack's blocks: what they say, and every limit at the limit and one over."""

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from adapters.providers.slack import limits
from adapters.providers.slack.mapping import EMOJI, mrkdwn, shape
from domain.notifications.message import Action, Fact, Message, Tone
from domain.notifications.shortening import utf16

_MESSAGE = Message(
    title="Invoice 42 paid",
    text="Ada paid.",
    at=datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
    facts=(Fact("Client", "Ada"), Fact("Amount", "125.00 USD")),
    action=Action("Open invoice", "https://hub.example.com/invoices/inv_1"),
    tone=Tone.GOOD,
    source="Studio Nord",
)


def _with(**changes: Any) -> Message:
    return attrs.evolve(_MESSAGE, **changes)


def test_a_message_is_header_text_facts_button_and_footer() -> None:
    """The order a reader expects."""
    assert shape(_MESSAGE).payload == {
        "text": "Invoice 42 paid\nAda paid.",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "✅ Invoice 42 paid", "emoji": True}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "Ada paid.", "verbatim": True}},
            {
                "type": "section",
                "fields": [
                    {"type": "mrkdwn", "text": "*Client*\nAda", "verbatim": True},
                    {"type": "mrkdwn", "text": "*Amount*\n125.00 USD", "verbatim": True},
                ],
            },
            {
                "type": "actions",
                "elements": [
                    {
                        "type": "button",
                        "text": {"type": "plain_text", "text": "Open invoice", "emoji": True},
                        "url": "https://hub.example.com/invoices/inv_1",
                    }
                ],
            },
            {
                "type": "context",
                "elements": [
                    {
                        "type": "mrkdwn",
                        "text": "Studio Nord · <!date^1795253400^{date_short_pretty} {time}|2026-11-21 09:30 UTC>",
                        "verbatim": True,
                    }
                ],
            },
        ],
    }


@pytest.mark.parametrize("tone", Tone)
def test_each_tone_has_its_emoji(tone: Tone) -> None:
    """Good and bad news are told apart at a glance."""
    assert shape(_with(tone=tone)).payload["blocks"][0]["text"]["text"].startswith(EMOJI[tone])


def test_only_three_characters_are_escaped_and_only_in_mark_up() -> None:
    """Slack shows any other entity as it is typed, and plain text is not mark-up."""
    payload = shape(_with(title="A & B <c>", text="A & B <c> \"d\" 'e' *f*")).payload

    assert payload["blocks"][0]["text"]["text"] == "✅ A & B <c>"
    assert payload["blocks"][1]["text"]["text"] == "A &amp; B &lt;c&gt; \"d\" 'e' *f*"
    assert payload["text"].startswith("A &amp; B &lt;c&gt;")


def test_addresses_are_links_and_mentions_are_not() -> None:
    """`verbatim` keeps Slack from finding mentions, so links are written out."""
    assert mrkdwn("See https://a.example/x?a=1&b=2|y, <!channel>.") == (
        "See <https://a.example/x?a=1&amp;b=2%7Cy>, &lt;!channel&gt;."
    )


def test_a_title_at_the_limit_stays_and_one_over_is_cut() -> None:
    """The emoji and a space count too."""
    room = limits.HEADER_TEXT - len("✅ ")
    at, over = shape(_with(title="x" * room)), shape(_with(title="x" * (room + 1)))

    assert (utf16(at.payload["blocks"][0]["text"]["text"]), at.shortened) == (limits.HEADER_TEXT, ())
    assert over.payload["blocks"][0]["text"]["text"].endswith("x…")
    assert over.shortened == ("title",)


@pytest.mark.parametrize(("letter", "size"), [("x", 1), ("&", 5), ("😀", 2)])
def test_a_text_at_the_limit_stays_and_one_over_is_cut(letter: str, size: int) -> None:
    """Counted as Slack gets it: an ampersand is five characters, and is never cut in two."""
    count = limits.SECTION_TEXT // size
    at, over = shape(_with(text=letter * count)), shape(_with(text=letter * (count + 1)))
    text = over.payload["blocks"][1]["text"]["text"]

    assert at.shortened == ()
    assert over.shortened == ("text",)
    assert utf16(text) <= limits.SECTION_TEXT
    assert text == mrkdwn(letter) * ((len(text) - 1) // len(mrkdwn(letter))) + "…"


def test_a_fact_at_the_limit_stays_and_one_over_is_cut() -> None:
    """Label, line break and value share the field."""
    room = limits.FIELD_TEXT - len("*L*\n")
    at, over = shape(_with(facts=(Fact("L", "v" * room),))), shape(_with(facts=(Fact("L", "v" * (room + 1)),)))

    assert (len(at.payload["blocks"][2]["fields"][0]["text"]), at.shortened) == (limits.FIELD_TEXT, ())
    assert len(over.payload["blocks"][2]["fields"][0]["text"]) == limits.FIELD_TEXT
    assert over.shortened == ("facts.L",)


def test_the_eleventh_fact_begins_another_section() -> None:
    """A section takes ten; none is lost."""
    payload = shape(_with(facts=tuple(Fact(str(number), "v") for number in range(11)))).payload

    assert [len(block["fields"]) for block in payload["blocks"] if "fields" in block] == [10, 1]


def test_a_buttons_label_and_link_keep_their_limits() -> None:
    """A label can be cut; a link cannot, and is left out."""
    url = "https://a.example/" + "x" * (limits.BUTTON_URL - len("https://a.example/"))
    at = shape(_with(action=Action("b" * limits.BUTTON_TEXT, url)))
    over = shape(_with(action=Action("b" * (limits.BUTTON_TEXT + 1), url + "x")))
    label = shape(_with(action=Action("b" * (limits.BUTTON_TEXT + 1), url)))

    assert at.shortened == ()
    assert over.shortened == ("action",)
    assert not [block for block in over.payload["blocks"] if block["type"] == "actions"]
    assert len(label.payload["blocks"][3]["elements"][0]["text"]["text"]) == limits.BUTTON_TEXT


def test_all_blocks_together_keep_the_undocumented_limit() -> None:
    """Each part may be within its own limit and the message still be refused."""
    text, facts = "t" * limits.SECTION_TEXT, tuple(Fact(str(n), "v" * 1990) for n in range(8))
    preview = shape(_with(text=text, facts=facts))

    def texts(value: Any) -> int:
        if isinstance(value, dict):
            own = value.get("text")
            return utf16(own) if isinstance(own, str) else sum(map(texts, value.values()))
        return sum(map(texts, value)) if isinstance(value, list) else 0

    assert texts(preview.payload["blocks"]) <= limits.ALL_BLOCKS_TEXT
    assert texts(preview.payload["blocks"]) == next(m.used for m in preview.meters if m.name == "all blocks")
    assert "facts" in preview.shortened
