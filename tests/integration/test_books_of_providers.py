"""PayPal's and Flutterwave's lists against our records, over the real adapters: the same words for the same movements."""

from datetime import timedelta
from typing import Any

from application.billing.reconcile import Reconcile
from application.ports.providers import Providers
from application.ports.settlements import Settlements
from application.ports.store import Store
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.books import assert_books
from tests.integration import test_flutterwave as flutterwave
from tests.integration import test_paypal as paypal
from tests.integration.conftest import Client, MovingClock, made, read
from tests.integration.things import an_invoice
from tests.integration.things import paypal as connect_paypal


async def compared(client: Client, hub: Hub, clock: MovingClock, provider: str) -> tuple[Any, list[Any]]:
    """A reconciliation of the last day, as soon as the provider's list is complete."""
    listing = hub.resolve(Providers).payments(provider)  # type: ignore[type-abstract]
    assert isinstance(listing, Settlements)
    clock.advance(listing.settled_after + timedelta(minutes=1))
    until = clock.now() - listing.settled_after
    body = {"connection": provider, "since": (until - timedelta(days=1)).isoformat(), "until": until.isoformat()}
    run = await made(client, "/api/billing/reconciliations", body)
    await hub.resolve(Reconcile)()
    path = f"/api/billing/reconciliations/{run['id']}"
    return await read(client, path), (await read(client, f"{path}/differences"))["items"]


async def refunded(client: Client, invoice: Any) -> None:
    """A quarter of what was paid goes back."""
    (payment,) = (await read(client, f"/api/invoices/{invoice['id']}"))["payments"]
    await made(client, f"/api/payments/{payment['id']}/refunds", {"amount": "25.00"})


def sums(run: Any) -> dict[str, tuple[int, int]]:
    """What both sides come to, by movement."""
    return {one["movement"]: (one["ours"]["amount"], one["theirs"]["amount"]) for one in run["totals"]}


async def test_paypal_and_we_come_to_the_same(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str, clock: MovingClock
) -> None:
    """A capture with its fee and a refund, listed three hours late."""
    await connect_paypal(client)
    invoice = await an_invoice(client, price="100.00", currency="EUR")
    await paypal.agree(await paypal.a_page(hub, organisation, invoice))
    await paypal.arrived(hub, sandbox)
    await refunded(client, invoice)
    await paypal.arrived(hub, sandbox)
    run, differences = await compared(client, hub, clock, "paypal")
    assert (run["status"], run["error"], differences) == ("done", None, [])
    assert sums(run) == {"payment": (10_000, 10_000), "refund": (2_500, 2_500)}
    await assert_books(hub.resolve(Store), organisation)  # type: ignore[type-abstract]


async def test_flutterwave_and_we_come_to_the_same(
    hub: Hub, client: Client, organisation: str, sandbox: Sandbox, live: str, clock: MovingClock
) -> None:
    """A card payment with its fee and a refund."""
    connection = await flutterwave.flutterwave(client)
    sandbox.flutterwave.set_webhook(flutterwave.KEY, flutterwave.door(live, connection), flutterwave.HASH)
    invoice = await an_invoice(client, price="100.00", currency="NGN")
    _, page = await flutterwave.a_page(hub, organisation, invoice)
    await flutterwave.pay(page)
    await flutterwave.arrived(hub, sandbox)
    await refunded(client, invoice)
    await flutterwave.arrived(hub, sandbox)
    run, differences = await compared(client, hub, clock, "flutterwave")
    assert (run["status"], run["error"], differences) == ("done", None, [])
    assert sums(run) == {"payment": (10_000, 10_000), "refund": (2_500, 2_500)}
    await assert_books(hub.resolve(Store), organisation)  # type: ignore[type-abstract]
