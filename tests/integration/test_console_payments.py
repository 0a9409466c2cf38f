"""Payments and payers in the console: the list, the facts, refunds, and money that is not what was asked for."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient, Response

from adapters.persistence.migrate import migrate
from adapters.vault import KeyRing
from application.billing.customers import EnsureCustomer
from application.ports.store import Store
from domain.billing.conflicts import ConflictKind, Finding
from entrypoints.settings import Settings
from entrypoints.wiring import Hub
from tests.integration.console_scene import VIEWER, Scene, scene
from tests.integration.test_console import press


@pytest.fixture
async def set_up(tmp_path: Any) -> AsyncIterator[Scene]:
    """One of everything."""
    settings = Settings.read({"PATCHBAY_DATA_DIR": str(tmp_path), "PATCHBAY_ALLOW_NETWORKS": "127.0.0.1/32"})
    hub = Hub.open(settings, KeyRing.new())
    await migrate(hub.database)
    async with scene(hub) as made:
        yield made
    await hub.close()


@pytest.fixture
async def owner(set_up: Scene) -> AsyncIterator[AsyncClient]:
    """The owner's browser, signed in."""
    async with set_up.signed_in() as browser:
        yield browser


def plain(page: Response) -> str:
    """What a page says."""
    return " ".join(re.sub(r"<[^>]*>", " ", page.text).split())


async def conflicted(set_up: Scene, kind: ConflictKind = ConflictKind.OVERPAID) -> str:
    """The scene's payment is not what was asked for; the path of its page."""
    store: Store = set_up.hub.resolve(Store)  # type: ignore[type-abstract]
    async with store.of(set_up.caller.organisation_id) as work:
        payment = await work.payments.get(set_up.payment.id)
        await work.payments.save(payment.set_aside(Finding(kind, "More came than was due."), payment.updated_at))
        await work.commit()
    return f"/console/payments/{set_up.payment.id}"


async def test_a_provider_is_called_as_it_calls_itself(set_up: Scene, owner: AsyncClient) -> None:
    """`stripe` is a word for programs."""
    paths = (
        "/console/payments",
        f"/console/payments/{set_up.payment.id}",
        f"/console/invoices/{set_up.paid.id}",
        "/console/inbox",
    )
    for path in paths:
        said = plain(await owner.get(path))
        assert re.search(r"\bstripe\b", said) is None, path
    assert "through Stripe" in plain(await owner.get(f"/console/invoices/{set_up.paid.id}"))


async def test_payments_are_listed_and_filtered(set_up: Scene, owner: AsyncClient) -> None:
    """With the invoice they are for, in the reader's own numbers."""
    page = await owner.get("/console/payments", headers={"Accept-Language": "de"})
    assert page.status_code == 200
    assert set_up.paid.number in page.text
    assert "1.431,00" in page.text
    assert set_up.payment.id in (await owner.get("/console/payments?status=succeeded&provider=stripe")).text
    empty = await owner.get("/console/payments?status=conflicted")
    assert "No such payment" in empty.text
    assert set_up.payment.id not in empty.text


async def test_a_payment_shows_every_fact_and_leads_to_its_invoice_and_webhooks(
    set_up: Scene, owner: AsyncClient
) -> None:
    """What a bookkeeper needs to find it at the provider and in the inbox."""
    page = await owner.get(f"/console/payments/{set_up.payment.id}")
    assert "came in" in plain(page)
    assert set_up.payment.reference in page.text
    assert f"/console/invoices/{set_up.paid.id}" in page.text
    assert f"/console/inbox?object=intent:{set_up.payment.reference}" in page.text


async def test_a_refund_from_the_payments_own_page_goes_out_once(set_up: Scene, owner: AsyncClient) -> None:
    """Too much is refused in place; the same form twice sends the money back once."""
    path = f"/console/payments/{set_up.payment.id}"
    refused = await press(owner, f"{path}/refund", on=path, amount="99999.00")
    assert refused.status_code == 409
    assert "Only 1431.00 USD" in refused.text
    done = await press(owner, f"{path}/refund", on=path, amount="100.00", reason="Late")
    assert done.headers["location"] == f"{path}?done=refunded"
    assert len(set_up.payments.refunds) == 1
    page = await owner.get(path)
    assert "$100.00 : Late" in plain(page) or "$100.00: Late" in plain(page)
    assert "went back" in plain(page)


async def test_money_that_is_too_much_waits_on_the_overview_and_is_accepted(set_up: Scene, owner: AsyncClient) -> None:
    """A person decides, and it is written down who did."""
    path = await conflicted(set_up)
    overview = await owner.get("/console")
    assert path in overview.text
    assert "More came than was due" in overview.text
    nothing = await press(owner, f"{path}/resolve", on=path)
    assert nothing.status_code == 422
    done = await press(owner, f"{path}/resolve", on=path, resolution="accept")
    assert done.headers["location"] == f"{path}?done=resolved", done.text
    page = await owner.get(path)
    assert "Settled by a person" in plain(page)
    assert "payment.resolved" in plain(await owner.get("/console/audit"))
    assert path not in (await owner.get("/console")).text


async def test_it_is_moved_to_another_invoice_by_its_number(set_up: Scene, owner: AsyncClient) -> None:
    """Which must exist, and still have something to pay."""
    path = await conflicted(set_up, ConflictKind.AFTER_VOID)
    unknown = await press(owner, f"{path}/resolve", on=path, resolution="move", invoice="INV-9999")
    assert unknown.status_code == 422
    assert "no invoice with this number" in unknown.text
    done = await press(owner, f"{path}/resolve", on=path, resolution="move", invoice=set_up.invoice.number)
    assert done.status_code == 303, plain(done)
    assert set_up.invoice.number in (await owner.get(path)).text


async def test_it_is_sent_back(set_up: Scene, owner: AsyncClient) -> None:
    """All of it, where it counts for nothing."""
    path = await conflicted(set_up, ConflictKind.WRONG_CURRENCY)
    done = await press(owner, f"{path}/resolve", on=path, resolution="refund")
    assert done.status_code == 303, plain(done)
    assert [refund.amount.amount for refund in set_up.payments.refunds.values()] == [143_100]


async def test_a_viewer_sees_it_and_changes_nothing(set_up: Scene) -> None:
    """Looking is not deciding."""
    path = await conflicted(set_up)
    async with set_up.signed_in(VIEWER) as viewer:
        page = await viewer.get(path)
        assert page.status_code == 200
        assert "/resolve" not in page.text
        assert "/refund" not in page.text
        for deed in ("resolve", "refund"):
            assert (await press(viewer, f"{path}/{deed}", on=path, resolution="accept")).status_code == 403


async def test_a_payers_methods_are_shown_chosen_and_forgotten(set_up: Scene, owner: AsyncClient) -> None:
    """By their brand and last digits; what charges them is nowhere on the page."""
    ensure = set_up.hub.resolve(EnsureCustomer)
    payer = await ensure(set_up.caller.organisation_id, set_up.stripe, set_up.paid.client)
    assert payer is not None
    set_up.payments.give_method(payer)
    other = set_up.payments.give_method(payer)
    path = f"/console/payers/{set_up.paid.client.id}"
    page = await owner.get(path)
    assert plain(page).count("visa 4242") == 2
    chosen = await press(owner, f"{path}/default", on=path, method=f"{set_up.stripe.id}.{other}")
    assert chosen.headers["location"] == f"{path}?done=changed"
    assert [one.is_default for one in set_up.payments.methods[payer]] == [False, True]
    forgotten = await press(owner, f"{path}/detach", on=path, method=f"{set_up.stripe.id}.{other}")
    assert forgotten.headers["location"] == f"{path}?done=method-forgotten"
    gone = await press(owner, f"{path}/default", on=path, method=f"{set_up.stripe.id}.{other}")
    assert gone.status_code == 404


async def test_a_connection_shows_who_does_what(owner: AsyncClient) -> None:
    """Before connecting and after: nobody should find out from a refusal."""
    page = await owner.get("/console/connections/new/paypal")
    said = plain(page)
    assert "Cancel at period end" in said
    assert "the hub, in its stead" in said
    assert "Currencies:" in said
    assert "abilities" not in (await owner.get("/console/connections/new/slack")).text
