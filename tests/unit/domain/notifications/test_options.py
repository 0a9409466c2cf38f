"""An endpoint's options: what is given changes, what is left out stays, and every mistake is named."""

from typing import Any, cast

import pytest

from domain.notifications.envelopes import Envelope
from domain.notifications.named_shapes import NAMED
from domain.notifications.options import Options, OptionSettings
from domain.notifications.shape import Shape
from domain.notifications.signatures import SignatureStyle
from domain.notifications.windows import Rate
from domain.refusals import Invalid

FULL = Options(
    Shape(Envelope.CLOUDEVENTS_BINARY, "<a>{{id}}</a>", "application/xml"),
    "data.amount > 3",
    SignatureStyle.STRIPE,
    "stripe-signature",
    (1, 2),
    {"invoice.*": (3,)},
    600,
    True,
    Rate(5, 10),
)


def given(**settings: Any) -> OptionSettings:
    """Some of the settings."""
    return cast("OptionSettings", settings)


@pytest.mark.parametrize("name", ["filter", "retries", "expires_after_s", "rate_limit", "fifo", "retries_by_type"])
def test_one_that_is_cleared_leaves_the_others(name: str) -> None:
    """Null is the usual again."""
    changed = FULL.changed(given(**{name: None}))
    at = {"rate_limit": "rate"}.get(name, name)
    assert getattr(changed, at) == getattr(Options(), at)
    for other in ("shape", "filter", "signature", "retries", "retries_by_type", "expires_after_s", "fifo", "rate"):
        assert other == at or getattr(changed, other) == getattr(FULL, other), other


def test_nothing_given_changes_nothing() -> None:
    """An empty change is no change."""
    assert FULL.changed(given()) == FULL


def test_what_depends_on_a_setting_goes_with_it() -> None:
    """A type without its template, a header without its style, a period without its limit would be left over."""
    assert FULL.changed(given(template=None)).shape == Shape(Envelope.CLOUDEVENTS_BINARY)
    assert FULL.changed(given(signature=SignatureStyle.STANDARD)).signature_header is None
    assert FULL.changed(given(signature=None)).signature is SignatureStyle.STANDARD
    assert FULL.changed(given(rate_limit=7)).rate == Rate(7, 10)
    assert FULL.changed(given(rate_period_s=None)).rate == Rate(5, 1)


@pytest.mark.parametrize("name", list(NAMED))
def test_a_named_template_is_copied(name: str) -> None:
    """It replaces the whole shape, whatever stood there."""
    assert FULL.changed(given(template_name=name)).shape == NAMED[name].shape


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"template": "{{"}, "template"),
        ({"template_type": "text/plain"}, "template_type"),
        ({"template": "x", "template_type": "no type"}, "template_type"),
        ({"template_name": "nobody"}, "template_name"),
        ({"template_name": "slack-incoming", "template": "x"}, "template_name"),
        ({"filter": "a =="}, "filter"),
        ({"filter": ""}, "filter"),
        ({"signature_header": "x-signature"}, "signature_header"),
        ({"signature": SignatureStyle.STRIPE, "signature_header": "host"}, "signature_header"),
        ({"retries": (0,)}, "retries"),
        ({"retries": (1,) * 31}, "retries"),
        ({"retries_by_type": {"no type": (1,)}}, "retries_by_type.0"),
        ({"retries_by_type": {"a.*": (0,)}}, "retries_by_type.a.*"),
        ({"expires_after_s": 0}, "expires_after_s"),
        ({"expires_after_s": 604801}, "expires_after_s"),
        ({"rate_limit": 0}, "rate_limit"),
        ({"rate_limit": 1, "rate_period_s": 0}, "rate_period_s"),
        ({"rate_period_s": 5}, "rate_period_s"),
    ],
)
def test_each_mistake_is_named(settings: dict[str, Any], field: str) -> None:
    """By the name that the caller used."""
    with pytest.raises(Invalid) as refused:
        Options().changed(given(**settings))
    assert [fault.field for fault in refused.value.faults] == [field]


def test_all_mistakes_are_named_at_once() -> None:
    """Nobody has to send a request five times."""
    wrong = given(template="{{", filter="(", retries=(0,), expires_after_s=-1, rate_limit=0)
    with pytest.raises(Invalid) as refused:
        Options().changed(wrong)
    assert {f.field for f in refused.value.faults} == {"template", "filter", "retries", "expires_after_s", "rate_limit"}
