"""Customers, payment methods and payments in full, over the API."""

from adapters.persistence.store import SqlStore
from application.ports.store import Store
from domain.connections.abilities import Ability
from entrypoints.sandbox import Sandbox
from entrypoints.wiring import Hub
from tests.integration.conftest import Client, both_databases, faults, made, read, until, work_off
from tests.integration.things import a_client, a_customer, a_token, an_invoice, flutterwave, paid, paypal, stripe


@both_databases
async def test_customers_are_listed_by_client_and_provider(client: Client, hub: Hub, organisation: str) -> None:
    """To see who a payment at the provider belongs to."""
    ada = await a_client(client)
    await a_customer(hub, organisation, ada["id"])
    (row,) = (await read(client, "/api/billing/customers", client_id=ada["id"], provider="stripe"))["items"]
    assert (row["client_id"], row["reference"], row["gone_at"]) == (ada["id"], "cus_elsewhere", None)
    assert (await read(client, "/api/billing/customers", provider="paypal"))["items"] == []


@both_databases
async def test_a_clients_methods_are_listed_chosen_and_forgotten(
    client: Client, hub: Hub, sandbox: Sandbox, organisation: str
) -> None:
    """And a token never leaves the hub."""
    await stripe(client)
    ada = (await a_client(client))["id"]
    path = f"/api/billing/clients/{ada}/payment-methods"
    first = await a_token(hub, organisation, ada)
    second = await a_token(hub, organisation, ada, "token-2")
    listed = await client.get(path)
    assert "token-" not in listed.text
    assert [(m["id"], m["is_default"], m["kept_by"]) for m in listed.json()["items"]] == [
        (first, True, "hub"),
        (second, False, "hub"),
    ]
    chosen = await client.post(f"{path}/{second}/default", headers={"Idempotency-Key": "once"})
    assert (chosen.status_code, chosen.json()["is_default"]) == (200, True)
    assert (await client.delete(f"{path}/{first}")).status_code == 204
    assert (await client.delete(f"{path}/{first}")).status_code == 404
    assert [m["id"] for m in (await read(client, path))["items"]] == [second]
    assert (await client.get("/api/billing/clients/client_unknown/payment-methods")).status_code == 404


@both_databases
async def test_payments_are_filtered_by_what_their_facts_add_up_to(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """A bookkeeper looks for the refunded ones, not through all of them; and an unknown word is named."""
    await stripe(client)
    first, second = [await paid(client, hub, sandbox) for _ in range(2)]
    refunded = first["payments"][0]["id"]
    await made(client, f"/api/payments/{refunded}/refunds", {"amount": "40.00"})

    async def ids(**wanted: str) -> set[str]:
        return {one["id"] for one in (await read(client, "/api/billing/payments", **wanted))["items"]}

    assert await ids(status="partially_refunded") == {refunded}
    assert await ids(status="succeeded") == {second["payments"][0]["id"]}
    assert await ids(status="succeeded", provider="paypal") == set()
    assert len(await ids(provider="stripe")) == 2
    wrong = await client.get("/api/billing/payments", params={"status": "lost"})
    assert (wrong.status_code, faults(wrong)) == (422, {"status"})
    assert isinstance(hub.resolve(Store), SqlStore)  # type: ignore[type-abstract]  # the column, not the property


async def test_a_payment_tells_its_whole_history(client: Client, hub: Hub, sandbox: Sandbox) -> None:
    """What came, what went back, and what was asked for: each with its reference at the provider."""
    await stripe(client)
    bill = await paid(client, hub, sandbox)
    payment = bill["payments"][0]["id"]
    await made(client, f"/api/payments/{payment}/refunds", {"amount": "40.00", "reason": "too much"})
    seen = await read(client, f"/api/payments/{payment}/history")
    kinds = [fact["kind"] for fact in seen["facts"]]
    assert {"captured", "refunded"} <= set(kinds)
    assert [one["reason"] for one in seen["refunds"]] == ["too much"]
    assert seen["payment"]["status"] == "partially_refunded"
    assert all(fact["reference"] for fact in seen["facts"])


async def test_the_catalogue_shows_who_does_what(client: Client, sandbox: Sandbox) -> None:
    """Before anyone connects a provider: what it lacks, what the hub does in its stead, and in which currencies it takes
    money."""
    catalogue = {one["slug"]: one for one in await read(client, "/api/integrations/catalog")}
    for slug, one in catalogue.items():
        if "payments" not in one["offers"]:
            assert (one["abilities"], one["currencies"]) == ({}, []), slug
            continue
        assert set(one["abilities"]) == {ability.value for ability in Ability}, slug
        assert "USD" in one["currencies"], slug
        for name, support in one["abilities"].items():
            assert support["by"] in ("provider", "hub", "nobody"), (slug, name)
            assert support["by"] == "provider" or support["note"], f"{slug} does not say why it has no {name}"


async def test_a_provider_that_does_not_invoice_says_so(client: Client, sandbox: Sandbox) -> None:
    """And what is not there at all is not found."""
    invoice = await an_invoice(client)
    body = {"invoice_id": invoice["id"], "provider": "stripe"}
    assert (await client.post("/api/payments/invoice", json=body)).status_code == 404, "nothing is connected"


async def test_a_provider_invoices_once_and_what_is_paid_there_pays_ours(
    client: Client, hub: Hub, sandbox: Sandbox, live: str
) -> None:
    """Under its own number, for what is due, however often it is asked; the client pays on the provider's page."""
    await stripe(client)
    invoice = await an_invoice(client)
    body = {"invoice_id": invoice["id"], "provider": "stripe"}
    first = await made(client, "/api/payments/invoice", body)
    again = await made(client, "/api/payments/invoice", {**body, "send": True})
    assert (again["reference"], again["number"]) == (first["reference"], first["number"])
    assert first["url"]
    assert (await read(client, f"/api/invoices/{invoice['id']}"))["invoice"]["status"] == "open"
    async with Client(timeout=10) as payer:
        control = f"{sandbox.url}/stripe/_sandbox/invoices/{first['reference']}/pay"
        assert (await payer.post(control, json={})).is_success

    async def paid_here() -> bool:
        await work_off(hub)
        return bool((await read(client, f"/api/invoices/{invoice['id']}"))["invoice"]["status"] == "paid")

    await until(paid_here, "the payment of the provider's invoice")
    (payment,) = (await read(client, f"/api/invoices/{invoice['id']}"))["payments"]
    assert (payment["provider"], payment["status"]) == ("stripe", "succeeded")
    refused = await client.post("/api/payments/invoice", json=body)
    assert (refused.status_code, "already paid" in refused.text) == (409, True)


async def test_what_a_provider_lacks_is_refused_with_what_to_do_instead(client: Client, sandbox: Sandbox) -> None:
    """The note of the catalogue, and the field."""
    await paypal(client)
    invoice = await an_invoice(client)
    refused = await client.post("/api/payments/invoice", json={"invoice_id": invoice["id"], "provider": "paypal"})
    assert (refused.status_code, faults(refused)) == (422, {"provider"})
    assert "hub writes its own invoices" in refused.json()["detail"]


async def test_the_status_of_each_provider_is_told(client: Client, sandbox: Sandbox, live: str) -> None:
    """Also of one that is not connected."""
    assert not (await read(client, "/api/integrations/flutterwave/status"))["configured"]
    await stripe(client)
    await paypal(client)
    await flutterwave(client, sandbox, live)
    for slug in ("stripe", "paypal", "flutterwave"):
        status = await read(client, f"/api/integrations/{slug}/status")
        assert (status["configured"], status["connected"], status["live"]) == (True, True, False), slug
