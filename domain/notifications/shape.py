"""The shape an endpoint asks for: an envelope, or a template of its own; and what it would make of an event."""

import re

import attrs

from domain.notifications.envelopes import Composed, Envelope, binary_headers, compose
from domain.notifications.filters import Clause, Filter
from domain.notifications.payload import Payload
from domain.notifications.templates import Template
from domain.refusals import Invalid

_TOKEN = r"[\w!#$%&'*+.^`|~-]+"  # noqa: S105 - a token is the grammar's word (RFC 9110, section 5.6.2)
_MEDIA_TYPE = re.compile(rf'{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|"[^"\\\x00-\x1f]*"))*', re.ASCII)
_CHARSET = re.compile(r';\s*charset="?([^";\s]*)', re.IGNORECASE)
_LONGEST_TYPE = 200


def check_media_type(text: str, *, field: str = "template_type") -> str:
    """The media type, if it is one (RFC 9110, section 8.3.1) and does not deny that bodies are UTF-8. Raises Invalid."""
    if len(text) > _LONGEST_TYPE or not _MEDIA_TYPE.fullmatch(text):
        raise Invalid.field(field, "This is not a media type such as application/json or text/plain; charset=utf-8.")
    charset = _CHARSET.search(text)
    if charset and charset[1].lower() not in ("utf-8", "utf8"):
        raise Invalid.field(field, "The charset is always utf-8.")
    if text.lower().startswith("multipart/"):
        raise Invalid.field(field, "A template cannot make a body of several parts.")
    return text


@attrs.frozen
class Shape:
    """How an event becomes a request's body. A Shape that exists can be used: wrong ones raise Invalid when made.

    template: makes the body instead of the envelope; the headers of `cloudevents-binary` stay. template_type: the media
    type of what the template makes; None for application/json if it is a JSON template, else text/plain.
    """

    envelope: Envelope = Envelope.STANDARD
    template: str | None = attrs.field(default=None, repr=False)
    template_type: str | None = None
    _compiled: Template | None = attrs.field(init=False, repr=False, eq=False, default=None)

    def __attrs_post_init__(self) -> None:
        if self.template_type is not None:
            check_media_type(self.template_type)
            if self.template is None:
                raise Invalid.field("template_type", "A type is given without a template.")
        if self.template is not None:
            compiled = Template.parse(self.template, media_type=self.template_type)
            object.__setattr__(self, "_compiled", compiled)

    def compose(self, payload: Payload) -> Composed:
        """The body, its media type and headers.

        Raises:
            TooLarge: an Invalid, field `template` or `envelope`; nothing that large was built.
            Invalid: field `data`; the data cannot be read, and the shape needs it read.
        """
        return compose(self.envelope, payload) if self._compiled is None else self.fill(payload)[0]

    def fill(self, payload: Payload) -> tuple[Composed, tuple[str, ...]]:
        """The same, with the template's paths that lead nowhere in this event and have no default."""
        template = self._compiled
        if template is None:
            return compose(self.envelope, payload), ()
        rendered = template.render(payload.view)
        headers = binary_headers(payload) if self.envelope is Envelope.CLOUDEVENTS_BINARY else {}
        return Composed(rendered.text.encode(), rendered.media_type, headers), rendered.missing


@attrs.frozen
class Preview:
    """What would happen to one event.

    accepted: whether the filter lets it through. why: the filter's comparisons. body: as text. missing: paths of the
    template that lead nowhere. size: bytes.
    """

    accepted: bool
    why: tuple[Clause, ...]
    body: str = attrs.field(repr=False)
    media_type: str
    headers: dict[str, str]
    missing: tuple[str, ...]
    size: int


def preview(shape: Shape, filter_text: str | None, payload: Payload) -> Preview:
    """What the shape and the filter make of the event; the body is shown even if the filter refuses it.

    Raises:
        Invalid: field `filter`, `template`, `envelope` or `data`.
    """
    chosen = Filter.parse(filter_text) if filter_text is not None else None
    composed, missing = shape.fill(payload)
    return Preview(
        accepted=chosen is None or chosen.accepts(payload.view),
        why=chosen.explain(payload.view) if chosen else (),
        body=composed.body.decode(errors="replace"),
        media_type=composed.media_type,
        headers=dict(composed.headers),
        missing=missing,
        size=len(composed.body),
    )
