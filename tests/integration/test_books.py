"""The ledger, payouts and reconciliation over the real adapters: the API, its CSV, and the Stripe of the sandbox."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from application.billing.reconcile import Reconcile
from application.ports.store import Store
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.books import assert_books
from tests.integration.conftest import Client, MovingClock, both_databases, faults, made, read, work_off
from tests.integration.things import a_link, an_invoice, hosted, paid, stripe


async def balances(client: Client) -> dict[str, int]:
    """The accounts that are not at nothing."""
    found = (await read(client, "/api/billing/ledger"))["balances"]
    return {one["account"]: one["balance"]["amount"] for one in found if one["balance"]["amount"]}


async def compared(client: Client, hub: Hub, clock: MovingClock) -> tuple[Any, list[Any]]:
    """A reconciliation of the last day."""
    clock.advance(timedelta(hours=1, minutes=1))
    until = clock.now() - timedelta(hours=1)
    body = {"connection": "stripe", "since": (until - timedelta(days=1)).isoformat(), "until": until.isoformat()}
    run = await made(client, "/api/billing/reconciliations", body)
    assert run["status"] == "running"
    await hub.resolve(Reconcile)()
    path = f"/api/billing/reconciliations/{run['id']}"
    return await read(client, path), (await read(client, f"{path}/differences"))["items"]


async def table(client: Client, path: str) -> list[dict[str, str]]:
    """A CSV file's rows."""
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(answer.text)))


@both_databases
async def test_what_stripe_lists_and_what_we_recorded_agree(
    client: Client, hub: Hub, sandbox: Sandbox, live: str, organisation: str, clock: MovingClock
) -> None:
    """Paid, part of it refunded, some of it paid out: the same totals on both sides, and a ledger that adds up."""
    await stripe(client)
    bill = await paid(client, hub, sandbox)
    payment = bill["payments"][0]
    await made(client, f"/api/payments/{payment['id']}/refunds", {"amount": "25.00"})
    payout = await made(client, "/api/payments/payout", {"provider": "stripe", "amount": "10.00", "currency": "USD"})
    assert payout["status"] == "pending"
    clock.advance(timedelta(minutes=1))
    await sandbox.stripe.post.idle()
    await work_off(hub)
    run, differences = await compared(client, hub, clock)
    assert differences == []
    assert (run["status"], run["error"], run["compared"]) == ("done", None, 3)
    sums = {one["movement"]: (one["ours"]["amount"], one["theirs"]["amount"]) for one in run["totals"]}
    assert sums == {"payment": (10_000, 10_000), "refund": (2_500, 2_500), "payout": (1_000, 1_000)}
    found = await balances(client)
    assert sum(found.values()) == 0
    assert found["balance:stripe"] == 10_000 - 320 - 2_500 - 1_000
    assert found["fees"] == 320
    await assert_books(hub.resolve(Store), organisation)  # type: ignore[type-abstract]
    entries = await table(client, "/api/billing/ledger/entries.csv?account=balance:stripe")
    assert sorted(one["amount"] for one in entries) == ["-10.00", "-25.00", "-3.20", "100.00"]
    assert {one["currency"] for one in entries} == {"USD"}


async def test_a_payment_that_nobody_told_of_is_found_and_taken_in(
    client: Client, hub: Hub, sandbox: Sandbox, organisation: str, clock: MovingClock
) -> None:
    """The webhook was lost (no hub is listening) and the payer never came back."""
    await stripe(client)
    invoice = await an_invoice(client)
    await (await hosted(client, sandbox, await a_link(client, invoice))).pay()
    run, (difference,) = await compared(client, hub, clock)
    assert (difference["kind"], difference["movement"], difference["theirs"]) == (
        "missing_here",
        "payment",
        "100.00 USD",
    )
    path = f"/api/billing/reconciliations/{run['id']}/differences"
    refused = await client.post(f"{path}/{difference['id']}/fix", json={"fix": "settled"})
    assert (refused.status_code, faults(refused)) == (422, {"fix"})
    fixed = await made(client, f"{path}/{difference['id']}/fix", {"fix": "adopted"}, status=200)
    assert fixed["fix"] == "adopted"
    assert (await read(client, f"/api/invoices/{invoice['id']}"))["invoice"]["status"] == "paid"
    again = await client.post(f"{path}/{difference['id']}/fix", json={"fix": "adopted"})
    assert again.status_code == 409
    (line,) = await table(client, f"{path}.csv")
    assert (line["kind"], line["amount"], line["fix"]) == ("missing_here", "100.00", "adopted")
    _, differences = await compared(client, hub, clock)
    assert differences == []
    await assert_books(hub.resolve(Store), organisation)  # type: ignore[type-abstract]


async def test_what_cannot_be_done_is_refused_with_its_field(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock
) -> None:
    """Nothing is written, nothing is sent."""
    await stripe(client)
    late = clock.now() + timedelta(hours=1)
    for path, body, field in (
        ("/api/payments/payout", {"provider": "stripe", "amount": "0", "currency": "USD"}, "amount"),
        ("/api/payments/payout", {"provider": "stripe", "amount": "1.005", "currency": "USD"}, "amount"),
        ("/api/payments/payout", {"provider": "stripe", "amount": "5", "currency": "XXX"}, "currency"),
        (
            "/api/payments/payout",
            {"provider": "stripe", "amount": "5", "currency": "USD", "destination": {"iban": "x"}},
            "destination.iban",
        ),
        ("/api/billing/reconciliations", {"connection": "stripe", "until": late.isoformat()}, "until"),
        ("/api/billing/reconciliations", {"connection": "stripe", "since": "2026-01-01T00:00:00"}, "since"),
    ):
        answer = await client.post(path, json=body)
        assert (answer.status_code, faults(answer)) == (422, {field}), answer.text
    broke = await client.post("/api/payments/payout", json={"provider": "stripe", "amount": "5", "currency": "USD"})
    assert broke.status_code == 409
    assert "balance" in broke.json()["detail"]
    (payout,) = (await read(client, "/api/payments/payouts"))["items"]
    assert payout["status"] == "failed"
    assert await balances(client) == {}


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+x", "-x"])
async def test_a_note_is_no_formula_in_a_spreadsheet(
    client: Client, hub: Hub, sandbox: Sandbox, clock: MovingClock, text: str
) -> None:
    """A provider's or a person's words are text, whatever they begin with."""
    await stripe(client)
    await (await hosted(client, sandbox, await a_link(client, await an_invoice(client)))).pay()
    run, (difference,) = await compared(client, hub, clock)
    path = f"/api/billing/reconciliations/{run['id']}/differences"
    await made(client, f"{path}/{difference['id']}/fix", {"fix": "accepted", "note": text}, status=200)
    (line,) = await table(client, f"{path}.csv")
    assert line["note"] == f"'{text}"
