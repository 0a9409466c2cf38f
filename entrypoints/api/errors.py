"""The one table of errors and statuses: every refusal becomes problem+json (RFC 9457) that names the field."""

from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from adapters.persistence.database import is_away
from application.connections.connect import ProviderUnavailable
from application.inbox.receive import SignatureRefused
from application.once import KeyReused
from application.ports.leases import Held
from application.ports.outgoing import AddressRefused
from application.ports.store import StaleWrite
from domain.connections.abilities import NotOffered
from domain.organisations import Unauthenticated
from domain.refusals import Conflict, Forbidden, Invalid, NotFound, Refusal, Stale

PROBLEM_JSON = "application/problem+json"

STATUSES: tuple[tuple[type[Exception], int, str, str], ...] = (
    # the most particular first: (error, status, name, title)
    (Unauthenticated, 401, "unauthenticated", "Not signed in"),
    (Forbidden, 403, "forbidden", "Not allowed"),
    (NotFound, 404, "not-found", "Not found"),
    (Held, 409, "in-flight", "Already being done"),
    (StaleWrite, 409, "conflict", "Changed meanwhile"),
    (Conflict, 409, "conflict", "Not possible now"),
    (Stale, 412, "stale", "Changed meanwhile"),
    (SignatureRefused, 400, "signature", "Signature refused"),
    (KeyReused, 422, "idempotency-key-reused", "Idempotency-Key used before"),
    (AddressRefused, 422, "address-refused", "Address refused"),
    (ProviderUnavailable, 503, "provider-unavailable", "Provider unavailable"),
    (NotOffered, 422, "not-offered", "Not offered by the provider"),
    (Invalid, 422, "invalid", "Not valid"),
    (Refusal, 422, "refused", "Refused"),
)


_HTTP = {
    400: ("malformed", "Malformed request"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "Method not allowed"),
    413: ("too-large", "Too large"),
    415: ("wrong-type", "Wrong type"),
}


_BEING_DONE = {
    "charge": "The invoice is being charged",
    "pages": "A payment page of the invoice is being opened",
    "payment": "The payment is being looked at",
    "payout": "The payout is being worked on",
    "refund": "Another refund of the payment is being asked for",
    "sending": "The refund is being sent",
    "subscription": "The subscription is being changed or renewed",
}
"""What somebody else is doing, by how the name of a lease begins; the names themselves are ours alone."""

_TOO_LARGE = "A request's body has at most 1 MiB; a batch of events 8 MiB."


class FaultView(msgspec.Struct, frozen=True):
    """One thing wrong with the request."""

    field: str
    reason: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error (RFC 9457). `errors` names each field that is wrong; `request_id` is in the log."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FaultView] = msgspec.field(default_factory=list)
    request_id: str = ""


def problem(
    request: Request[Any, Any, Any],
    status: int,
    name: str,
    title: str,
    detail: str,
    errors: tuple[FaultView, ...] = (),
    headers: dict[str, str] | None = None,
) -> Response[Problem]:
    """An error answer."""
    return Response(
        Problem(
            f"urn:problem:patchbay:{name}",
            title,
            status,
            detail,
            list(errors),
            str(request.scope.get("request_id", "")),
        ),
        status_code=status,
        media_type=PROBLEM_JSON,
        headers=headers,
    )


def refused(error: Exception) -> Problem:
    """What is answered to a refusal, for one that is kept to be answered again; the request's id is not part of it."""
    status, name, title = next((s, n, t) for kind, s, n, t in STATUSES if isinstance(error, kind))
    reason = _reason(error)
    faults = [FaultView(fault.field, fault.reason) for fault in getattr(error, "faults", ())]
    return Problem(f"urn:problem:patchbay:{name}", title, status, reason, faults)


def _reason(error: Exception) -> str:
    if isinstance(error, Held) and error.name is not None:
        kind = error.name.partition(":")[0]
        return f"{_BEING_DONE.get(kind, 'It is being worked on')} at this moment. Try again in a second."
    return getattr(error, "reason", None) or str(error)


def on_refusal(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A rule said no."""
    status, name, title = next((s, n, t) for kind, s, n, t in STATUSES if isinstance(error, kind))
    reason = _reason(error)
    faults = tuple(FaultView(fault.field, fault.reason) for fault in getattr(error, "faults", ()))
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (409, 503) and isinstance(error, Held | ProviderUnavailable):
        headers["Retry-After"] = "1" if isinstance(error, Held) else "30"
    return problem(request, status, name, title, reason, faults, headers)


def on_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """The framework said no: malformed JSON, an unknown path, a body that is too large, a wrong type."""
    if isinstance(error, ValidationException):
        faults = tuple(_fault(extra, _names(request)) for extra in error.extra or () if isinstance(extra, dict))
        return problem(request, 422, "invalid", "Not valid", "The request does not fit.", faults)
    if error.status_code >= 500:
        return on_bug(request, error)
    name, title = _HTTP.get(error.status_code, ("error", "Error"))
    detail = _TOO_LARGE if error.status_code == 413 else error.detail
    return problem(request, error.status_code, name, title, detail, headers=dict(error.headers or {}))


def on_bug(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Nobody expected this: the log has it, the caller gets the request's id. That the database is away passes."""
    if is_away(error):
        detail = "The database is away or has no room left. Nothing was done."
        return problem(request, 503, "unavailable", "Not available now", detail, headers={"Retry-After": "5"})
    structlog.get_logger("api").error("unexpected error", exc_info=error, path=request.url.path)
    detail = "Something went wrong on our side; the request id leads to it in the log."
    return problem(request, 500, "bug", "Error", detail)


def _fault(extra: dict[str, Any], names: frozenset[str]) -> FaultView:
    key = str(extra.get("key") or "")
    message = str(extra.get("message") or "is not valid")
    if message == "'data'":  # all that Litestar says of a body that is missing; "data" is its own name for the body
        key, message = "body", "A JSON body is needed."
    elif key == "data" and key not in names:
        key = "body"
    # msgspec ends its message with the path: "… - at `$.lines[0].quantity`"
    text, marker, path = message.partition(" - at `$")
    if marker:
        key = path.rstrip("`").strip(".")
    key = key.replace("[", ".").replace("]", "")
    if text.startswith("Object missing required field `"):
        missing = text.split("`")[1]
        key, text = _within(key, missing), "This field is needed."
    elif text.startswith("Object contains unknown field `"):
        unknown = text.split("`")[1]
        key, text = _within(key, unknown), "There is no such field."
    return FaultView(key or str(extra.get("source") or "body"), text)


def _within(key: str, name: str) -> str:
    return name if key in ("", "body", "data") else f"{key}.{name}"


def _names(request: Request[Any, Any, Any]) -> frozenset[str]:
    """The fields of the body that this route takes."""
    field = getattr(request.route_handler, "parsed_data_field", None)
    if field is None:
        return frozenset()
    kinds = [inner.annotation for inner in field.inner_types] or [field.annotation]
    return frozenset(name for kind in kinds for name in getattr(kind, "__struct_fields__", ()))


HANDLERS: ExceptionHandlersMap = {
    Refusal: on_refusal,
    Held: on_refusal,
    HTTPException: on_http,
    Exception: on_bug,
}
