"""No key sees what is another organisation's, and none does what its scopes do not say: on every route there is."""

import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import attrs
from litestar import Litestar

from application.caller import Caller
from application.organisations.keys import RevokeKey
from application.ports.store import Store
from domain.organisations import ALL_SCOPES, ApiKey, Scope
from domain.work.kinds import KINDS
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, MovingClock, a_key, asking, both_databases, made, read, rows, work_off
from tests.integration.things import (
    a_client,
    a_customer,
    a_link,
    a_notification,
    a_payout,
    a_plan,
    a_reconciliation,
    a_subscription,
    an_endpoint,
    an_event,
    an_invoice,
    hosted,
    paid,
    slack,
    smtp,
    stripe,
)
from tests.samples import whole

PUBLIC = {
    "/api/billing/webhooks/flutterwave",
    "/api/billing/webhooks/stripe",
    "/api/integrations/{provider}/webhook",
    "/api/integrations/{provider}/webhook/{connection_id}",
    "/api/payments/paypal/webhook",
    "/api/payments/stripe/webhook",
    "/api/webhooks/stripe",
}
"""Routes under /api that no key opens: what admits a call is the provider's signature over its body."""

NOT_AN_ID = {"provider"}
"""A provider's slug belongs to nobody; what stands behind it is looked for in the caller's organisation."""


@attrs.frozen
class Route:
    """One method on one path."""

    method: str
    path: str
    scope: Scope | None
    public: bool

    @property
    def parameters(self) -> list[str]:
        """The names in the path."""
        return re.findall(r"{(\w+)}", self.path)

    def filled(self, **values: str) -> str:
        """The path with these in it."""
        return re.sub(r"{(\w+)}", lambda name: values[name[1]], self.path)


def routes(litestar: Litestar) -> Iterator[Route]:
    """Everything under /api."""
    for route in litestar.routes:
        if not route.path.startswith("/api"):
            continue
        path = re.sub(r"{(\w+):\w+}", r"{\1}", route.path)
        for method, (handler, _) in route.route_handler_map.items():  # type: ignore[union-attr]  # no websockets here
            if method != "OPTIONS":
                yield Route(method, path, handler.opt.get("scope"), bool(handler.opt.get("public")))


async def call(client: Client, route: Route, path: str | None = None) -> Any:
    """The route with a body that may be nonsense: who may not come in must not learn whether it is."""
    body: dict[str, Any] | None = None if route.method in ("GET", "DELETE") else {}
    return await client.request(route.method, path or route.filled(**dict.fromkeys(route.parameters, "x")), json=body)


def test_every_route_states_a_scope_or_is_public(litestar: Litestar) -> None:
    """A route that forgets both would answer 500; one that says both would be open."""
    found = list(routes(litestar))
    assert len(found) > 100
    for route in found:
        assert route.public != isinstance(route.scope, Scope), route
    assert {route.path for route in found if route.public} == PUBLIC


async def test_every_scope_is_asked_for_somewhere(litestar: Litestar) -> None:
    """A scope that opens nothing misleads whoever hands out keys."""
    assert {route.scope for route in routes(litestar) if route.scope} == ALL_SCOPES


async def test_without_a_good_key_nothing_answers(
    hub: Hub, app: Any, litestar: Litestar, organisation: str, clock: MovingClock
) -> None:
    """No key, one that is made up, an expired and a revoked one: 401 everywhere, and nothing is written."""
    expiring = await a_key(hub, organisation, expires_at=clock.now() + timedelta(minutes=5))
    revoked = await a_key(hub, organisation)
    key = await hub.resolve(Store).key_by_hash(ApiKey.hash_of(revoked))  # type: ignore[type-abstract]
    assert key is not None
    await hub.resolve(RevokeKey)(Caller(organisation, "tests"), key.id)
    clock.advance(timedelta(minutes=6))
    before = await rows(hub)
    for text, why in (
        (None, "needs an API key"),
        ("pb_01ARZ3NDEKTSV4RRFFQ69G5FAV_made-up", "not known"),
        ("sk_test_of_another_shop", "begins with pb_"),
        (expiring, "expired on"),
        (revoked, "revoked"),
    ):
        async with asking(app, text) as client:
            for route in routes(litestar):
                if route.public:
                    continue
                answer = await call(client, route)
                assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), route
                assert answer.headers["content-type"] == "application/problem+json"
                assert why in answer.json()["detail"], route
    assert await rows(hub) == before


async def test_a_key_without_the_scope_is_refused_everywhere(
    hub: Hub, app: Any, litestar: Litestar, organisation: str
) -> None:
    """With every other scope: writing does not include reading, nor the other way round."""
    clients = {scope: await a_key(hub, organisation, ALL_SCOPES - {scope}) for scope in Scope}
    before = await rows(hub)
    for route in routes(litestar):
        if route.scope is None:
            continue
        async with asking(app, clients[route.scope]) as client:
            answer = await call(client, route)
        assert answer.status_code == 403, route
        assert answer.headers["content-type"] == "application/problem+json"
        assert route.scope.value in answer.json()["detail"]
    assert await rows(hub) == before


Maker = Callable[[], Awaitable[str]]


class Makers:
    """For each parameter of a path that is an id: how the first organisation comes to have one."""

    def __init__(self, client: Client, hub: Hub, box: Sandbox) -> None:
        self._client, self._hub, self._box = client, hub, box
        self._made: dict[str, str] = {}

    async def id_for(self, route: Route, parameter: str) -> str:
        """The id of a thing of theirs. Raises LookupError where nobody wrote down how to make one."""
        kind = route.path.split("/")[2]
        name = f"{kind}.{parameter}" if parameter == "id" else parameter
        if "/poll" in route.path:
            name = "polled.webhook_id"
        if name not in self._made:
            self._made[name] = await (self._polled() if name == "polled.webhook_id" else self._make(kind, parameter))
        return self._made[name]

    async def _make(self, kind: str, parameter: str) -> str:
        table: dict[str, Maker] = {
            "client_id": self._client_record,
            "connection_id": self._connection,
            "name": self._connection,
            "delivery_id": self._delivery,
            "destination_id": self._endpoint,
            "difference_id": self._difference,
            "event_id": self._event,
            "invoice_id": self._invoice,
            "key_id": self._key,
            "method_id": self._method,
            "note_id": self._credit_note,
            "notification_id": self._notification,
            "payment_id": self._payment,
            "payout_id": self._payout,
            "plan_id": self._plan,
            "received_id": self._received,
            "reconciliation_id": self._reconciliation,
            "replay_id": self._replay,
            "subscription_id": self._subscription,
            "webhook_id": self._endpoint,
        }
        if parameter == "id":
            return await self._record(kind)
        if parameter not in table:
            raise LookupError(f"Write down in Makers how to make something for {{{parameter}}}.")
        return await table[parameter]()

    async def _client_record(self) -> str:
        return str((await a_client(self._client))["id"])

    async def _credit_note(self) -> str:
        path = f"/api/invoices/{self._made['invoice_id']}/credit-notes"
        return str((await made(self._client, path, {"amount": "1.00"}))["credit_note"]["id"])

    async def _method(self) -> str:
        return "con_01.pm_01"  # the client decides before a method is looked for

    async def _connection(self) -> str:
        return str((await slack(self._client, self._box))["id"])

    async def _endpoint(self) -> str:
        return str((await an_endpoint(self._client, self._box, "theirs"))["id"])

    async def _polled(self) -> str:
        return str((await made(self._client, "/api/webhooks", {"mode": "poll"}))["id"])

    async def _delivery(self) -> str:
        await self._endpoint()
        await an_event(self._client)
        await work_off(self._hub)
        return str((await read(self._client, "/api/deliveries"))["items"][0]["id"])

    async def _event(self) -> str:
        return str((await an_event(self._client))["id"])

    async def _invoice(self) -> str:
        invoice = await an_invoice(self._client)
        await a_link(self._client, invoice)
        return str(invoice["id"])

    async def _key(self) -> str:
        return str((await made(self._client, "/api/keys", {"name": "theirs", "scopes": ["events:read"]}))["id"])

    async def _notification(self) -> str:
        return str((await a_notification(self._client, self._box))["id"])

    async def _payment(self) -> str:
        return str((await paid(self._client, self._hub, self._box))["payments"][0]["id"])

    async def _payout(self) -> str:
        return str((await a_payout(self._client, self._hub, self._box))["id"])

    async def _reconciliation(self) -> str:
        return str((await a_reconciliation(self._client))["id"])

    async def _difference(self) -> str:
        return "dif_01"  # the reconciliation decides before a difference is looked for

    async def _plan(self) -> str:
        return str((await a_plan(self._client, code="theirs"))["id"])

    async def _subscription(self) -> str:
        await a_plan(self._client)
        return str((await a_subscription(self._client))["id"])

    async def _replay(self) -> str:
        await self._delivery()
        return str((await made(self._client, "/api/replays", {"since": "2026-01-01T00:00:00Z"}, status=202))["id"])

    async def _received(self) -> str:
        return str((await read(self._client, "/api/inbox"))["items"][0]["id"])

    async def _record(self, plural: str) -> str:
        async def neighbour(other: Any, given: dict[str, Any]) -> str:
            return str((await made(self._client, f"/api/{other.plural}", given))["id"])

        kind = next(kind for kind in KINDS if kind.plural == plural)
        return await neighbour(kind, await whole(kind, neighbour))


@both_databases
async def test_another_organisation_s_things_are_not_there(
    client: Client, other_client: Client, hub: Hub, litestar: Litestar, sandbox: Sandbox, live: str
) -> None:
    """Every id of one organisation, in every route that takes one, called by the other: as if it did not exist."""
    await stripe(client)
    await smtp(client, sandbox)
    page = await hosted(client, sandbox, await a_link(client, await an_invoice(client)))
    await page.pay()
    await sandbox.stripe.post.idle()  # the webhooks that fill the inbox
    makers = Makers(client, hub, sandbox)
    tried = set()
    for route in routes(litestar):
        ids = [name for name in route.parameters if name not in NOT_AN_ID]
        if not ids or route.public:
            continue
        values = {name: await makers.id_for(route, name) for name in ids}
        path = route.filled(provider="stripe", **values)
        theirs = await client.get(path) if route.method == "GET" else None
        assert theirs is None or theirs.status_code == 200, (route, theirs.text)
        before = await rows(hub)
        answer = await call(other_client, route, path)
        if answer.status_code == 422:
            # The body is read first. It is not right for this route: with one that is, the id decides.
            answer = await other_client.request(route.method, path, json=BODIES[route.method, route.path])
        assert answer.status_code == 404, (route, answer.text)
        assert await rows(hub) == before, route
        tried.add((route.method, route.path))
    assert len(tried) > 60


BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/api/inbox/{received_id}/skip"): {"reason": "a test payment"},
    ("POST", "/api/billing/reconciliations/{reconciliation_id}/differences/{difference_id}/fix"): {"fix": "settled"},
    ("POST", "/api/payments/{payment_id}/resolve"): {"resolution": "accept"},
    ("PUT", "/api/integrations/{provider}/settings"): {"fields": {}},
    ("POST", "/api/webhooks/{webhook_id}/poll/ack"): {"up_to": "dlv_x"},
    ("POST", "/api/webhooks/{webhook_id}/poll/seek"): {"to": "2026-11-21T13:39:24Z"},
}
"""What a route needs before it looks at the id, where `{}` is not enough."""


@both_databases
async def test_lists_show_only_one_s_own(
    client: Client,
    other_client: Client,
    hub: Hub,
    litestar: Litestar,
    sandbox: Sandbox,
    live: str,
    organisation: str,
) -> None:
    """Every list without an id in its path: full for one organisation, empty for the other, counts included."""
    connection = await stripe(client)
    await smtp(client, sandbox)
    await made(client, "/api/keys", {"name": "second", "scopes": ["events:read"]})
    await a_notification(client, sandbox)
    await an_endpoint(client, sandbox)
    bill = await paid(client, hub, sandbox)
    await sandbox.stripe.post.idle()
    await made(client, "/api/replays", {"since": "2026-01-01T00:00:00Z"}, status=202)
    await a_customer(hub, organisation, bill["invoice"]["client"]["id"])
    await a_plan(client)
    await a_subscription(client)
    await a_payout(client, hub, sandbox)
    await a_reconciliation(client)
    await client.put("/api/billing/settings", json={"invoice_prefix": "MINE-"})
    makers = Makers(client, hub, sandbox)
    of_one = {"/api/billing/subscription"}  # asks which
    shared = {"/api/webhooks/events", "/api/webhooks/templates"}  # these catalogues are everybody's
    seen = 0
    for route in routes(litestar):
        if route.method != "GET" or route.parameters or route.path in shared | of_one:
            continue
        if route.path.removeprefix("/api/") in {kind.plural for kind in KINDS}:
            await makers.id_for(attrs.evolve(route, path=f"{route.path}/{{id}}"), "id")
        if route.path.endswith(".svg"):
            plots = [(await one.get(route.path)).text for one in (client, other_client)]
            assert [" 0 attempts" in plot for plot in plots] == [False, True], route
            continue
        if route.path.endswith(".csv"):
            files = [(await one.get(route.path)).text.splitlines() for one in (client, other_client)]
            assert [len(lines) > 1 for lines in files] == [True, False], route
            continue
        mine, theirs = await read(client, route.path), await read(other_client, route.path)
        if route.path == "/api/billing/settings":
            assert [mine["invoice_prefix"], theirs["invoice_prefix"]] == ["MINE-", "INV-"]
            continue
        if route.path == "/api/billing/ledger":
            assert mine["balances"]
            assert not theirs["balances"]
            continue
        if route.path == "/api/statistics/deliveries":
            assert mine["total"]["attempts"] > theirs["total"]["attempts"] == 0
            continue
        if route.path == "/api/webhooks/signing-key":
            assert {key["id"] for key in mine["keys"]}.isdisjoint(key["id"] for key in theirs["keys"])
            assert mine["keys"]
            continue
        if route.path == "/api/integrations/catalog":
            assert any(p["configured"] for p in mine)
            assert not any(p["configured"] for p in theirs)
            continue
        own = 1 if route.path in ("/api/keys", "/api/audit") else 0  # the key that asks, and that it was issued
        assert len(mine["items"]) > own, route
        assert len(theirs["items"]) == own, route
        id_ = "destination_id" if route.path == "/api/statistics/destinations" else "id"
        assert not {item[id_] for item in mine["items"]} & {item[id_] for item in theirs["items"]}
        seen += 1
    assert seen >= 20
    assert (await read(other_client, "/api/integrations/stripe/status"))["connections"] == []
    filtered = await read(other_client, "/api/billing/payments", invoice_id=bill["invoice"]["id"])
    assert filtered["items"] == []
    mails = await read(other_client, "/api/deliveries", destination_id=connection["id"])
    assert mails["items"] == []


async def test_what_one_organisation_names_in_a_body_is_its_own(
    client: Client, other_client: Client, hub: Hub, sandbox: Sandbox
) -> None:
    """Ids come in bodies too: a client, an invoice, a connection of somebody else's are not there either."""
    bill = await an_invoice(client)
    theirs = await smtp(client, sandbox)
    hook = await slack(client, sandbox)
    await stripe(client)
    await stripe(other_client, "sk_test_rivals")
    own = await an_invoice(other_client)
    before = await rows(hub)
    line = {"description": "x", "unit_price": "1.00"}
    notification = {"name": "x", "platform": "slack", "events": ["*"], "connection_id": hook["id"]}
    for path, body, status, field in (
        ("/api/invoices", {"client_id": bill["client"]["id"], "currency": "USD", "lines": [line]}, 422, "client_id"),
        ("/api/integrations/stripe/payment-link", {"invoice_id": bill["id"]}, 404, None),
        ("/api/payments/intent", {"invoice_id": bill["id"]}, 404, None),
        ("/api/integrations/test", {"connection": theirs["id"]}, 404, None),
        ("/api/integrations/notifications", notification, 422, "connection_id"),
        (f"/api/invoices/{own['id']}/payment-link", {"provider": theirs["id"]}, 404, None),
    ):
        answer = await other_client.post(path, json=body)
        assert answer.status_code == status, (path, answer.text)
        assert [e["field"] for e in answer.json().get("errors", [])] == ([field] if field else []), path
    assert await rows(hub) == before
