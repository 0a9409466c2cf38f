"""Money in histories that hypothesis invents: what is charged at the provider, recorded here and in the ledger is the same.

For each provider's sandbox and the fake, payers, people at the console, banks, webhooks in any order, a wire that fails and a
hub that dies at any moment are played (machine.py). After every step the books must agree with themselves and claim nothing
that did not happen, no invoice be paid twice unnoticed, nothing be sent back, or asked to be, beyond what was captured, and
every fact be told once. In the end, when all has arrived and every job has run, each payment must be to the last minor unit
what the provider has, no answer be missing, and a reconciliation find nothing.

A run of all tests plays few histories, and always the same. `make simulate MONEY=500 SEED=7` plays more. A failure is shortened
and printed as the steps that lead to it, with how to see it again.

Whether the net holds was tried with two defects put in on purpose. A payment that learns a fact again (`Payment.learn` without
its look at what is known) is found at once: a payer who is back twice, and the ledger and the payment fall apart. A refund
that is not counted before the provider is asked (`RefundPayment` without what is promised) is found in two steps: a payment
that is known, and two refunds of 60 % at once, of which the provider has to refuse one. Both were found within the small
budget, the first at the fake, Stripe's and PayPal's sandbox, the second at the fake and Flutterwave's.
"""

import asyncio
from itertools import count
from pathlib import Path

import pytest

from adapters.persistence.database import Database
from adapters.persistence.migrate import migrate
from tests.simulation.money.machine import MoneyMachine, play

HISTORIES = {"fake": 30, "stripe": 15, "paypal": 15, "flutterwave": 25}


@pytest.mark.parametrize("provider", HISTORIES)
def test_what_was_charged_is_what_is_recorded_is_what_is_in_the_books(provider: str) -> None:
    """Whatever payers, people, banks and providers do, and whenever the hub dies of it."""
    play(type("Machine", (MoneyMachine,), {"slug": provider}), histories=HISTORIES[provider], steps=24)


def test_so_it_is_on_a_real_database(tmp_path: Path) -> None:
    """SQLite in a file: the same histories with transactions, versions and rollbacks that are no test's own."""
    empty = tmp_path / "empty.db"

    async def prepare() -> None:
        database = Database.at(f"sqlite:///{empty}")
        await migrate(database)
        await database.close()

    asyncio.run(prepare())
    numbers = count()

    class OnSqlite(MoneyMachine):
        """At Flutterwave, where nothing is told unasked."""

        slug = "flutterwave"

        def database(self) -> Path:
            """A fresh file."""
            path = tmp_path / f"{next(numbers)}.db"
            path.write_bytes(empty.read_bytes())
            return path

    play(OnSqlite, histories=3, steps=16)
