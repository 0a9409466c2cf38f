"""The sandbox's own controls, under `/stripe/_sandbox`: JSON in, JSON out, for tests and for the demo.

GET    /_sandbox                          what there is, and how it behaves
POST   /_sandbox/webhooks                 {copies, reorder, delay_ms, hold_ms, drop}
POST   /_sandbox/faults                   {count, path, status, after_work, timeout, delay_ms, retry_after}
DELETE /_sandbox/faults                   no more faults
POST   /_sandbox/rate                     {per_second}
POST   /_sandbox/keys/revoke              {key}
GET    /_sandbox/deliveries               every copy of every event, with its attempts
POST   /_sandbox/events/{id}/resend       send an event again
POST   /_sandbox/sessions/{id}/pay        {card, email, name}: pay without the page
POST   /_sandbox/sessions/{id}/expire     close an open page
POST   /_sandbox/intents/{id}/authenticate  {succeeded}
POST   /_sandbox/refunds/{id}/settle      {status}: succeeded or failed
POST   /_sandbox/reset                    forget everything
"""

from typing import Any, Protocol

import attrs
from litestar import Response, delete, get, post
from litestar.exceptions import ClientException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from adapters.providers.stripe import sandbox_checkout as checkout
from adapters.providers.stripe import sandbox_payments as money
from adapters.providers.stripe.sandbox_books import Books
from adapters.providers.stripe.sandbox_cards import card_of
from adapters.providers.stripe.sandbox_form import StripeFault
from adapters.providers.stripe.sandbox_gate import Fault, RateLimit
from adapters.providers.stripe.sandbox_objects import Json
from adapters.providers.stripe.sandbox_post import Behaviour, Post


class Controlled(Protocol):
    """What the controls and the pages need of the sandbox."""

    post: Post
    limit: RateLimit
    revoked: set[str]
    faults: Any

    def holder(self, shelf: str, id_: str) -> tuple[Books, Json]:
        """The shop that has an object, and the object."""

    def shops(self) -> tuple[Books, ...]:
        """Every shop so far."""

    def flush(self, books: Books, *, request_id: str | None = None, key: str | None = None) -> None:
        """Send what a change made known."""

    def resend(self, event_id: str) -> int:
        """Send an event again."""

    def reset(self) -> None:
        """Forget everything."""


def control_routes(sandbox: Controlled) -> list[HTTPRouteHandler]:
    """The handlers."""

    def done(body: Json, status: int = 200) -> Response[Json]:
        return Response(body, status_code=status)

    def act(books: Books, work: Any) -> Response[Json]:
        try:
            return done(work())
        except StripeFault as fault:
            return done(fault.body(), fault.status)
        finally:
            sandbox.flush(books)

    def found(shelf: str, id_: str) -> tuple[Books, Json]:
        try:
            return sandbox.holder(shelf, id_)
        except StripeFault as fault:
            raise ClientException(fault.message, status_code=404) from fault

    @get("/_sandbox", sync_to_thread=False)
    def overview() -> Response[Json]:
        shelves = ("customers", "sessions", "intents", "charges", "refunds", "events", "endpoints")
        shops = [
            {"account": b.account, "live": b.live, **{shelf: len(getattr(b, shelf)) for shelf in shelves}}
            for b in sandbox.shops()
        ]
        return done(
            {
                "shops": shops,
                "webhooks": attrs.asdict(sandbox.post.behaviour),
                "faults": [attrs.asdict(fault) for fault in sandbox.faults],
                "per_second": sandbox.limit.per_second,
            }
        )

    @post("/_sandbox/webhooks")
    async def webhooks(data: JSONBody[Json]) -> Response[Json]:
        sandbox.post.behaviour = _filled(Behaviour, data)
        return done(attrs.asdict(sandbox.post.behaviour))

    @post("/_sandbox/faults")
    async def add_fault(data: JSONBody[Json]) -> Response[Json]:
        fault = _filled(Fault, data)
        sandbox.faults.append(fault)
        return done(attrs.asdict(fault))

    @delete("/_sandbox/faults", status_code=200)
    async def drop_faults() -> Response[Json]:
        sandbox.faults.clear()
        return done({})

    @post("/_sandbox/rate")
    async def rate(data: JSONBody[Json]) -> Response[Json]:
        sandbox.limit.per_second = _whole(data, "per_second", 100)
        return done({"per_second": sandbox.limit.per_second})

    @post("/_sandbox/keys/revoke")
    async def revoke(data: JSONBody[Json]) -> Response[Json]:
        sandbox.revoked.add(str(data.get("key", "")))
        return done({})

    @get("/_sandbox/deliveries", sync_to_thread=False)
    def deliveries() -> Response[Json]:
        return done({"deliveries": [attrs.asdict(delivery) for delivery in sandbox.post.deliveries]})

    @post("/_sandbox/events/{id_:str}/resend")
    async def resend(id_: FromPath[str]) -> Response[Json]:
        found("events", id_)
        return done({"sent": sandbox.resend(id_)})

    @post("/_sandbox/sessions/{id_:str}/pay")
    async def pay(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        books, session = found("sessions", id_)
        card = card_of(str(data.get("card", "4242424242424242")).replace(" ", ""))
        if card is None:
            raise ClientException("That is no card number.")
        payer = {"email": data.get("email", "payer@example.com"), "name": data.get("name", "Pat Payer")}
        return act(books, lambda: checkout.pay(books, session, card, payer))

    @post("/_sandbox/sessions/{id_:str}/expire")
    async def expire(id_: FromPath[str]) -> Response[Json]:
        books, session = found("sessions", id_)
        return act(books, lambda: checkout.expire(books, session))

    @post("/_sandbox/intents/{id_:str}/authenticate")
    async def authenticate(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        books, intent = found("intents", id_)
        return act(books, lambda: checkout.authenticate(books, intent, data.get("succeeded", True) is True) or intent)

    @post("/_sandbox/refunds/{id_:str}/settle")
    async def settle(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        books, refund = found("refunds", id_)
        status = data.get("status", "succeeded")
        if status not in ("succeeded", "failed"):
            raise ClientException("status is succeeded or failed.")
        return act(books, lambda: money.settle_refund(books, refund, status))

    @post("/_sandbox/reset")
    async def reset() -> Response[Json]:
        sandbox.reset()
        return done({})

    return [
        overview, webhooks, add_fault, drop_faults, rate, revoke, deliveries,
        resend, pay, expire, authenticate, settle, reset,
    ]  # fmt: skip


def _filled(kind: type[Any], data: Json) -> Any:
    """An attrs object from JSON whose names and types must be its own."""
    fields = {field.name: field for field in attrs.fields(kind)}
    for name, value in data.items():
        if name not in fields:
            raise ClientException(f"{name} is not one of {', '.join(fields)}.")
        wanted = fields[name].type
        kinds = (int, type(None)) if wanted == int | None else (wanted,)
        if not any(type(value) is allowed for allowed in kinds):
            raise ClientException(f"{name} has the wrong type.")
    if data.get("copies", 1) < 1 or data.get("count", 1) < 1:
        raise ClientException("A count is at least 1.")
    return kind(**data)


def _whole(data: Json, name: str, default: int) -> int:
    value = data.get(name, default)
    if type(value) is not int or value < 0:
        raise ClientException(f"{name} is a whole number.")
    return value
