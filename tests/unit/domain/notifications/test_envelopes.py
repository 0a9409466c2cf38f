"""What is sent around an event's data: each shape as its receivers know it, and the standard one to the byte."""

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, unquote

import attrs
import pytest

from domain.events import Event
from domain.notifications.envelopes import Envelope, compose
from domain.notifications.named_shapes import NAMED
from domain.notifications.output import TooLarge
from domain.notifications.payload import Payload
from domain.notifications.shape import Shape, preview
from domain.refusals import Invalid

AT = datetime(2026, 11, 21, 9, 30, 1, 250_000, tzinfo=UTC)
HUB = "https://hub.example.com"
DATA = {
    "amount": 12500,
    "rate": 0.5,
    "paid": True,
    "note": None,
    "client": {"name": "ACME & Söhne", "tags": ["vip", 1]},
    "lines": [{"amount": 100, "tax": {"rate": 19}}, {"amount": 2}],
    "none": [],
    "empty": {},
}


def event_of(data: Any, **changes: Any) -> Event:
    """An event with this data."""
    return attrs.evolve(Event("evt_1", "org_1", "invoice.paid", data, AT, AT), **changes)


def payload_of(data: Any, **changes: Any) -> Payload:
    """A payload with this data, or with `data_json` as given."""
    return attrs.evolve(Payload.of(event_of(data), HUB), **changes)


PAYLOAD = payload_of(DATA)
UNREADABLE = payload_of({}, data_json=b"[" * 100_000)


@pytest.mark.parametrize(
    "event",
    [
        event_of(DATA),
        event_of({}),
        event_of({"a": '"\\\n\u2028😀', "b": "</script>"}),
        event_of(DATA, id='evt_"ö'),
        event_of(DATA, occurred_at=AT.replace(microsecond=0)),
        event_of(DATA, occurred_at=AT.astimezone(timezone(timedelta(hours=2)))),
    ],
    ids=range(6),
)
def test_the_standard_body_is_the_events_to_the_byte(event: Event) -> None:
    """Receivers that keep bodies, and our own records of them, see no difference."""
    made = compose(Envelope.STANDARD, Payload.of(event, HUB))
    assert made.body == json.dumps(event.body, separators=(",", ":"), ensure_ascii=False).encode()
    assert made.media_type == "application/json"
    assert made.headers == {}


def test_half_a_surrogate_pair_is_said_as_a_question_mark() -> None:
    """UTF-8 has no way to say it, and a crash would stop the delivery for good."""
    made = compose(Envelope.STANDARD, payload_of({"a": "x\ud800"}))
    assert json.loads(made.body)["data"] == {"a": "x?"}


def test_the_data_alone() -> None:
    """For receivers that know nothing of events."""
    made = compose(Envelope.DATA, PAYLOAD)
    assert json.loads(made.body) == DATA
    assert made.media_type == "application/json"


def test_a_form_has_nested_names() -> None:
    """PHP, Rails and qs read them back as objects and lists."""
    made = compose(Envelope.FORM, PAYLOAD)
    assert made.media_type == "application/x-www-form-urlencoded"
    assert parse_qsl(made.body.decode("ascii"), keep_blank_values=True, strict_parsing=True) == [
        ("id", "evt_1"),
        ("type", "invoice.paid"),
        ("timestamp", "2026-11-21T09:30:01.250000Z"),
        ("data[amount]", "12500"),
        ("data[rate]", "0.5"),
        ("data[paid]", "true"),
        ("data[note]", ""),
        ("data[client][name]", "ACME & Söhne"),
        ("data[client][tags][0]", "vip"),
        ("data[client][tags][1]", "1"),
        ("data[lines][0][amount]", "100"),
        ("data[lines][0][tax][rate]", "19"),
        ("data[lines][1][amount]", "2"),
        ("data[none]", ""),
        ("data[empty]", ""),
    ]


def test_a_form_escapes_what_would_be_another_field() -> None:
    """A client's name may not add a field."""
    made = compose(Envelope.FORM, payload_of({"a&b=c": "x&id=evt_2", "k]": "\ud800\u0000 +%"}))
    pairs = parse_qsl(made.body.decode("ascii"), keep_blank_values=True)
    assert pairs[3:] == [("data[a&b=c]", "x&id=evt_2"), ("data[k]]", "?\x00 +%")]


def test_cloudevents_in_structured_mode() -> None:
    """The required attributes and data (CloudEvents 1.0.2, JSON format, sections 2 and 3)."""
    made = compose(Envelope.CLOUDEVENTS, PAYLOAD)
    assert made.media_type == "application/cloudevents+json"
    assert json.loads(made.body) == {
        "specversion": "1.0",
        "id": "evt_1",
        "source": "https://hub.example.com/organisations/org_1",
        "type": "invoice.paid",
        "time": "2026-11-21T09:30:01.250000Z",
        "datacontenttype": "application/json",
        "data": DATA,
    }


def test_cloudevents_in_binary_mode() -> None:
    """Attributes in headers, no ce-datacontenttype (HTTP protocol binding, section 3.1.1)."""
    made = compose(Envelope.CLOUDEVENTS_BINARY, PAYLOAD)
    assert json.loads(made.body) == DATA
    assert made.media_type == "application/json"
    assert made.headers == {
        "ce-specversion": "1.0",
        "ce-id": "evt_1",
        "ce-source": "https://hub.example.com/organisations/org_1",
        "ce-type": "invoice.paid",
        "ce-time": "2026-11-21T09:30:01.250000Z",
    }


def test_binary_mode_encodes_header_values_as_the_binding_says() -> None:
    """The specification's own example (HTTP protocol binding, section 3.1.3.2), and nothing that ends a header."""
    made = compose(Envelope.CLOUDEVENTS_BINARY, attrs.evolve(PAYLOAD, id="Euro € 😀"))
    assert made.headers["ce-id"] == "Euro%20%E2%82%AC%20%F0%9F%98%80"
    hostile = "".join(map(chr, range(0x100)))
    header = compose(Envelope.CLOUDEVENTS_BINARY, attrs.evolve(PAYLOAD, id=hostile)).headers["ce-id"]
    assert unquote(header) == hostile
    assert all("!" <= character <= "~" and character != '"' for character in header)
    assert "<=>?@" in header


def test_a_thin_body_says_where_the_event_is() -> None:
    """The data stays here until someone with a key asks for it."""
    made = compose(Envelope.THIN, attrs.evolve(PAYLOAD, id="evt/1"))
    assert json.loads(made.body) == {
        "id": "evt/1",
        "type": "invoice.paid",
        "timestamp": "2026-11-21T09:30:01.250000Z",
        "url": "https://hub.example.com/api/events/evt%2F1",
    }


def test_zapier_gets_one_level() -> None:
    """Nested fields are joined with two underscores; lists of objects are line items."""
    made = compose(Envelope.ZAPIER, PAYLOAD)
    assert made.media_type == "application/json"
    assert json.loads(made.body) == {
        "id": "evt_1",
        "type": "invoice.paid",
        "timestamp": "2026-11-21T09:30:01.250000Z",
        "data__amount": 12500,
        "data__rate": 0.5,
        "data__paid": True,
        "data__note": None,
        "data__client__name": "ACME & Söhne",
        "data__client__tags": ["vip", 1],
        "data__lines": [{"amount": 100, "tax__rate": 19}, {"amount": 2}],
        "data__none": [],
        "data__empty": None,
    }
    nested = compose(Envelope.ZAPIER, payload_of({"a": [[1, 2], {"b": {"c": [[3]]}}], "b": {"c": 1}, "b__c": 2}))
    assert json.loads(nested.body)["data__a"] == ["[1,2]", {"b__c": ["[3]"]}]
    assert json.loads(nested.body)["data__b__c"] == 2


@pytest.mark.parametrize(
    "envelope", [Envelope.STANDARD, Envelope.DATA, Envelope.THIN, Envelope.CLOUDEVENTS, Envelope.CLOUDEVENTS_BINARY]
)
def test_the_data_is_not_parsed_where_bytes_will_do(envelope: Envelope) -> None:
    """100,000 events an hour: parsing costs more than the rest. And what cannot be read can still be sent."""
    assert compose(envelope, UNREADABLE).body


@pytest.mark.parametrize(
    "make",
    [
        lambda: compose(Envelope.FORM, UNREADABLE),
        lambda: compose(Envelope.ZAPIER, UNREADABLE),
        lambda: compose(Envelope.FORM, payload_of({}, data_json=b"{")),
        lambda: compose(Envelope.FORM, payload_of({}, data_json=b"\xff")),
        lambda: payload_of({"a": float("nan")}),
        lambda: payload_of({"a": 10**5000}),
        lambda: payload_of({"a": object()}),
        lambda: Shape(template="{{id}}").compose(UNREADABLE),
        lambda: preview(Shape(), "data.a == 1", UNREADABLE),
    ],
    ids=range(9),
)
def test_data_that_cannot_be_read_or_said_is_refused(make: Any) -> None:
    """A clear error and no crash."""
    with pytest.raises(Invalid) as refused:
        make()
    assert [fault.field for fault in refused.value.faults] == ["data"]


def nested(levels: int) -> Any:
    """Objects within each other."""
    deep: Any = {"a": 1}
    for _ in range(levels - 1):
        deep = {"a": deep}
    return deep


@pytest.mark.parametrize("envelope", [Envelope.FORM, Envelope.ZAPIER])
@pytest.mark.parametrize(
    "data",
    [
        {"k" * 100_000: {str(index): 0 for index in range(50_000)}},
        {"a": ["\u20ac" * 100_000] * 20},
        nested(70),
        {"a": [[[{"b": nested(66)}]]]},
        {"a": "x" * 3_000_000},
    ],
    ids=range(5),
)
def test_a_flat_body_that_would_explode_is_refused(envelope: Envelope, data: Any) -> None:
    """One long name before 50,000 values is five gigabytes; it is refused before it is built."""
    payload = payload_of(data)
    assert payload.view
    started = time.perf_counter()
    with pytest.raises(TooLarge) as refused:
        compose(envelope, payload)
    assert refused.value.faults[0].field == "envelope"
    assert time.perf_counter() - started < 1


def test_a_list_under_a_long_name_explodes_only_as_a_form() -> None:
    """A form repeats the name before each element; line items do not."""
    payload = payload_of({"k" * 100_000: [{"a": 0}] * 50_000})
    with pytest.raises(TooLarge):
        compose(Envelope.FORM, payload)
    assert len(compose(Envelope.ZAPIER, payload).body) < 600_000


def test_256_kib_of_ordinary_data_fits_every_envelope() -> None:
    """The bound is for explosions, not for large invoices."""
    data = {
        "lines": [{"description": "Überstunden " * 3, "amount": index, "tax": {"rate": 19}} for index in range(2900)]
    }
    payload = payload_of(data)
    assert 240_000 < len(payload.data_json) < 262_144
    assert all(compose(envelope, payload).body for envelope in Envelope)


def test_a_shape_is_the_standard_unless_said_otherwise() -> None:
    """An endpoint of today keeps its bodies."""
    assert Shape().compose(PAYLOAD) == compose(Envelope.STANDARD, PAYLOAD)
    assert Shape(Envelope.FORM).compose(PAYLOAD) == compose(Envelope.FORM, PAYLOAD)


def test_a_template_takes_the_envelopes_place() -> None:
    """And keeps the headers of binary mode."""
    made = Shape(Envelope.CLOUDEVENTS_BINARY, "{{data.client.name}}", "text/plain").compose(PAYLOAD)
    assert made.body == "ACME & Söhne".encode()
    assert made.media_type == "text/plain"
    assert made.headers["ce-id"] == "evt_1"
    assert Shape(Envelope.FORM, '{"a": "{{data.amount}}"}').compose(PAYLOAD).media_type == "application/json"
    assert not Shape(Envelope.FORM, "a").compose(PAYLOAD).headers


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("template", lambda: Shape(template="{{")),
        ("template", lambda: Shape(template="{{id}}", template_type="application/json")),
        ("template_type", lambda: Shape(template_type="text/plain")),
        ("template_type", lambda: Shape(template="a", template_type="text")),
        ("template_type", lambda: Shape(template="a", template_type="text/plain\r\nx: y")),
        ("template_type", lambda: Shape(template="a", template_type="text/plain; charset=latin-1")),
        ("template_type", lambda: Shape(template="a", template_type="multipart/form-data; boundary=x")),
        ("template_type", lambda: Shape(template="a", template_type="text/plain; a=" + "b" * 200)),
        ("template_type", lambda: Shape(template="a", template_type="text/plän")),
    ],
    ids=range(9),
)
def test_a_shape_that_cannot_work_is_refused_when_it_is_made(field: str, make: Any) -> None:
    """Not at three in the morning by the first event."""
    with pytest.raises(Invalid) as refused:
        make()
    assert refused.value.faults[0].field == field


def test_a_preview_shows_all_that_would_happen() -> None:
    """Before it is saved."""
    shape = Shape(template='{"name": "{{data.client.name}}", "x": "{{data.nope}}"}')
    shown = preview(shape, "data.amount > 99999", PAYLOAD)
    assert not shown.accepted
    assert [(clause.text, clause.holds) for clause in shown.why] == [("data.amount > 99999", False)]
    assert shown.body == '{"name":"ACME & Söhne","x":null}'
    assert shown.size == len(shown.body.encode())
    assert shown.media_type == "application/json"
    assert shown.missing == ("data.nope",)
    assert shown.headers == {}


def test_a_preview_needs_neither_filter_nor_template() -> None:
    """Every event is accepted then; data that cannot be read is sent as it is."""
    shown = preview(Shape(), None, UNREADABLE)
    assert shown.accepted
    assert (shown.why, shown.missing) == ((), ())
    with pytest.raises(Invalid, match="filter: "):
        preview(Shape(), "data.", PAYLOAD)


@pytest.mark.parametrize("name", NAMED)
def test_a_named_shape_makes_json_of_any_data(name: str) -> None:
    """Also of none and of the largest, with nothing missing."""
    for data in (DATA, {}, {"a": "x" * 250_000}, {"a": ["<&>\"'" * 10] * 4000}):
        payload = payload_of(data)
        shown = preview(NAMED[name].shape, None, payload)
        assert isinstance(json.loads(shown.body), dict)
        assert shown.missing == ()
    assert NAMED[name].source.startswith("https://")


def test_named_shapes_stay_within_the_receivers_bounds_and_mention_nobody() -> None:
    """Slack: a section has at most 3,000 characters; Discord: a description at most 4,096 and mentions only if allowed."""
    payload = payload_of({"a": "<!channel> @everyone & " * 1000})
    slack = json.loads(NAMED["slack-incoming"].shape.compose(payload).body)
    section = slack["blocks"][1]["text"]["text"]
    assert len(section) <= 3000
    assert "<" not in section
    assert "&lt;!channel&gt;" in section
    discord = json.loads(NAMED["discord-incoming"].shape.compose(payload).body)
    assert len(discord["embeds"][0]["description"]) <= 4096
    assert discord["allowed_mentions"] == {"parse": []}
