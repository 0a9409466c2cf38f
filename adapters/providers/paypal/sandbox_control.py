"""The sandbox's own controls, under `/paypal/_sandbox`: JSON in, JSON out, for tests and for the demo.

GET    /_sandbox                                what there is
POST   /_sandbox/webhooks                       {copies, reorder, delay_ms, hold_ms, drop}
POST   /_sandbox/faults                         {count, path, status, after_work, timeout, delay_ms, retry_after}
DELETE /_sandbox/faults                         no more faults
POST   /_sandbox/rate                           {per_second}
POST   /_sandbox/clients/revoke                 {client_id}
GET    /_sandbox/deliveries                     every copy of every event, with its attempts
POST   /_sandbox/events/{id}/resend             send an event again
POST   /_sandbox/orders/{id}/approve            {funding}: good, declined or echeck; agree without the page
POST   /_sandbox/captures/{id}/{what}           what: complete, deny (a pending one), take_back, or status {status}
POST   /_sandbox/refunds/{id}/settle            {status}: COMPLETED, PENDING, FAILED or CANCELLED
POST   /_sandbox/subscriptions/{id}/{what}      what: agree, renew, fail or expire
POST   /_sandbox/payouts/{id}/settle            {status}: an item's, such as SUCCESS or UNCLAIMED
POST   /_sandbox/reset                          forget everything
"""

from collections.abc import Callable
from typing import Any, Protocol

import attrs
from litestar import Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from adapters.providers.paypal import sandbox_billing as billing
from adapters.providers.paypal import sandbox_orders as orders
from adapters.providers.paypal import sandbox_payouts as payouts
from adapters.providers.paypal import sandbox_refunds as refunds
from adapters.providers.paypal.sandbox_books import Books, Json, PayPalFault, missing
from adapters.sandbox.faults import Fault, Faults, Pace
from adapters.sandbox.post import Behaviour, Post


class Controlled(Protocol):
    """What the controls need of the sandbox."""

    post: Post
    faults: Faults
    pace: Pace
    revoked: set[str]

    def holder(self, shelf: str, id_: str) -> tuple[Books, Json]:
        """The account that has an object, and the object."""

    def accounts(self) -> tuple[Books, ...]:
        """Every account so far."""

    def flush(self, books: Books) -> None:
        """Send what a change made known."""

    def reset(self) -> None:
        """Forget everything."""


def control_routes(sandbox: Controlled) -> list[HTTPRouteHandler]:
    """The handlers."""

    def act(shelf: str, id_: str, work: Callable[[Books, Json], object]) -> Response[Json]:
        try:
            books, thing = sandbox.holder(shelf, id_)
            work(books, thing)
        except PayPalFault as fault:
            return Response({"name": fault.name, "issue": fault.issue}, status_code=fault.status)
        sandbox.flush(books)
        return Response({"ok": True}, status_code=200)

    def wrong(why: str) -> Response[Json]:
        return Response({"name": "INVALID_REQUEST", "issue": why}, status_code=400)

    @get("/_sandbox", sync_to_thread=False)
    def overview() -> Json:
        shelves = ("orders", "captures", "refunds", "plans", "subscriptions", "payouts", "webhooks")
        return {books.client_id: {name: list(getattr(books, name)) for name in shelves} for books in sandbox.accounts()}

    @post("/_sandbox/webhooks", status_code=200)
    async def webhooks(data: JSONBody[Json]) -> Response[Json]:
        try:
            sandbox.post.behaviour = Behaviour(**data)
        except TypeError as error:
            return wrong(str(error))
        return Response(attrs.asdict(sandbox.post.behaviour), status_code=200)

    @post("/_sandbox/faults", status_code=200)
    async def order_fault(data: JSONBody[Json]) -> Response[Json]:
        try:
            fault = Fault(**data)
        except TypeError as error:
            return wrong(str(error))
        sandbox.faults.order(fault)
        return Response(attrs.asdict(fault), status_code=200)

    @delete("/_sandbox/faults", status_code=200)
    async def no_faults() -> Response[Json]:
        sandbox.faults.reset()
        return Response({"ok": True}, status_code=200)

    @post("/_sandbox/rate", status_code=200)
    async def rate(data: JSONBody[Json]) -> Response[Json]:
        sandbox.pace.per_second = int(data.get("per_second", sandbox.pace.per_second))
        return Response({"per_second": sandbox.pace.per_second}, status_code=200)

    @post("/_sandbox/clients/revoke", status_code=200)
    async def revoke(data: JSONBody[Json]) -> Response[Json]:
        sandbox.revoked.add(str(data.get("client_id")))
        return Response({"revoked": sorted(sandbox.revoked)}, status_code=200)

    @get("/_sandbox/deliveries", sync_to_thread=False)
    def deliveries() -> list[Json]:
        return [attrs.asdict(one) for one in sandbox.post.deliveries]

    @post("/_sandbox/events/{id_:str}/resend", status_code=200)
    async def resend(id_: FromPath[str]) -> Response[Json]:
        for books in sandbox.accounts():
            found = [event for event in books.events if event["id"] == id_]
            if found:
                books.unsent += found
                sandbox.flush(books)
                return Response({"ok": True}, status_code=200)
        return Response({"name": "INVALID_RESOURCE_ID"}, status_code=404)

    @post("/_sandbox/orders/{id_:str}/approve", status_code=200)
    async def approve(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        funding = str(data.get("funding", orders.GOOD))
        if funding not in orders.FUNDING:
            return wrong(f"funding is one of {', '.join(orders.FUNDING)}")
        return act("orders", id_, lambda books, order: orders.approve(books, order, funding))

    @post("/_sandbox/captures/{id_:str}/{what:str}", status_code=200)
    async def capture(id_: FromPath[str], what: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        def work(books: Books, made: Json) -> None:
            if what == "take_back":
                refunds.take_back(books, id_)
            elif what == "status":
                made["status"] = str(data.get("status", made["status"])).upper()
            elif what in ("complete", "deny") and made["status"] == "PENDING":
                (orders.complete if what == "complete" else orders.deny)(books, made)
            else:
                raise missing(what)

        return act("captures", id_, work)

    @post("/_sandbox/refunds/{id_:str}/settle", status_code=200)
    async def settle_refund(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        status = str(data.get("status", "COMPLETED"))
        return act("refunds", id_, lambda books, _: refunds.settle_refund(books, id_, status))

    @post("/_sandbox/subscriptions/{id_:str}/{what:str}", status_code=200)
    async def subscription(id_: FromPath[str], what: FromPath[str]) -> Response[Json]:
        work: dict[str, Callable[[Books, Json], Any]] = {
            "agree": billing.agree,
            "renew": billing.charge,
            "fail": billing.fail,
            "expire": billing.expire,
        }
        if what not in work:
            return wrong(f"it is one of {', '.join(work)}")
        return act("subscriptions", id_, work[what])

    @post("/_sandbox/payouts/{id_:str}/settle", status_code=200)
    async def settle_payout(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        status = str(data.get("status", "SUCCESS"))
        if status not in payouts.ITEM_STATES:
            return wrong(f"status is one of {', '.join(payouts.ITEM_STATES)}")
        return act("payouts", id_, lambda books, batch: payouts.settle(books, batch, status))

    @post("/_sandbox/reset", status_code=200)
    async def reset() -> Response[Json]:
        sandbox.reset()
        return Response({"ok": True}, status_code=200)

    return [
        overview, webhooks, order_fault, no_faults, rate, revoke, deliveries, resend, approve, capture, settle_refund,
        subscription, settle_payout, reset,
    ]  # fmt: skip
