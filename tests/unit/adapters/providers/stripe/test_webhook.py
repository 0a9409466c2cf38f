"""Which webhooks are believed, and what is read from them."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers.stripe import webhook
from application.ports.payments import BadSignature

NOW = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
SECRET = "whsec_test"
BODY = b'{"object": "event"}'


def _signed(at: int = AT, secret: str = SECRET, body: bytes = BODY) -> str:
    return f"t={at},v1={webhook.signature(secret, at, body)}"


def test_the_signature_is_the_published_one() -> None:
    """HMAC-SHA256 of `t.body`; this value was computed with another tool (openssl dgst)."""
    assert webhook.signature(SECRET, 1, b"{}") == "7500d5d4be4b3ef07af1fe56f7d522d135cdaa7530de557e67cc1049c52de094"


@pytest.mark.parametrize("shift", [-300, -1, 0, 1, 300])
def test_a_moment_within_five_minutes_is_accepted(shift: int) -> None:
    """Clocks differ a little, both ways."""
    webhook.verify((SECRET,), _signed(AT + shift), BODY, NOW)


@pytest.mark.parametrize("shift", [-301, 301, -86_400, 86_400 * 365])
def test_a_moment_further_away_is_refused(shift: int) -> None:
    """Old ones may be replayed; those from the future could be kept for later."""
    with pytest.raises(BadSignature, match="seconds"):
        webhook.verify((SECRET,), _signed(AT + shift), BODY, NOW)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        "t=,v1=",
        f"t={AT}",
        f"v1={'0' * 64}",
        f"t={AT},v0={webhook.signature(SECRET, AT, BODY)}",
        f"t=0{AT},v1={webhook.signature(SECRET, AT, BODY)}",
        f"t=+{AT},v1={webhook.signature(SECRET, AT, BODY)}",
        f"t={AT},t={AT},v1={webhook.signature(SECRET, AT, BODY)}",
        f"t={'9' * 40},v1={'0' * 64}",
        f"t={AT},v1={webhook.signature(SECRET, AT, BODY).upper()}",
        f"t={AT},v1=é",
        f"t=١٢,v1={'0' * 64}",
    ],
)
def test_a_header_that_is_not_quite_right_is_refused(header: str | None) -> None:
    """And never crashes: anyone may send anything."""
    with pytest.raises(BadSignature):
        webhook.verify((SECRET,), header, BODY, NOW)


@given(st.text(max_size=200), st.binary(max_size=50))
def test_no_header_and_no_body_crash_it(header: str, body: bytes) -> None:
    """The only way out is BadSignature."""
    with pytest.raises(BadSignature):
        webhook.verify((SECRET,), header, body, NOW)


def test_any_secret_and_any_signature_may_match() -> None:
    """Both sides may be in the middle of changing secrets."""
    both = f"{_signed(secret='whsec_a')},v1={webhook.signature('whsec_b', AT, BODY)}"
    webhook.verify(("whsec_a",), both, BODY, NOW)
    webhook.verify(("whsec_b",), both, BODY, NOW)
    webhook.verify(("whsec_x", "", "whsec_b"), both, BODY, NOW)
    for secrets in (("whsec_x",), ("", " "), ()):
        with pytest.raises(BadSignature):
            webhook.verify(secrets, both, BODY, NOW)


def test_no_error_tells_what_was_expected() -> None:
    """It would be a recipe for forging one."""
    with pytest.raises(BadSignature) as error:
        webhook.verify((SECRET,), f"t={AT},v1={'0' * 64}", BODY, NOW)
    assert webhook.signature(SECRET, AT, BODY) not in str(error.value)
    assert SECRET not in str(error.value)


def _event(about: object, **more: object) -> bytes:
    event = {
        "id": "evt_1",
        "object": "event",
        "type": "a.b",
        "created": AT,
        "livemode": True,
        "data": {"object": about},
    }
    return json.dumps({**event, **more}).encode()


@pytest.mark.parametrize(
    ("about", "kind", "reference", "intent"),
    [
        ({"object": "checkout.session", "id": "cs_1", "payment_intent": "pi_1"}, "checkout", "cs_1", "pi_1"),
        ({"object": "checkout.session", "id": "cs_1", "payment_intent": None}, "checkout", "cs_1", None),
        ({"object": "payment_intent", "id": "pi_1", "metadata": {"a": "b"}}, "intent", "pi_1", "pi_1"),
        ({"object": "refund", "id": "re_1", "payment_intent": {"id": "pi_1"}}, "refund", "re_1", "pi_1"),
        ({"object": "charge", "id": "ch_1", "payment_intent": "pi_1", "metadata": None}, "charge", "ch_1", "pi_1"),
        ({"object": "dispute", "id": "dp_1", "payment_intent": "pi_1"}, "dispute", "dp_1", "pi_1"),
        ({"object": "subscription", "id": "sub_1"}, "subscription", "sub_1", None),
        ({"object": "invoice", "id": "in_1"}, "invoice", "in_1", None),
        ({"object": "payout", "id": "po_1"}, "payout", "po_1", None),
        ({"object": "customer", "id": "cus_1"}, "customer", "cus_1", None),
        ({"object": "payment_method", "id": "pm_1", "customer": "cus_1"}, "method", "pm_1", None),
        ({"object": "mystery", "id": "x_1"}, "mystery", "x_1", None),
        ({"object": "balance"}, "balance", "", None),
    ],
)
def test_an_event_says_what_it_is_about(
    about: dict[str, object], kind: str, reference: str, intent: str | None
) -> None:
    """Also one of a kind that is not known yet."""
    event = webhook.read(_event(about))
    assert (event.object_kind, event.object_reference, event.intent_reference) == (kind, reference, intent)
    assert (event.external_id, event.type, event.created_at, event.live) == ("evt_1", "a.b", NOW, True)
    assert event.metadata == (about.get("metadata") or {})
    assert event.payload["id"] == "evt_1"


@pytest.mark.parametrize(
    ("about", "subscription"),
    [
        ({"object": "subscription", "id": "sub_1"}, "sub_1"),
        ({"object": "invoice", "id": "in_1", "parent": {"subscription_details": {"subscription": "sub_1"}}}, "sub_1"),
        ({"object": "invoice", "id": "in_1", "subscription": "sub_1"}, "sub_1"),
        ({"object": "invoice", "id": "in_1", "parent": None}, None),
        ({"object": "invoice", "id": "in_1", "parent": {"subscription_details": None}}, None),
        ({"object": "checkout.session", "id": "cs_1", "subscription": {"id": "sub_1"}}, "sub_1"),
        ({"object": "checkout.session", "id": "cs_1", "subscription": None}, None),
        ({"object": "charge", "id": "ch_1", "subscription": "sub_1"}, None),
    ],
)
def test_an_event_says_which_subscription_it_belongs_to(about: dict[str, object], subscription: str | None) -> None:
    """All of them are handled one after another, whatever they are about; an invoice by hand belongs to none."""
    event = webhook.read(_event(about))
    assert event.subscription_reference == subscription
    assert event.object == (f"subscription:{subscription}" if subscription else f"{event.object_kind}:{about['id']}")


def test_what_the_adapter_wrote_for_itself_is_nobody_s_business() -> None:
    """The rest of the metadata is."""
    event = webhook.read(_event({"object": "charge", "id": "ch_1", "metadata": {"patchbay_key": "k", "a": "b"}}))
    assert event.metadata == {"a": "b"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[1]",
        b"\xff",
        b'{"object": "v2.core.event", "id": "evt_1"}',
        _event(None),
        _event({"id": "no kind"}),
        _event({"object": "charge", "metadata": "text"}),
        _event({"object": "charge"}, created="yesterday"),
        _event({"object": "charge"}, created=10**30),
        _event({"object": "charge"}, data=[]),
    ],
)
def test_a_body_that_is_no_event_is_a_value_error(body: bytes) -> None:
    """It was signed, so it is kept for a person to look at; it must not crash the worker."""
    with pytest.raises(ValueError, match=r"."):
        webhook.read(body)


def test_header_names_are_matched_without_regard_to_case() -> None:
    """Servers change it at will."""
    body = _event({"object": "charge", "id": "ch_1"})
    for name in ("Stripe-Signature", "stripe-signature", "STRIPE-SIGNATURE"):
        headers = {"Host": "x", name: _signed(body=body)}
        read = webhook.read_webhook((SECRET,), headers, body, NOW + timedelta(seconds=5))
        assert read.object_reference == "ch_1"
