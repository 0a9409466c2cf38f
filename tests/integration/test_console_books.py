"""Ledger, reconciliations and payouts in the console, as a browser without JavaScript sees them."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient

from adapters.persistence.migrate import migrate
from adapters.vault import KeyRing
from application.billing.reconcile import Reconcile, midnight
from application.ports.clock import Clock
from application.ports.settlements import Movement, Settled
from application.ports.store import Store
from domain.money import Currency, Money
from entrypoints.settings import Settings
from entrypoints.wiring import Hub
from tests.integration.console_scene import VIEWER, Scene, scene
from tests.integration.test_console_replays import fields

USD = Currency("USD")


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


async def test_the_ledger_shows_balances_and_their_entries(set_up: Scene, owner: AsyncClient) -> None:
    """From an account to what it is made of, and to a file for a spreadsheet."""
    page = await owner.get("/console/ledger")
    assert page.status_code == 200
    assert "balance:stripe" in page.text
    narrowed = await owner.get("/console/ledger?account=receivable")
    assert "Entries of receivable" in narrowed.text
    file = await owner.get("/console/ledger/entries.csv?account=balance:stripe")
    assert file.text.splitlines()[0] == "id,posting,source,account,amount,currency,at,subject"
    assert len(file.text.splitlines()) > 1
    assert (await owner.get("/console/ledger?subject=nothing")).text.count("No entries here") == 1


async def test_days_are_compared_and_a_difference_is_accepted_once(set_up: Scene, owner: AsyncClient) -> None:
    """A form for whole days, a report that looks again by itself, and a click that is written down."""
    now = set_up.hub.resolve(Clock).now()  # type: ignore[type-abstract]
    day = midnight(now - timedelta(days=3))
    line = Settled(Movement.FEE, "fee_1", Money(2_000, USD), None, day + timedelta(hours=1), done=True)
    set_up.payments.also.append(line)
    listed = await owner.get("/console/reconciliations")
    form = fields(listed, "/console/reconciliations")
    asked = {**form, "connection": set_up.stripe.id, "since": day.date().isoformat(), "until": day.date().isoformat()}
    wrong = await owner.post("/console/reconciliations", data={**asked, "until": "soon"})
    assert (wrong.status_code, "A day is written as 2026-02-28." in wrong.text) == (422, True)
    began = await owner.post("/console/reconciliations", data=asked)
    path = began.headers["location"].partition("?")[0]
    again = await owner.post("/console/reconciliations", data=asked)
    assert again.headers["location"] == "/console/reconciliations"
    running = await owner.get(path)
    assert running.headers["refresh"] == "3"
    await set_up.hub.resolve(Reconcile)()
    report = await owner.get(path)
    assert "refresh" not in report.headers
    assert "Missing here" in report.text
    action = re.findall(rf'action="({path}/differences/[^"]+)"', report.text)[0]
    click = {**fields(report, action), "fix": "accepted"}
    refused = await owner.post(action, data=click)
    assert (refused.status_code, "Say why" in refused.text) == (422, True)
    fixed = await owner.post(action, data={**click, "note": "the monthly fee"})
    assert fixed.headers["location"] == f"{path}?done=difference-fixed"
    after = await owner.get(path)
    assert "the monthly fee" in after.text
    assert action not in after.text
    file = await owner.get(f"{path}/differences.csv")
    assert "the monthly fee" in file.text


async def test_a_payout_is_sent_once_however_often_the_button_is_pressed(set_up: Scene, owner: AsyncClient) -> None:
    """And its destination is shown by its end alone."""
    form = fields(await owner.get("/console/payouts/new"), "/console/payouts")
    to = {"destination.bank": "044", "destination.account": "0690000031"}
    typed = {**form, "amount": "12.5", "currency": "usd", "description": "rent", **to}
    refused = await owner.post("/console/payouts", data={**typed, "amount": "much"})
    assert (refused.status_code, "is not a decimal number" in refused.text) == (422, True)
    sent = await owner.post("/console/payouts", data=typed)
    path = sent.headers["location"].partition("?")[0]
    assert (await owner.post("/console/payouts", data=typed)).headers["location"] == "/console/payouts"
    assert len(set_up.payments.payouts) == 1
    page = await owner.get(path)
    assert "·· 0031" in page.text
    assert "0690000031" not in page.text
    assert "rent" in (await owner.get("/console/payouts")).text
    store: Store = set_up.hub.resolve(Store)  # type: ignore[type-abstract]
    async with store.reading(set_up.caller.organisation_id) as work:
        (kept,) = await work.payouts.all()
    assert "0690000031" not in str(kept.sealed_destination)


async def test_a_viewer_sees_the_books_and_moves_nothing(set_up: Scene) -> None:
    """No form is shown, and none is taken."""
    async with set_up.signed_in(VIEWER) as browser:
        for path in ("/console/ledger", "/console/payouts", "/console/reconciliations"):
            page = await browser.get(path)
            assert page.status_code == 200
            assert 'method="post" action="/console/p' not in page.text
            assert 'method="post" action="/console/r' not in page.text
        assert (await browser.post("/console/payouts", data={"amount": "1"})).status_code == 403
