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

and those of sandbox_control_billing.
"""

from typing import Any

import attrs
from litestar import Response, delete, get, post
from litestar.exceptions import ClientException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from adapters.providers.stripe import sandbox_checkout as checkout
from adapters.providers.stripe import sandbox_payments as money
from adapters.providers.stripe.sandbox_cards import card_of
from adapters.providers.stripe.sandbox_control_billing import billing_controls
from adapters.providers.stripe.sandbox_controlled import Controlled, acted, done, found
from adapters.providers.stripe.sandbox_gate import Fault
from adapters.providers.stripe.sandbox_objects import Json
from adapters.sandbox.post import Behaviour


def control_routes(sandbox: Controlled) -> list[HTTPRouteHandler]:
    """The handlers."""

    @get("/_sandbox", sync_to_thread=False)
    def overview() -> Response[Json]:
        shelves = (
            "customers", "methods", "sessions", "intents", "charges", "refunds", "disputes", "prices", "subscriptions",
            "invoices", "payouts", "transactions", "events", "endpoints",
        )  # fmt: skip
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
        found(sandbox, "events", id_)
        return done({"sent": sandbox.resend(id_)})

    @post("/_sandbox/sessions/{id_:str}/pay")
    async def pay(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        books, session = found(sandbox, "sessions", id_)
        card = card_of(str(data.get("card", "4242424242424242")).replace(" ", ""))
        if card is None:
            raise ClientException("That is no card number.")
        payer = {"email": data.get("email", "payer@example.com"), "name": data.get("name", "Pat Payer")}
        return acted(sandbox, books, lambda: checkout.pay(books, session, card, payer))

    @post("/_sandbox/sessions/{id_:str}/expire")
    async def expire(id_: FromPath[str]) -> Response[Json]:
        books, session = found(sandbox, "sessions", id_)
        return acted(sandbox, books, lambda: checkout.expire(books, session))

    @post("/_sandbox/intents/{id_:str}/authenticate")
    async def authenticate(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        books, intent = found(sandbox, "intents", id_)
        return acted(
            sandbox, books, lambda: checkout.authenticate(books, intent, data.get("succeeded", True) is True) or intent
        )

    @post("/_sandbox/refunds/{id_:str}/settle")
    async def settle(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        books, refund = found(sandbox, "refunds", id_)
        status = data.get("status", "succeeded")
        if status not in ("succeeded", "failed"):
            raise ClientException("status is succeeded or failed.")
        return acted(sandbox, books, lambda: money.settle_refund(books, refund, status))

    @post("/_sandbox/reset")
    async def reset() -> Response[Json]:
        sandbox.reset()
        return done({})

    return [
        overview, webhooks, add_fault, drop_faults, rate, revoke, deliveries,
        resend, pay, expire, authenticate, settle, reset, *billing_controls(sandbox),
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
