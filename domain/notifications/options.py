"""How an endpoint wants to be told: in which shape, signed how, how fast, in which order, for how long."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypedDict

import attrs

from domain.events import check_patterns
from domain.gathering import Gathering
from domain.notifications.envelopes import Envelope
from domain.notifications.filters import Filter
from domain.notifications.named_shapes import NAMED
from domain.notifications.schedule import RetrySchedule
from domain.notifications.shape import Shape
from domain.notifications.signatures import SignatureStyle, check_signature_header
from domain.notifications.windows import Rate
from domain.refusals import Invalid

LONGEST_LIFE_S = 7 * 86_400


class OptionSettings(TypedDict, total=False):
    """What of the options is to change: what is left out stays, None is the usual again.

    template_name: one of NAMED, instead of envelope, template and template_type.
    """

    envelope: Envelope | None
    template: str | None
    template_type: str | None
    template_name: str | None
    filter: str | None
    signature: SignatureStyle | None
    signature_header: str | None
    retries: tuple[int, ...] | None
    retries_by_type: Mapping[str, tuple[int, ...]] | None
    expires_after_s: int | None
    fifo: bool | None
    rate_limit: int | None
    rate_period_s: int | None


@attrs.frozen(slots=False)
class Options:
    """What differs from endpoint to endpoint. Raises Invalid for what cannot be.

    filter: an expression on the event (domain/notifications/filters.py); what it refuses is not sent. signature_header:
    for the Stripe style. retries: waits in seconds instead of the usual ones. retries_by_type: the same for types of
    event, by pattern; the longest pattern that fits counts. expires_after_s: how long an event is of use, in seconds.
    fifo: one at a time, in order; what cannot be delivered holds up what comes after it.
    """

    shape: Shape = Shape()  # noqa: RUF009  # a frozen value
    filter: str | None = None
    signature: SignatureStyle = SignatureStyle.STANDARD
    signature_header: str | None = None
    retries: tuple[int, ...] | None = None
    retries_by_type: Mapping[str, tuple[int, ...]] = attrs.field(factory=dict)
    expires_after_s: int | None = None
    fifo: bool = False
    rate: Rate | None = None

    def __attrs_post_init__(self) -> None:
        if self.filter is not None:
            Filter.parse(self.filter)
        if self.retries is not None:
            RetrySchedule.of_seconds(self.retries)
        if len(self.retries_by_type) > 50:
            raise Invalid.field("retries_by_type", "At most 50 patterns.")
        for pattern, waits in self.retries_by_type.items():
            check_patterns((pattern,), field="retries_by_type")
            RetrySchedule.of_seconds(waits, field=f"retries_by_type.{pattern}")
        if self.expires_after_s is not None and not 1 <= self.expires_after_s <= LONGEST_LIFE_S:
            raise Invalid.field("expires_after_s", "An event is of use from 1 second to 7 days (604800 seconds).")

    @cached_property
    def accepts(self) -> Filter | None:
        """The filter, parsed once."""
        return None if self.filter is None else Filter.parse(self.filter)

    def schedule(self, type_: str, usual: RetrySchedule) -> RetrySchedule:
        """The waits for events of this type."""
        fitting = [p for p in self._by_type if p in ("*", type_) or (p.endswith(".*") and type_.startswith(p[:-1]))]
        if fitting:
            return self._by_type[max(fitting, key=len)]
        return usual if self._waits is None else self._waits

    def changed(self, given: OptionSettings) -> "Options":
        """With these settings; what depends on one that goes, goes with it.

        Raises Invalid naming every field that is wrong, by its name in OptionSettings.
        """
        wrong = Gathering()
        fields: dict[str, Any] = {}
        with wrong():
            fields["shape"] = _shape(self.shape, given)
        with wrong():
            fields["rate"] = _rate(self.rate, given)
        if "signature" in given:
            fields["signature"] = given["signature"] or SignatureStyle.STANDARD
        style = fields.get("signature", self.signature)
        with wrong():
            header = given.get("signature_header", self.signature_header if style is SignatureStyle.STRIPE else None)
            if header is not None and style is not SignatureStyle.STRIPE:
                raise Invalid.field("signature_header", "Only the stripe style has a header of its own.")
            fields["signature_header"] = None if header is None else check_signature_header(header)
        for name in ("filter", "retries", "retries_by_type", "expires_after_s", "fifo"):
            if name in given:
                value = given[name]
                one: dict[str, Any] = {} if value is None else {name: value}
                with wrong():
                    fields[name] = getattr(Options(**one), name)
        wrong.close()
        return attrs.evolve(self, **fields)

    @cached_property
    def _waits(self) -> RetrySchedule | None:
        return None if self.retries is None else RetrySchedule.of_seconds(self.retries)

    @cached_property
    def _by_type(self) -> Mapping[str, RetrySchedule]:
        return {pattern: RetrySchedule.of_seconds(waits) for pattern, waits in self.retries_by_type.items()}


def _shape(shape: Shape, given: OptionSettings) -> Shape:
    name = given.get("template_name")
    if name is not None:
        if any(given.get(other) is not None for other in ("envelope", "template", "template_type")):
            raise Invalid.field("template_name", "Name a template, or give an envelope or a template of your own.")
        if name not in NAMED:
            raise Invalid.field("template_name", f"There is no template of this name: {', '.join(NAMED)}.")
        return NAMED[name].shape
    template = given.get("template", shape.template)
    kept_type = shape.template_type if template is not None else None
    envelope = given.get("envelope", shape.envelope) or Envelope.STANDARD
    return Shape(envelope, template, given.get("template_type", kept_type))


def _rate(rate: Rate | None, given: OptionSettings) -> Rate | None:
    limit = given.get("rate_limit", None if rate is None else rate.limit)
    period = given.get("rate_period_s")
    if limit is None:
        if period is not None:
            raise Invalid.field("rate_period_s", "A period is given without a rate_limit.")
        return None
    kept = rate.per_s if rate is not None and "rate_period_s" not in given else 1
    return Rate(limit, kept if period is None else period)
