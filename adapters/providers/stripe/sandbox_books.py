"""What the sandbox knows of one shop: its objects, and the events that its changes make. Synchronous, so indivisible."""

import copy
import re
from collections.abc import Callable, Iterable
from typing import Any

from adapters.providers.stripe import sandbox_objects as make
from adapters.providers.stripe.sandbox_cards import Card
from adapters.providers.stripe.sandbox_form import StripeFault
from adapters.providers.stripe.sandbox_objects import Json
from application.ports.clock import Clock
from application.ports.ids import Ids

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_EXPANDS = {
    "balance_transaction": {"source"},
    "charge": {"balance_transaction", "customer", "payment_intent", "refunds"},
    "checkout.session": {"customer", "line_items", "payment_intent", "subscription"},
    "dispute": {"charge", "payment_intent"},
    "invoice": {"customer", "payments"},
    "payment_intent": {"customer", "latest_charge", "payment_method"},
    "payment_method": {"customer"},
    "payout": {"balance_transaction"},
    "price": {"product"},
    "refund": {"balance_transaction", "charge", "payment_intent"},
    "subscription": {"customer", "default_payment_method", "latest_invoice"},
}


_BY_METADATA = re.compile(r'metadata\["((?:[^"\\]|\\.)+)"\]:"((?:[^"\\]|\\.)+)"')


class Books:
    """One shop in one mode. `unsent` collects the events since someone last emptied it."""

    def __init__(self, account: str, live: bool, clock: Clock, ids: Ids, public_url: str) -> None:
        self.account = account
        self.live = live
        self.public_url = public_url
        self._clock = clock
        self._ids = ids
        self.customers: dict[str, Json] = {}
        self.sessions: dict[str, Json] = {}
        self.intents: dict[str, Json] = {}
        self.charges: dict[str, Json] = {}
        self.refunds: dict[str, Json] = {}
        self.methods: dict[str, Json] = {}
        self.products: dict[str, Json] = {}
        self.prices: dict[str, Json] = {}
        self.subscriptions: dict[str, Json] = {}
        self.invoices: dict[str, Json] = {}
        self.invoice_items: dict[str, Json] = {}
        self.pending: dict[str, list[Json]] = {}
        """What a subscription's next bill has on it beside the period."""
        self.invoice_payments: dict[str, Json] = {}
        self.transactions: dict[str, Json] = {}
        """The lines of the shop's balance."""
        self.payouts: dict[str, Json] = {}
        self.disputes: dict[str, Json] = {}
        self.events: dict[str, Json] = {}
        self.endpoints: dict[str, Json] = {}
        self.lines: dict[str, list[Json]] = {}
        self.orders: dict[str, Json] = {}
        """What a session's creator asked of its payment intent."""
        self.cards: dict[str, Card] = {}
        """The card behind each method and charge, and behind each intent that waits for its owner."""
        self.gone: set[str] = set()
        """Methods that were detached."""
        self.agreeing: dict[str, str] = {}
        """The hosted page behind each intent that pays for the beginning of a subscription."""
        self.fees_are_late = False
        """Whether a charge is written into the balance later, as Stripe does with one that is captured by itself."""
        self.unwritten: list[str] = []
        """The charges that are not in the balance yet."""
        self.search_lags = False
        """Whether searches find nothing yet, as Stripe's may for an hour."""
        self.secrets: dict[str, str] = {}
        self.unsent: list[Json] = []
        self._shelves = (
            self.customers,
            self.intents,
            self.charges,
            self.refunds,
            self.methods,
            self.products,
            self.subscriptions,
            self.invoices,
            self.transactions,
            self.payouts,
            self.disputes,
        )

    def now(self) -> int:
        """Unix seconds."""
        return int(self._clock.now().timestamp())

    def id(self, prefix: str, length: int = 24) -> str:
        """A new id of Stripe's form."""
        number = int.from_bytes(self._ids.randomness(length), "big")
        letters = []
        for _ in range(length):
            number, letter = divmod(number, len(_ALPHABET))
            letters.append(_ALPHABET[letter])
        return prefix + "".join(letters)

    def find(self, shelf: dict[str, Json], kind: str, id_: str, *, param: str = "id", status: int = 404) -> Json:
        """The object itself. Raises StripeFault with `resource_missing`."""
        found = shelf.get(id_)
        if found is None or found.get("deleted"):
            raise StripeFault(f"There is no {kind} {id_!r}.", status=status, code="resource_missing", param=param)
        return found

    def tell(self, kind: str, about: Json, before: Json | None = None) -> None:
        """Make an event of a change that has been done."""
        event = make.event(self.id("evt_"), self.now(), self.live, kind, copy.deepcopy(about), before)
        event["pending_webhooks"] = sum(wants(endpoint, kind) for endpoint in self.endpoints.values())
        self.events[event["id"]] = event
        self.unsent.append(event)

    def list_of(self, rows: Iterable[Json], asked: Json, url: str) -> Json:
        """One page, newest first. `asked` has limit, starting_after, ending_before and created."""
        found = [row for row in rows if _within(row.get("created", 0), asked.get("created"))]
        if "starting_after" in asked and "ending_before" in asked:
            raise StripeFault("starting_after and ending_before exclude each other.", param="ending_before")
        limit = asked.get("limit", 10)
        if cursor := asked.get("ending_before"):
            before = found[: _place(found, cursor, "ending_before")]
            return {"object": "list", "data": before[-limit:], "has_more": len(before) > limit, "url": url}
        if cursor := asked.get("starting_after"):
            found = found[_place(found, cursor, "starting_after") + 1 :]
        return {"object": "list", "data": found[:limit], "has_more": len(found) > limit, "url": url}

    def search(self, rows: Iterable[Json], asked: Json, url: str) -> Json:
        """The first page of what has a text in its metadata; other queries are refused."""
        query = _BY_METADATA.fullmatch(asked["query"])
        if not query:
            raise StripeFault("The sandbox searches for one metadata key only.", param="query")
        name, value = (re.sub(r"\\(.)", r"\1", text) for text in query.groups())
        found = [] if self.search_lags else [row for row in rows if row["metadata"].get(name) == value]
        limit = asked.get("limit", 10)
        page = {"data": found[:limit], "has_more": len(found) > limit, "next_page": None, "url": url}
        return {"object": "search_result", **page}

    def expanded(self, answer: Json, paths: list[str]) -> Json:
        """A copy of the answer in which the ids at these paths have become objects. Raises StripeFault."""
        answer = copy.deepcopy(answer)
        for path in paths:
            if path.count(".") > 3:
                raise StripeFault("Four levels are the most that can be expanded.", param="expand")
            steps = path.split(".")
            if answer.get("object") in ("list", "search_result") and steps[0] == "data":
                for row in answer["data"]:
                    self._expand(row, steps[1:], path)
            else:
                self._expand(answer, steps, path)
        return answer

    def _expand(self, node: Json, steps: list[str], path: str) -> None:
        if not steps:
            return
        field = steps[0]
        if field not in _EXPANDS.get(node.get("object", ""), ()):
            raise StripeFault(f"{path} cannot be expanded here.", param="expand")
        if field == "line_items":
            node[field] = self.list_of(self.lines[node["id"]], {}, f"/v1/checkout/sessions/{node['id']}/line_items")
        elif field == "refunds":
            rows = [row for row in reversed(self.refunds.values()) if row["charge"] == node["id"]]
            node[field] = self.list_of(rows, {}, f"/v1/charges/{node['id']}/refunds")
        elif field == "payments":
            rows = [row for row in reversed(self.invoice_payments.values()) if row["invoice"] == node["id"]]
            node[field] = self.list_of(copy.deepcopy(rows), {}, f"/v1/invoice_payments?invoice={node['id']}")
        elif isinstance(node.get(field), str):
            id_ = node[field]
            node[field] = next((copy.deepcopy(shelf[id_]) for shelf in self._shelves if id_ in shelf), id_)
        if isinstance(node.get(field), dict) and steps[1:]:
            self._expand(node[field], steps[1:], path)


def newest(shelf: dict[str, Json], keep: Callable[[Json], bool] = lambda _: True) -> list[Json]:
    """What stands on a shelf, newest first."""
    return [row for row in reversed(shelf.values()) if not row.get("deleted") and keep(row)]


def wants(endpoint: Json, kind: str) -> bool:
    """Whether an endpoint asked for this type of event."""
    return endpoint["status"] == "enabled" and ("*" in endpoint["enabled_events"] or kind in endpoint["enabled_events"])


def merged(old: dict[str, str], new: dict[str, str] | None) -> dict[str, str]:
    """Metadata after an update: an empty text unsets a key, and unset metadata is emptied."""
    return {key: value for key, value in (old | new).items() if value} if new else {}


def _place(rows: list[Json], id_: str, param: str) -> int:
    for place, row in enumerate(rows):
        if row["id"] == id_:
            return place
    raise StripeFault(f"There is no {id_!r} in this list.", code="resource_missing", param=param)


def _within(created: int, span: Any) -> bool:
    if span is None:
        return True
    if isinstance(span, int):
        return created == span
    return bool(
        created > span.get("gt", created - 1)
        and created >= span.get("gte", created)
        and created < span.get("lt", created + 1)
        and created <= span.get("lte", created)
    )
