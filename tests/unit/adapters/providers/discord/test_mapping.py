"""Messages as Discord's embeds: what they say, and every limit at the limit and one over."""

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from adapters.providers.discord import limits
from adapters.providers.discord.mapping import COLOUR, markdown, shape, username
from domain.notifications.message import Action, Fact, Message, Tone

_MESSAGE = Message(
    title="Invoice 42 paid",
    text="Ada paid.",
    at=datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
    facts=(Fact("Client", "Ada"), Fact("Amount", "125.00 USD")),
    action=Action("Open invoice", "https://hub.example.com/invoices/inv_1"),
    tone=Tone.GOOD,
    source="Studio Nord",
)


def _embed(**changes: Any) -> dict[str, Any]:
    embed: dict[str, Any] = shape(attrs.evolve(_MESSAGE, **changes)).payload["embeds"][0]
    return embed


def _cut(**changes: Any) -> tuple[str, ...]:
    return shape(attrs.evolve(_MESSAGE, **changes)).shortened


def test_a_message_is_one_embed_that_notifies_nobody_by_name() -> None:
    """`allowed_mentions` must be there and empty, whatever the texts hold."""
    assert shape(_MESSAGE).payload == {
        "username": "Studio Nord",
        "allowed_mentions": {"parse": []},
        "embeds": [
            {
                "title": "Invoice 42 paid",
                "url": "https://hub.example.com/invoices/inv_1",
                "description": "Ada paid.\n\n[Open invoice](https://hub.example.com/invoices/inv_1)",
                "color": COLOUR[Tone.GOOD],
                "timestamp": "2026-11-21T09:30:00.000Z",
                "footer": {"text": "Studio Nord"},
                "fields": [
                    {"name": "Client", "value": "Ada", "inline": True},
                    {"name": "Amount", "value": "125.00 USD", "inline": True},
                ],
            }
        ],
    }


def test_each_tone_has_its_own_colour() -> None:
    """Good and bad news are told apart at a glance."""
    assert len({_embed(tone=tone)["color"] for tone in Tone}) == len(Tone)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*a* _b_ ~c~ `d` |e|", r"\*a\* \_b\_ \~c\~ \`d\` \|e\|"),
        ("[x](y) <@123>", r"\[x\](y) \<@123>"),
        ("# one\n- two\n> three", "\\# one\n\\- two\n\\> three"),
        ("https://a.example/b_c_d and b_c", r"https://a.example/b_c_d and b\_c"),
    ],
)
def test_plain_text_stays_plain(text: str, shown: str) -> None:
    """A client called *Nord* is not bold; an address must still be one."""
    assert markdown(text) == shown


def test_a_title_at_the_limit_stays_and_one_over_is_cut() -> None:
    """Counted in code points, as the API counts: an emoji is one."""
    assert (len(_embed(title="😀" * limits.TITLE)["title"]), _cut(title="😀" * limits.TITLE)) == (limits.TITLE, ())
    assert _embed(title="x" * (limits.TITLE + 1))["title"] == "x" * (limits.TITLE - 1) + "…"
    assert _cut(title="x" * (limits.TITLE + 1)) == ("title",)


def test_a_description_at_the_limit_stays_and_one_over_is_cut() -> None:
    """The link line at its end counts and is kept."""
    link = "\n\n[Open invoice](https://hub.example.com/invoices/inv_1)"
    room = limits.DESCRIPTION - len(link)
    over = _embed(text="x" * (room + 1))["description"]

    assert (len(_embed(text="x" * room)["description"]), _cut(text="x" * room)) == (limits.DESCRIPTION, ())
    assert len(over) == limits.DESCRIPTION
    assert over.endswith("x…" + link)
    assert len(_embed(text="_" * 4000)["description"]) <= limits.DESCRIPTION


def test_a_field_at_the_limits_stays_and_one_over_is_cut() -> None:
    """Name and value each have their own limit."""
    at = (Fact("n" * limits.FIELD_NAME, "v" * limits.FIELD_VALUE),)
    over = (Fact("n" * (limits.FIELD_NAME + 1), "v" * (limits.FIELD_VALUE + 1)),)
    field = _embed(facts=over)["fields"][0]

    assert _cut(facts=at) == ()
    assert len(_cut(facts=over)) == 1
    assert (len(field["name"]), len(field["value"])) == (limits.FIELD_NAME, limits.FIELD_VALUE)


def test_twenty_five_fields_stay_and_the_next_is_left_out() -> None:
    """Discord refuses the whole message otherwise."""
    facts = tuple(Fact(str(number), "v") for number in range(limits.FIELDS + 1))

    assert (len(_embed(facts=facts[:-1])["fields"]), _cut(facts=facts[:-1])) == (limits.FIELDS, ())
    assert (len(_embed(facts=facts)["fields"]), _cut(facts=facts)) == (limits.FIELDS, ("facts",))


def test_the_whole_embed_keeps_to_six_thousand() -> None:
    """Each part may be within its own limit and the message still be refused."""
    preview = shape(attrs.evolve(_MESSAGE, text="t" * 4000, facts=tuple(Fact("n" * 200, "v" * 900) for _ in range(9))))
    embed = preview.payload["embeds"][0]
    texts = [embed["title"], embed["description"], embed["footer"]["text"]]
    texts += [text for field in embed["fields"] for text in (field["name"], field["value"])]

    assert sum(map(len, texts)) <= limits.EMBED_TOTAL
    assert sum(map(len, texts)) == next(m.used for m in preview.meters if m.name == "whole embed")
    assert all(texts)
    assert "facts" in preview.shortened


def test_a_link_at_the_limit_stays_and_one_over_is_left_out() -> None:
    """A link cannot be cut."""
    url = "https://a.example/" + "x" * (limits.URL - len("https://a.example/"))

    assert _embed(action=Action("Open", url))["url"] == url
    assert "url" not in _embed(action=Action("Open", url + "x"))
    assert _cut(action=Action("Open", url + "x")) == ("action",)


@pytest.mark.parametrize("name", ["Discord fans", "clyde", "everyone", "a#b", "a@b"])
def test_a_name_that_discord_refuses_is_not_sent(name: str) -> None:
    """The message is worth more than its author's name."""
    assert username(name) is None


def test_a_name_at_the_limit_stays_and_one_over_is_cut() -> None:
    """Eighty characters."""
    assert username("n" * limits.USERNAME) == "n" * limits.USERNAME
    assert len(username("n" * (limits.USERNAME + 1)) or "") == limits.USERNAME
