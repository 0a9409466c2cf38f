"""The sandbox's own controls, under `/flutterwave/_sandbox`: JSON in, JSON out, for tests and for the demo.

GET    /_sandbox                           what there is, and how it behaves
POST   /_sandbox/webhook                   {key, url, secret_hash, version}: what a person sets in the dashboard
POST   /_sandbox/webhooks                  {copies, reorder, delay_ms, hold_ms, drop}
POST   /_sandbox/faults                    {count, path, status, after_work, timeout, delay_ms, retry_after}
DELETE /_sandbox/faults                    no more faults
POST   /_sandbox/rate                      {per_second}
POST   /_sandbox/keys/revoke               {key}
POST   /_sandbox/balance                   {key, currency, amount}
POST   /_sandbox/refunds                   {key, begin, end}: completed, pending or failed
GET    /_sandbox/deliveries                every copy of every webhook, with its attempts
GET    /_sandbox/events                    every webhook's body so far, oldest first
POST   /_sandbox/settle                    everything that waits for time comes out now
POST   /_sandbox/pages/{tx_ref}/pay        {method, card, phone, amount, currency}: pay without the page
POST   /_sandbox/transactions/{id}         {status, said}: it has come out, or has a status of your making
POST   /_sandbox/transactions/{id}/resend  send its webhook again
POST   /_sandbox/refunds/{id}              {status}: completed or failed
POST   /_sandbox/transfers/{id}            {status}: SUCCESSFUL or FAILED
POST   /_sandbox/reset                     forget everything
"""

from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import attrs
from litestar import Response, delete, get, post
from litestar.exceptions import ClientException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from adapters.providers.flutterwave import sandbox_pay as pay
from adapters.providers.flutterwave.sandbox_cards import card_of
from adapters.providers.flutterwave.sandbox_shop import Account, Json, Page, Refused
from adapters.sandbox.faults import Fault, Faults, Pace
from adapters.sandbox.post import Behaviour, Post


class Controlled(Protocol):
    """What the controls and the pages need of the sandbox."""

    public_url: str
    post: Post
    faults: Faults
    pace: Pace
    revoked: set[str]
    accounts: dict[tuple[int, bool], Account]

    def account_of(self, key: str) -> Account:
        """The account of a secret key."""

    def set_webhook(self, key: str, url: str, secret_hash: str, version: str = "v3") -> None:
        """What a person does in the dashboard."""

    def page(self, token: str) -> tuple[Account, Page] | None:
        """A hosted page, and whose it is."""

    def flush(self, account: Account) -> None:
        """Send what a change made known."""

    def reset(self) -> None:
        """Forget everything."""


def control_routes(sandbox: Controlled) -> list[HTTPRouteHandler]:
    """The handlers."""

    def holder(shelf: str, id_: str) -> tuple[Account, Json]:
        for account in sandbox.accounts.values():
            rows = getattr(account, shelf)
            if id_.isdigit() and int(id_) in rows:
                return account, rows[int(id_)]
        raise ClientException(f"The sandbox has no {id_}.", status_code=404)

    def account(data: Json) -> Account:
        try:
            return sandbox.account_of(str(data.get("key", "")))
        except Refused as refused:
            raise ClientException(refused.message) from refused

    @get("/_sandbox", sync_to_thread=False)
    def overview() -> Response[Json]:
        shelves = ("pages", "transactions", "refunds", "transfers", "plans")
        accounts = [
            {
                "account": one.number,
                "live": one.live,
                "webhook": one.hook[0] if one.hook else None,
                **{shelf: len(getattr(one, shelf)) for shelf in shelves},
            }
            for one in sandbox.accounts.values()
        ]
        return Response(
            {
                "accounts": accounts,
                "webhooks": attrs.asdict(sandbox.post.behaviour),
                "faults": [attrs.asdict(fault) for fault in sandbox.faults.waiting],
                "per_second": sandbox.pace.per_second,
            }
        )

    @post("/_sandbox/webhook", status_code=200)
    async def webhook(data: JSONBody[Json]) -> Response[Json]:
        account(data)
        version = str(data.get("version", "v3"))
        if version not in ("v3", "v4"):
            raise ClientException("version is v3 or v4.")
        sandbox.set_webhook(str(data["key"]), str(data.get("url", "")), str(data.get("secret_hash", "")), version)
        return Response({})

    @post("/_sandbox/webhooks", status_code=200)
    async def webhooks(data: JSONBody[Json]) -> Response[Json]:
        sandbox.post.behaviour = _filled(Behaviour, data)
        return Response(attrs.asdict(sandbox.post.behaviour))

    @post("/_sandbox/faults", status_code=200)
    async def add_fault(data: JSONBody[Json]) -> Response[Json]:
        fault = _filled(Fault, data)
        sandbox.faults.order(fault)
        return Response(attrs.asdict(fault))

    @delete("/_sandbox/faults", status_code=200)
    async def drop_faults() -> Response[Json]:
        sandbox.faults.reset()
        return Response({})

    @post("/_sandbox/rate", status_code=200)
    async def rate(data: JSONBody[Json]) -> Response[Json]:
        wanted = data.get("per_second", 100)
        if type(wanted) is not int or wanted < 0:
            raise ClientException("per_second is a whole number.")
        sandbox.pace.per_second = wanted
        return Response({"per_second": wanted})

    @post("/_sandbox/keys/revoke", status_code=200)
    async def revoke(data: JSONBody[Json]) -> Response[Json]:
        sandbox.revoked.add(str(data.get("key", "")))
        return Response({})

    @post("/_sandbox/balance", status_code=200)
    async def balance(data: JSONBody[Json]) -> Response[Json]:
        account(data).balances[str(data.get("currency", "NGN"))] = _decimal(data.get("amount", 0))
        return Response({})

    @post("/_sandbox/refunds", status_code=200)
    async def refunds(data: JSONBody[Json]) -> Response[Json]:
        begin, end = data.get("begin", "completed"), data.get("end", "completed")
        if not {begin, end} <= {"completed", "pending", "failed"}:
            raise ClientException("begin and end are completed, pending or failed.")
        held = account(data)
        held.refunds_begin, held.refunds_end = begin, end
        return Response({"begin": begin, "end": end})

    @get("/_sandbox/deliveries", sync_to_thread=False)
    def deliveries() -> Response[Json]:
        return Response({"deliveries": [attrs.asdict(one) for one in sandbox.post.deliveries]})

    @get("/_sandbox/events", sync_to_thread=False)
    def events() -> Response[Json]:
        return Response({"events": [event for one in sandbox.accounts.values() for event in one.sent]})

    @post("/_sandbox/settle", status_code=200)
    async def settle() -> Response[Json]:
        for one in sandbox.accounts.values():
            one.settle()
            sandbox.flush(one)
        return Response({})

    @post("/_sandbox/pages/{tx_ref:str}/pay", status_code=200)
    async def pay_page(tx_ref: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        held = [
            (one, page) for one in sandbox.accounts.values() for page in one.pages.values() if page.tx_ref == tx_ref
        ]
        if not held:
            raise ClientException(f"The sandbox has no page for {tx_ref}.", status_code=404)
        one, page = held[-1]
        try:
            return Response(_paid(one, page, data))
        except Refused as refused:
            return Response(refused.body(), status_code=refused.status)
        finally:
            sandbox.flush(one)

    @post("/_sandbox/transactions/{id_:str}", status_code=200)
    async def transaction(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        one, found = holder("transactions", id_)
        status = str(data.get("status", "successful"))
        if found["status"] == "pending" and status in ("successful", "failed"):
            one.over(found, status, str(data.get("said", "Approved" if status == "successful" else "Declined")))
        else:
            found["status"] = status
        sandbox.flush(one)
        return Response(found)

    @post("/_sandbox/transactions/{id_:str}/resend", status_code=200)
    async def resend(id_: FromPath[str]) -> Response[Json]:
        one, found = holder("transactions", id_)
        again = [event for event in one.sent if event["data"].get("id") == found["id"]]
        one.unsent += again
        sandbox.flush(one)
        return Response({"sent": len(again)})

    @post("/_sandbox/refunds/{id_:str}", status_code=200)
    async def refund(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        one, found = holder("refunds", id_)
        one.refund_over(found, str(data.get("status", "completed")))
        sandbox.flush(one)
        return Response(found)

    @post("/_sandbox/transfers/{id_:str}", status_code=200)
    async def transfer(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        one, found = holder("transfers", id_)
        one.transfer_over(found, "FAILED" if data.get("status") == "FAILED" else "SUCCESSFUL")
        sandbox.flush(one)
        return Response(found)

    @post("/_sandbox/reset", status_code=200)
    async def reset() -> Response[Json]:
        sandbox.reset()
        return Response({})

    return [
        overview, webhook, webhooks, add_fault, drop_faults, rate, revoke, balance, refunds, deliveries, events, settle,
        pay_page, transaction, resend, refund, transfer, reset,
    ]  # fmt: skip


def _paid(account: Account, page: Page, data: Json) -> Json:
    amount = _decimal(data["amount"]) if "amount" in data else page.amount
    currency = str(data.get("currency", page.currency))
    if currency not in account.balances:
        raise ClientException(f"The sandbox has no {currency}.")
    match data.get("method", "card"):
        case "mobile_money":
            return pay.by_mobile_money(account, page, str(data.get("phone", "233547000011")))
        case "bank_transfer":
            return pay.by_bank_transfer(account, page, amount, currency)
        case "card":
            card = card_of(str(data.get("card", "5531886652142950")).replace(" ", ""))
            if card is None:
                raise ClientException("That is no card number.")
            return pay.by_card(account, page, card, amount=amount, currency=currency)
    raise ClientException("method is card, mobile_money or bank_transfer.")


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


def _decimal(value: object) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise ClientException("amount is a number.") from error
    if not amount.is_finite() or amount < 0:
        raise ClientException("amount is a number of at least 0.")
    return amount
