"""More of the sandbox's controls: what time, banks and payers do to subscriptions, payouts and payments.

POST /_sandbox/subscriptions/{id}/renew           {declined}: its period is over
POST /_sandbox/subscriptions/{id}/retry           {declined}: its unpaid bill is tried again; the fourth failure ends it
POST /_sandbox/subscriptions/{id}/trial_will_end  tell that its trial ends
POST /_sandbox/customers/{id}/methods             {card}: the payer leaves a card there
POST /_sandbox/invoices/{id}/pay                  {card}: the payer pays a bill
POST /_sandbox/intents/{id}/dispute               {reason}: the payer's bank takes a payment back
POST /_sandbox/disputes/{id}/close                {won}: its decision
POST /_sandbox/payouts/{id}/settle                {status}: paid or failed
POST /_sandbox/top_up                             {key, amount, currency}: money from nowhere
POST /_sandbox/fees                               {key, late}: charges are written into the balance later; false: now
POST /_sandbox/search                             {key, lags}: searches find nothing yet
"""

from litestar import Response, post
from litestar.exceptions import ClientException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from adapters.providers.stripe import sandbox_balance as balance
from adapters.providers.stripe import sandbox_invoices as bills
from adapters.providers.stripe import sandbox_methods as methods
from adapters.providers.stripe import sandbox_renewals as renewals
from adapters.providers.stripe import sandbox_subscriptions as subscriptions
from adapters.providers.stripe.sandbox_cards import Card, card_of
from adapters.providers.stripe.sandbox_controlled import Controlled, acted, found
from adapters.providers.stripe.sandbox_objects import Json


def billing_controls(sandbox: Controlled) -> list[HTTPRouteHandler]:
    """The handlers."""

    @post("/_sandbox/subscriptions/{id_:str}/renew")
    async def renew(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        books, row = found(sandbox, "subscriptions", id_)
        return acted(sandbox, books, lambda: renewals.renew(books, row, data.get("declined") is True))

    @post("/_sandbox/subscriptions/{id_:str}/retry")
    async def retry(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        books, row = found(sandbox, "subscriptions", id_)
        return acted(sandbox, books, lambda: renewals.retry(books, row, data.get("declined") is True))

    @post("/_sandbox/subscriptions/{id_:str}/trial_will_end")
    async def trial_will_end(id_: FromPath[str]) -> Response[Json]:
        books, row = found(sandbox, "subscriptions", id_)
        return acted(sandbox, books, lambda: subscriptions.warn_of_trial_end(books, row))

    @post("/_sandbox/customers/{id_:str}/methods")
    async def keep(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        books, row = found(sandbox, "customers", id_)
        card = _card(data)
        return acted(sandbox, books, lambda: methods.attach(books, methods.typed(books, card, {}), row["id"]))

    @post("/_sandbox/invoices/{id_:str}/pay")
    async def pay_invoice(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        books, row = found(sandbox, "invoices", id_)
        card = _card(data)
        return acted(sandbox, books, lambda: bills.collect(books, row, card))

    @post("/_sandbox/intents/{id_:str}/dispute")
    async def dispute(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        books, row = found(sandbox, "intents", id_)
        charge = books.charges.get(row["latest_charge"] or "")
        if charge is None:
            raise ClientException("Nothing has been paid yet.")
        reason = str(data.get("reason", "fraudulent"))
        return acted(sandbox, books, lambda: balance.open_dispute(books, charge, reason))

    @post("/_sandbox/disputes/{id_:str}/close")
    async def close_dispute(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        books, row = found(sandbox, "disputes", id_)
        return acted(sandbox, books, lambda: balance.close_dispute(books, row, data.get("won") is True))

    @post("/_sandbox/payouts/{id_:str}/settle")
    async def settle_payout(id_: FromPath[str], data: JSONBody[Json]) -> Response[Json]:
        books, row = found(sandbox, "payouts", id_)
        status = data.get("status", "paid")
        if status not in ("paid", "failed"):
            raise ClientException("status is paid or failed.")
        return acted(sandbox, books, lambda: balance.end_payout(books, row, status))

    @post("/_sandbox/top_up")
    async def top_up(data: JSONBody[Json]) -> Response[Json]:
        books = sandbox.books_of(str(data.get("key", "")))
        amount, currency = data.get("amount"), str(data.get("currency", "usd")).lower()
        if type(amount) is not int or amount < 1:
            raise ClientException("amount is a whole number.")
        return acted(sandbox, books, lambda: balance.top_up(books, amount, currency))

    @post("/_sandbox/fees")
    async def fees(data: JSONBody[Json]) -> Response[Json]:
        books = sandbox.books_of(str(data.get("key", "")))
        late = data.get("late") is True

        def work() -> Json:
            if late:
                books.fees_are_late = True
            else:
                balance.tell_fees(books)
            return {"late": late}

        return acted(sandbox, books, work)

    @post("/_sandbox/search")
    async def search(data: JSONBody[Json]) -> Response[Json]:
        books = sandbox.books_of(str(data.get("key", "")))
        books.search_lags = data.get("lags") is True
        return acted(sandbox, books, lambda: {"lags": books.search_lags})

    return [
        renew, retry, trial_will_end, keep, pay_invoice, dispute, close_dispute, settle_payout, top_up, fees, search,
    ]  # fmt: skip


def _card(data: Json) -> Card:
    card = card_of(str(data.get("card", "4242424242424242")).replace(" ", ""))
    if card is None:
        raise ClientException("That is no card number.")
    return card
