"""Templates put an event's values where the user wants them, and can neither loop nor explode."""

import json
import random
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.notifications.formats import FORMATS
from domain.notifications.output import MAX_OUTPUT, TooLarge
from domain.notifications.payload import Payload
from domain.notifications.templates import MAX_PLACEHOLDERS, MAX_TEMPLATE, Template
from domain.refusals import Invalid

DATA = {
    "amount": 12500,
    "rate": 0.5,
    "paid": True,
    "note": None,
    "client": {"name": 'ACME "GmbH"\n', "e.mail": "a@example.com"},
    "lines": [{"amount": 100, "tags": ["a", "b"]}, {"amount": 2}],
    "due": "2026-11-30",
    "sent": "2026-11-21T23:30:00-02:00",
    "html": "<b>A & B</b>",
    "long": "ö" * 1000,
}


def view_of(data: Any) -> Any:
    """An event's view with this data."""
    at = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    return Payload("evt_1", "org_1", "invoice.paid", at, json.dumps(data).encode(), "https://hub.example.com").view


VIEW = view_of(DATA)


def ascii_start(text: str) -> str:
    """A name for a case: some texts are 64 KiB long."""
    return ascii(text[:30])


def rendered(text: str) -> str:
    """What the template makes of the event."""
    return Template.parse(text).render(VIEW).text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Paid: {{data.amount}}", "Paid: 12500"),
        ("{{ id }} {{type}} {{timestamp}} {{organisation_id}}", "evt_1 invoice.paid 2026-11-21T09:30:00Z org_1"),
        ("{{event.data.lines.0.amount}}, {{data.lines[1].amount}}", "100, 2"),
        ('{{data.client[\'e.mail\']}} {{data["client"]["e.mail"]}}', "a@example.com a@example.com"),
        ("{{data.paid}} {{data.note}} {{data.rate}}", "true  0.5"),
        ("{{data.lines}}", '[{"amount":100,"tags":["a","b"]},{"amount":2}]'),
        ("{{data.client.name}}", 'ACME "GmbH"\n'),
        ("{{data.client.name | json}}", '"ACME \\"GmbH\\"\\n"'),
        ("{{data.html | xml}} {{data.html | mrkdwn}}", "&lt;b&gt;A &amp; B&lt;/b&gt; &lt;b&gt;A &amp; B&lt;/b&gt;"),
        ("{{data.html | url}}", "%3Cb%3EA%20%26%20B%3C%2Fb%3E"),
        ("{{type | upper}} {{type | upper | lower}}", "INVOICE.PAID invoice.paid"),
        ("{{data.nope | default('none')}} {{data.note | default(0)}}", "none 0"),
        ('{{data.lines.0.tags | join}} {{data.lines.0.tags | join(" / ")}}', "a, b a / b"),
        ("{{data.lines | length}} {{data.nope | length}} {{data.long | length}}", "2 0 1000"),
        ("{{data.long | truncate(3)}} {{type | truncate(12)}}", "öö… invoice.paid"),
        ("{{data.due | date}} {{data.due | date('DD.MM.YYYY')}}", "2026-11-30 30.11.2026"),
        ("{{data.sent | date('YYYY-MM-DD HH:mm:ss')}} {{type | date}}", "2026-11-22 01:30:00 invoice.paid"),
        ('{{"{{"}} is written so }}', "{{ is written so }}"),
        ("no placeholder", "no placeholder"),
    ],
)
def test_a_text_template_takes_values_as_they_are(template: str, text: str) -> None:
    """What the guide shows is what is sent."""
    assert rendered(template) == text


def test_a_json_template_keeps_a_values_type() -> None:
    """A receiver that wants a number refuses "12500"."""
    made = rendered(
        '{"amount": "{{data.amount}}", "lines": "{{ data.lines }}", "none": "{{data.nope}}", "v": [1.50, null]}'
    )
    assert made == '{"amount":12500,"lines":[{"amount":100,"tags":["a","b"]},{"amount":2}],"none":null,"v":[1.50,null]}'


def test_a_json_template_cannot_be_broken_by_a_value() -> None:
    """A client's name with a quote in it must not add a member."""
    made = rendered('{"text": "To {{data.client.name}}!", "{{data.client.name}}": "\\u00e9 {{data.amount}}"}')
    assert json.loads(made) == {"text": 'To ACME "GmbH"\n!', 'ACME "GmbH"\n': "é 12500"}


def test_keys_that_turn_out_the_same_are_written_once() -> None:
    """Two members of one name are read differently by every receiver (RFC 8259, section 4)."""
    assert (
        rendered('{"{{data.nope}}": 1, "a": {}, "{{data.note}}": [], "{{type}}": 3}')
        == '{"":[],"a":{},"invoice.paid":3}'
    )


def test_what_is_missing_is_listed_once_and_not_if_it_has_a_default() -> None:
    """The preview shows a typing mistake before the first event does."""
    made = Template.parse("{{data.a}}{{data.b.c}}{{data.a}}{{data.d | default(1)}}{{data['x.y']}}{{data.note}}").render(
        VIEW
    )
    assert made.missing == ("data.a", "data.b.c", 'data["x.y"]')


@pytest.mark.parametrize(
    ("text", "given", "made"),
    [
        ("[1]", None, "application/json"),
        ("[Patchbay] {{type}}", "text/plain", "text/plain"),
        ("{{type}}", None, "text/plain; charset=utf-8"),
        ("{{type}}", "text/csv", "text/csv"),
        ('"{{type}}"', "application/vnd.x+json; v=1", "application/vnd.x+json; v=1"),
    ],
)
def test_the_media_type_is_seen_or_given(text: str, given: str | None, made: str) -> None:
    """A text that begins with a bracket is only JSON if nobody says otherwise."""
    assert Template.parse(text, media_type=given).render(VIEW).media_type == made


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{", "Expected a path such as data.client.name at line 1, column 3: found the end."),
        ("a\n {{data.x | nope}}", "after '|' at line 2, column 13: found 'nope'."),
        ("{{data.x", "Expected '}}' or '|' after 'data.x' at line 1, column 9: found the end."),
        ("{{client.name}}", "starts with one of id, type, timestamp, organisation_id, data at line 1, column 3"),
        ("{{data..x}}", "Expected a name or a number at line 1, column 8"),
        ("{{data.x | default}}", 'write default("none")'),
        ("{{data.x | truncate('1')}}", "write truncate(200)"),
        ("{{data.x | join(data.y)}}", "Expected a text in quotes, a number, true, false or null after '('"),
        ("{{data.x | default('a)}}", "Expected a closing quote"),
        ("{{data.x | default(1e999)}}", "Expected a smaller number at line 1, column 20"),
        ("{{data.x | default('\\q')}}", "Unknown escape"),
        ('{"a": {{data.x}}}', "Expected a quote before the placeholder at line 1, column 8"),
        ('{"a": 1,}', "Not JSON at line 1, column 9"),
        ("[Patchbay]", "To send a text that starts like JSON, give its media type."),
        ('["\\n\\u00e9\\ud83d\\ude00{{data.x |}}"]', "line 1, column 33"),
        ('{"a":\n 1, "a": 2}', "The key 'a' at line 2, column 5 stands twice"),
        ("[NaN]", "NaN is not a JSON value."),
        ("[" * 5000, "nested at most 64"),
        ("[" * 65 + "]" * 65, "nested at most 64"),
        ("{{data.x}}" * (MAX_PLACEHOLDERS + 1), "at most 500 placeholders"),
        ('["' + "{{data.x}}" * (MAX_PLACEHOLDERS + 1) + '"]', "at most 500 placeholders"),
        ('{"{{data.x}}": "' + "{{data.x}}" * MAX_PLACEHOLDERS + '"}', "at most 500 placeholders"),
        ("ö" * (MAX_TEMPLATE // 2 + 1), "at most 64 KiB"),
        ("{{data" + ".x" * 20 + "}}", "at most 20 names"),
        ("{{data.x" + " | upper" * 9 + "}}", "at most 8 formats"),
        ("\ud800", "half a surrogate pair"),
        (" \n", "not empty"),
        ("{% for x in data %}", "Not JSON"),
        ("{{data.x()}}", "Expected '}}' or '|' after 'data.x'"),
        ("{{data.__class__.__mro__ + 1}}", "Expected a value"),
    ],
    ids=ascii_start,
)
def test_a_template_that_is_none_is_refused_with_its_place(template: str, reason: str) -> None:
    """The user corrects it without guessing."""
    with pytest.raises(Invalid) as refused:
        Template.parse(template)
    (fault,) = refused.value.faults
    assert fault.field == "template"
    assert reason in fault.reason


def test_a_path_reads_keys_and_elements_and_no_attribute() -> None:
    """Nothing of the program can be reached from a template."""
    made = Template.parse("{{data.__class__}}{{data.lines.__len__}}{{data.amount.real}}{{data.lines.-1}}").render(VIEW)
    assert made.text == ""
    assert len(made.missing) == 4


@pytest.mark.parametrize(
    "template",
    [
        "{{data}}" * 500,
        "{{data.long}}" * 500,
        "{{data.some}}" * 500,
        '["{{data.list}}"]',
        '["' + '","'.join(["{{data.some}}"] * 500) + '"]',
        '["' + "{{data.some}}" * 500 + '"]',
        '{"{{data.some}}{{data.some}}": "' + "{{data.some}}" * 490 + '"}',
    ],
    ids=range(7),
)
def test_an_output_that_would_explode_is_refused(template: str) -> None:
    """500 placeholders of 2 MB are a gigabyte: it is refused at the bound and not after it."""
    view = view_of({"some": "x" * 600, "long": "x" * 2_000_000, "list": [1] * 500_000})
    compiled = Template.parse(template)
    started = time.perf_counter()
    with pytest.raises(TooLarge, match="template: What is sent would be larger than 256 KiB"):
        compiled.render(view)
    assert time.perf_counter() - started < 0.5


def test_an_output_below_the_bound_is_not_refused() -> None:
    """The bound is of the output, not of the data that it is taken from."""
    view = view_of({"some": "x" * 600, "long": "y" * 400_000})
    assert len(Template.parse("{{data.some}}" * 430).render(view).text) == 430 * 600
    assert len(Template.parse("{{data | json | truncate(500)}}").render(view).text) == 500


@pytest.mark.parametrize(
    "formats", ["upper | length", "json | length", "join | length", "truncate(100000) | length", "xml | json | length"]
)
def test_work_that_is_thrown_away_is_bounded_too(formats: str) -> None:
    """A short output may not hide a gigabyte of work."""
    view = view_of({"long": "x" * 200_000, "list": ["x"] * 100_000})
    name = "list" if "join" in formats else "long"
    with pytest.raises(TooLarge, match="too large altogether"):
        Template.parse(f"{{{{data.{name} | {formats}}}}}" * 20).render(view)


def test_the_bound_is_in_bytes() -> None:
    """The receiver counts bytes."""
    view = view_of({"a": "ö" * (MAX_OUTPUT // 2)})
    assert len(Template.parse("{{data.a}}").render(view).text.encode()) == MAX_OUTPUT
    with pytest.raises(TooLarge):
        Template.parse("{{data.a}}.").render(view)


def test_deep_data_is_refused_and_exhausts_nothing() -> None:
    """Data that was read at one depth of the stack may be written at another."""
    deep: Any = "x"
    for _ in range(70):
        deep = [deep]
    with pytest.raises(TooLarge, match="deeper than 64"):
        Template.parse("{{data}}").render(view_of(deep))


def test_numbers_and_texts_no_receiver_can_read_stay_texts() -> None:
    """1e400 is Infinity to a careless writer, and Infinity is not JSON."""
    data = b'{"a":1e400,"b":%s,"c":-1e999,"d":"\\ud800x","e":123456789012345678901234567890}' % (b"9" * 5000)
    at = datetime(2026, 11, 21, tzinfo=UTC)
    view = Payload("evt_1", "org_1", "a.b", at, data, "").view
    made = json.loads(Template.parse('{"all": "{{data}}", "a": "{{data.a}}", "d": "{{data.d}}"}').render(view).text)
    assert made["all"]["a"] == made["a"] == "1e400"
    assert made["all"]["b"] == "9" * 5000
    assert made["all"]["e"] == 123456789012345678901234567890
    assert made["d"] == "?x"


@pytest.mark.parametrize("data", [[10**5000], float("inf"), [float("nan")], {1: 2}.keys(), object()], ids=type)
def test_values_that_json_does_not_have_are_refused(data: Any) -> None:
    """A view that was not made from JSON is the program's mistake, and it is said."""
    for template in ("{{data}}", '["{{data}}"]', "{{data | json}}", '["{{id}}", "{{data | upper}}"]'):
        with pytest.raises(Invalid, match="data: "):
            Template.parse(template).render({"data": data})


def test_a_template_is_compiled_once() -> None:
    """Each delivery asks again."""
    assert Template.parse("x {{id}}") is Template.parse("x {{id}}")


PIECES = [
    "{{",
    "}}",
    "data",
    ".x",
    ".0",
    "|",
    " | ",
    '"',
    "'",
    "\\",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "1e400",
    "\n",
]
PIECES += [
    "event.",
    "id",
    "type",
    "\ud800",
    "😀",
    "null",
    "-",
    "[0]",
    "['a.b']",
    "{{id}}",
    "{{data.lines}}",
    '{"a":"{{data}}"}',
    "\x00",
]
PIECES += [f" | {name}" for name in FORMATS] + ["('x')", '(", ")', "(3)"]


def test_whatever_is_written_is_refused_or_renders() -> None:
    """10,000 texts made of the language's own pieces: Invalid or a bounded text, and valid JSON where JSON is said."""
    dice = random.Random(3)
    read = 0
    fields: set[str] = set()
    for _ in range(10_000):
        text = "".join(dice.choices(PIECES, k=dice.randint(1, 12)))
        try:
            template = Template.parse(text)
            made = template.render(VIEW)
        except Invalid as refused:
            fields.update(fault.field for fault in refused.faults)
            continue
        read += 1
        assert len(made.text.encode()) <= MAX_OUTPUT
        if made.media_type == "application/json":
            json.loads(made.text)
    assert fields == {"template"}
    assert read > 500


def test_random_json_templates_always_make_json() -> None:
    """Keys and strings with placeholders, escapes and nesting: the document keeps its form."""
    dice = random.Random(4)
    names = [
        "{{data.client.name}}",
        "{{data.nope}}",
        "{{data.lines}}",
        "{{data | json}}",
        'a"\\',
        "é",
        "{{type | upper}}",
        "\ud83d",
    ]

    def value(depth: int) -> Any:
        kind = dice.randrange(6 if depth else 4)
        if kind == 4:
            return [value(depth - 1) for _ in range(dice.randrange(4))]
        if kind == 5:
            return {"".join(dice.choices(names, k=2)): value(depth - 1) for _ in range(dice.randrange(4))}
        return ["".join(dice.choices(names, k=dice.randint(1, 3))), dice.random(), None, True][kind]

    for index in range(1000):
        text = json.dumps([value(4)], ensure_ascii=True, indent=2 if index % 2 else None)
        json.loads(Template.parse(text).render(VIEW).text)
