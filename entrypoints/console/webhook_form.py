"""The endpoint's form: what is typed into it becomes settings, and settings fill it again."""

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from application.notifications.endpoint_settings import EndpointSettings, GrantSettings
from application.notifications.looking import Look
from application.notifications.previews import Sample
from application.ports.outgoing import ClientIdentity
from domain.gathering import Gathering
from domain.notifications.endpoints import EndpointMode
from domain.notifications.envelopes import Envelope
from domain.notifications.grants import TokenAuth
from domain.notifications.named_shapes import NAMED
from domain.notifications.options import OptionSettings
from domain.notifications.signatures import SignatureStyle
from domain.refusals import Invalid
from entrypoints.console.pages import Form

_SHAPE = ("envelope", "template", "template_type", "template_name", "filter", "signature", "signature_header")

NEW: Mapping[str, str] = {
    "events": "*",
    "timeout_s": "15",
    "mode": "push",
    "envelope": "standard",
    "signature": "standard",
}
"""What stands in the form of a new endpoint."""


def settings_of(form: Form, *, new: bool) -> EndpointSettings:
    """What was typed. new: what is left empty is left out; otherwise it is cleared, but for secrets, which stay.

    Raises Invalid naming each field that cannot be read.
    """
    wrong = Gathering()
    settings: dict[str, Any] = {}
    for name, read in _READERS.items():
        with wrong():
            value = read(form, name)
            if value is not None or not new:
                settings[name] = value
    for name, typed in (("headers", form.text("headers")), ("identity", _identity_typed(form))):
        if form.text(f"forget_{name}"):
            settings[name] = None
        elif typed:
            with wrong():
                settings[name] = _headers(typed) if name == "headers" else _identity(form)
    if form.text("token_url") or form.text("client_id") or not new:
        with wrong():
            settings["oauth"] = _oauth(form)
    if settings.get("mode") is EndpointMode.POLL:  # what does not concern it is hidden behind the choice, not refused
        for name in ("retries", "retries_by_type", "fifo", "rate_limit", "rate_period_s", "oauth"):
            if not settings.get(name):
                settings.pop(name, None)
    wrong.close()
    settings |= shape_of(form)
    return cast("EndpointSettings", settings)


def shape_of(form: Form) -> OptionSettings:
    """What was typed of the shape. Raises Invalid."""
    wrong = Gathering()
    shape: dict[str, Any] = {
        name: _text(form, name) for name in ("template", "template_type", "filter", "signature_header")
    }
    with wrong():
        shape["envelope"] = _choice(Envelope)(form, "envelope")
    with wrong():
        shape["signature"] = _choice(SignatureStyle)(form, "signature")
    wrong.close()
    name = form.text("template_name")
    if name:
        if shape["template"] is None:
            del shape["template"], shape["template_type"], shape["envelope"]
        shape["template_name"] = name
    if shape["signature"] is not SignatureStyle.STRIPE and not shape["signature_header"]:
        del shape["signature_header"]
    return cast("OptionSettings", shape)


def sample_of(form: Form) -> Sample:
    """The event of a preview. Raises Invalid, field `sample_data`."""
    type_, text = form.text("sample_type"), form.text("sample_data")
    if not text:
        return Sample(event_id=form.text("sample_event") or None, event_type=type_ or None)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid.field("sample_data", f"This is not JSON: {error}.") from error
    if not isinstance(data, dict):
        raise Invalid.field("sample_data", "An event's data is a JSON object: {…}.")
    return Sample(type_ or "order.placed", data, form.text("sample_event") or None)


def typed_with_template(typed: Mapping[str, str]) -> dict[str, str]:
    """The form after a preview: a template that was named stands in it, to be changed."""
    named = NAMED.get(typed.get("template_name", ""))
    if named is None:
        return dict(typed)
    shape = {"envelope": named.shape.envelope.value, "template": named.shape.template or "", "template_type": ""}
    return {**typed, **shape, "template_name": ""}


def typed_of(look: Look) -> dict[str, str]:
    """The form of an endpoint that is there; secrets are not in it."""
    endpoint, options, grant = look.endpoint, look.endpoint.options, look.grant
    typed: dict[str, object] = {
        "mode": endpoint.mode.value,
        "url": endpoint.url,
        "name": endpoint.name,
        "events": " ".join(endpoint.events),
        "timeout_s": endpoint.timeout_s,
        "envelope": options.shape.envelope.value,
        "template": options.shape.template,
        "template_type": options.shape.template_type,
        "filter": options.filter,
        "signature": options.signature.value,
        "signature_header": options.signature_header,
        "retries": _waits_shown(options.retries),
        "retries_by_type": "\n".join(f"{p}: {_waits_shown(w)}" for p, w in options.retries_by_type.items()),
        "expires_after_s": options.expires_after_s,
        "fifo": "yes" if options.fifo else None,
        "rate_limit": options.rate.limit if options.rate else None,
        "rate_period_s": options.rate.per_s if options.rate else None,
        "token_url": grant.token_url if grant else None,
        "client_id": grant.client_id if grant else None,
        "scope": grant.scope if grant else None,
        "audience": grant.audience if grant else None,
        "auth": grant.auth.value if grant else None,
    }
    return {name: "" if value is None else str(value) for name, value in typed.items()}


def _text(form: Form, name: str) -> str | None:
    return form.text(name).replace("\r\n", "\n") or None


def _number(form: Form, name: str) -> int | None:
    text = form.text(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid.field(name, "A whole number.")
    return int(text)


def _choice(kind: Any) -> Callable[[Form, str], Any]:
    def read(form: Form, name: str) -> Any:
        text = form.text(name)
        try:
            return kind(text) if text else None
        except ValueError as error:
            raise Invalid.field(name, f"One of {', '.join(one.value for one in kind)}.") from error

    return read


def _waits(text: str, field: str) -> tuple[int, ...]:
    words = text.replace(",", " ").split()
    if words == ["none"]:
        return ()
    if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
        raise Invalid.field(field, "Whole seconds, parted by blanks; or none.")
    return tuple(map(int, words))


def _retries(form: Form, name: str) -> tuple[int, ...] | None:
    text = form.text(name)
    return _waits(text, name) if text else None


def _retries_by_type(form: Form, name: str) -> dict[str, tuple[int, ...]] | None:
    found: dict[str, tuple[int, ...]] = {}
    for line in filter(None, (line.strip() for line in form.text(name).splitlines())):
        pattern, colon, waits = line.partition(":")
        if not colon or not waits.strip():
            raise Invalid.field(name, f"'{line[:60]}' is not of the form invoice.*: 1 5 30.")
        found[pattern.strip()] = _waits(waits, name)
    return found or None


def _waits_shown(waits: tuple[int, ...] | None) -> str | None:
    return None if waits is None else " ".join(map(str, waits)) or "none"


def _headers(text: str) -> dict[str, str]:
    """`Name: value`, one a line. Raises Invalid."""
    headers: dict[str, str] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, colon, value = line.partition(":")
        if not colon:
            raise Invalid.field("headers", f"'{line[:60]}' is not of the form Name: value.")
        headers[name.strip()] = value.strip()
    return headers


def _identity_typed(form: Form) -> str:
    return form.text("certificate") + form.text("certificate_key")


def _identity(form: Form) -> ClientIdentity:
    return ClientIdentity(f"{form.text('certificate')}\n", f"{form.text('certificate_key')}\n")


def _oauth(form: Form) -> GrantSettings | None:
    token_url, client_id = form.text("token_url"), form.text("client_id")
    if not token_url and not client_id:
        return None
    auth = _choice(TokenAuth)(form, "auth") or TokenAuth.BASIC
    secret, scope, audience = (_text(form, name) for name in ("client_secret", "scope", "audience"))
    return GrantSettings(token_url, client_id, secret, scope, audience, auth)


_READERS: Mapping[str, Callable[[Form, str], Any]] = {
    "mode": _choice(EndpointMode),
    "url": _text,
    "name": _text,
    "events": lambda form, name: form.lines(name) or None,
    "timeout_s": _number,
    "retries": _retries,
    "retries_by_type": _retries_by_type,
    "expires_after_s": _number,
    "fifo": lambda form, name: form.text(name) == "yes" or None,
    "rate_limit": _number,
    "rate_period_s": _number,
}
