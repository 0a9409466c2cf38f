"""Which of Flutterwave's webhooks are taken, and what is read from them."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers.flutterwave import webhook
from application.ports.payments import BadSignature

HASH = "a long secret hash"
BODY = json.dumps(
    {"event": "charge.completed", "data": {"id": 285959875, "tx_ref": "chk_1", "status": "successful"}}
).encode()
V3, V4 = webhook.marked("v3", HASH), webhook.marked("v4", HASH)


def _event(**more: Any) -> bytes:
    return json.dumps({"event": "charge.completed", **more}).encode()


def test_the_signature_is_the_documented_one() -> None:
    """base64 of HMAC-SHA256 of the raw body, computed here a second way."""
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in HASH.encode().ljust(64, b"\0")) + BODY).digest()
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in HASH.encode().ljust(64, b"\0")) + inner).digest()
    assert webhook.signature(HASH, BODY) == base64.b64encode(outer).decode()
    assert webhook.signature(HASH, b"{}") == base64.b64encode(hmac.digest(HASH.encode(), b"{}", "sha256")).decode()


def test_a_good_webhook_of_each_version_is_taken() -> None:
    """In whatever case its headers are."""
    webhook.verify((V3,), {"verif-hash": HASH}, BODY)
    webhook.verify((V3,), {"VERIF-HASH": HASH}, BODY)
    webhook.verify((V4,), {"Flutterwave-Signature": webhook.signature(HASH, BODY)}, BODY)
    webhook.verify(("v3:older", V3), {"verif-hash": HASH}, BODY)


@pytest.mark.parametrize(
    "headers", [{}, {"verif-hash": ""}, {"verif-hash": "wrong"}, {"verif-hash": HASH + " "}, {"verif-hash": "ä"}]
)
def test_a_v3_webhook_without_the_hash_is_refused(headers: dict[str, str]) -> None:
    """The text says which header, and never what it should have been."""
    with pytest.raises(BadSignature, match="verif-hash") as refused:
        webhook.verify((V3,), headers, BODY)
    assert HASH not in str(refused.value)


@pytest.mark.parametrize(
    "body", [BODY + b" ", BODY.replace(b"successful", b"failed"), json.dumps(json.loads(BODY), indent=1).encode(), b""]
)
def test_a_v4_body_that_was_changed_is_refused(body: bytes) -> None:
    """Also one that says the same in other bytes."""
    with pytest.raises(BadSignature, match="flutterwave-signature"):
        webhook.verify((V4,), {"flutterwave-signature": webhook.signature(HASH, BODY)}, body)


def test_the_setting_says_which_version_is_right_and_not_the_header() -> None:
    """Else whoever knows the hash from one v3 call could pass for signed v4."""
    both = {"verif-hash": HASH, "flutterwave-signature": "nonsense"}
    with pytest.raises(BadSignature):
        webhook.verify((V4,), both, BODY)
    with pytest.raises(BadSignature):
        webhook.verify((V4,), {"verif-hash": HASH}, BODY)
    with pytest.raises(BadSignature):
        webhook.verify((V3,), {"flutterwave-signature": webhook.signature(HASH, BODY)}, BODY)


@pytest.mark.parametrize("secrets", [(), ("",), ("v3:",), ("v4: ",)])
def test_without_a_secret_nothing_is_taken(secrets: tuple[str, ...]) -> None:
    """An empty hash must not be matched by an empty header."""
    with pytest.raises(BadSignature):
        webhook.verify(secrets, {"verif-hash": "", "flutterwave-signature": webhook.signature("", BODY)}, BODY)


@given(st.text(min_size=1).filter(lambda text: text.strip() != ""), st.sampled_from(["v3", "v4"]))
def test_any_hash_is_one(secret: str, version: str) -> None:
    """Also one that looks like a version of its own."""
    header = {"verif-hash": secret} if version == "v3" else {"flutterwave-signature": webhook.signature(secret, BODY)}
    webhook.verify((webhook.marked(version, secret),), header, BODY)


def test_a_hash_that_looks_marked_stays_itself() -> None:
    """`v4:x` may be somebody's hash."""
    webhook.verify((webhook.marked("v3", "v4:x"),), {"verif-hash": "v4:x"}, BODY)
    with pytest.raises(BadSignature):
        webhook.verify((webhook.marked("v3", "v4:x"),), {"flutterwave-signature": webhook.signature("x", BODY)}, BODY)


def test_a_charge_leads_to_its_transaction_and_nothing_else_is_believed() -> None:
    """Neither that it failed, nor whose it is: that is asked for."""
    for status in ("successful", "failed", "levitating"):
        event = webhook.read(
            _event(data={"id": 7, "tx_ref": "chk_1", "status": status}, meta_data={"patchbay_organisation": "x"})
        )
        assert (event.object_kind, event.object_reference, event.intent_reference) == ("intent", "7", "7")
        assert (event.failed, event.live, dict(event.metadata)) == (False, False, {})
        assert event.external_id.startswith(f"charge.completed/7/{status}/")


def test_the_same_news_is_the_same_event_and_other_news_is_another() -> None:
    """v3 has no id of an event; mobile money is told twice, first pending and then successful."""
    pending, done = (webhook.read(_event(data={"id": 7, "status": s})).external_id for s in ("pending", "successful"))
    assert pending != done
    assert webhook.read(_event(data={"status": "successful", "id": 7})).external_id == done


def test_a_made_up_hint_does_not_pass_for_flutterwave_s_own() -> None:
    """Else whoever knows the hash could have the real one dropped as a copy, by sending its kind, id and status first."""
    data = {"id": 7, "tx_ref": "chk_1", "status": "successful"}
    real = webhook.read(_event(data={**data, "flw_ref": "FLW-MOCK-1", "created_at": "2026-11-21T18:00:00.000Z"}))
    assert webhook.read(_event(data=data)).external_id != real.external_id


@pytest.mark.parametrize(
    ("body", "kind", "reference", "intent"),
    [
        ({"event": "transfer.completed", "data": {"id": 33286, "status": "SUCCESSFUL"}}, "payout", "33286", None),
        ({"event": "refund.completed", "data": {"id": 5, "transaction_id": 7, "status": "x"}}, "refund", "5", "7"),
        ({"event": "refund.completed", "data": {"id": 5, "tx_id": "../7", "status": "x"}}, "refund", "5", None),
        ({"event": "subscription.cancelled", "data": {"id": 4147, "status": "cancelled"}}, "subscription", "4147", None),
        ({"event": "moon.landed", "data": {"id": "a", "status": 3}}, "moon", "a", None),
        (
            {"webhook_id": "wbk_1", "type": "charge.completed", "data": {"id": "chg_1", "reference": "chk_1"}},
            "checkout",
            "chk_1",
            None,
        ),
    ],
)  # fmt: skip
def test_an_event_says_where_to_look(body: dict[str, Any], kind: str, reference: str, intent: str | None) -> None:
    """v4's own ids mean nothing to v3, so our reference is followed."""
    event = webhook.read(json.dumps(body).encode())
    assert (event.object_kind, event.object_reference, event.intent_reference) == (kind, reference, intent)
    assert event.subscription_reference is None
    assert event.external_id == ("wbk_1" if "webhook_id" in body else event.external_id)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"null",
        _event(),
        _event(data=[]),
        _event(data={}),
        _event(data={"id": True}),
        b'{"event": 5, "data": {"id": 1}}',
    ],
)
def test_what_is_no_event_is_a_value_error(body: bytes) -> None:
    """It is kept and looked at by a person."""
    with pytest.raises(ValueError, match=r"."):
        webhook.read(body)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner))
)
def test_no_body_breaks_the_reader(value: Any) -> None:
    """A v3 body is anybody's who saw one call."""
    try:
        event = webhook.read(json.dumps({"event": "charge.completed", "data": value}).encode())
    except ValueError:
        return
    assert len(event.object_reference) <= 120
