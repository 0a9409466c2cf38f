"""What every store must do with the books: add entries up, keep a posting once, and read on along what moved."""

from datetime import timedelta
from typing import Any

import pytest

from application.ports.store import After, AlreadyThere
from domain.billing.ledger import Balance
from domain.billing.payments import Payment
from domain.money import Currency, Money
from tests.contract.examples import NOW

USD, JPY = Currency("USD"), Currency("JPY")
HOUR = timedelta(hours=1)


class BooksContract:
    """The ledger, and payments by when they changed."""

    async def test_entries_are_added_up_by_account_and_currency(self, rig: Any) -> None:
        """Of the organisation alone, and beyond what a 32-bit number holds."""
        org, other = await rig.organisation(), await rig.organisation()
        large = 9 * 10**14
        for given in (
            {"account": "fees", "amount": Money(large, USD)},
            {"account": "fees", "amount": Money(-1, USD)},
            {"account": "fees", "amount": Money(5, JPY)},
            {"account": "balance:stripe", "amount": Money(-7, USD)},
        ):
            await rig.add(org, "ledger", rig.make.ledger_entry(org, **given))
        await rig.add(other, "ledger", rig.make.ledger_entry(other))
        async with rig.other.reading(org) as work:
            assert await work.ledger.balances() == (
                Balance("balance:stripe", Money(-7, USD)),
                Balance("fees", Money(5, JPY)),
                Balance("fees", Money(large - 1, USD)),
            )
        async with rig.store.reading(await rig.organisation()) as work:
            assert await work.ledger.balances() == ()

    async def test_a_posting_is_kept_once(self, rig: Any) -> None:
        """Of two that post the same at once one must begin anew, with nothing of its own kept."""
        org = await rig.organisation()

        def entries() -> list[Any]:
            return [
                rig.make.ledger_entry(org, source="captured:1", account=account, amount=Money(amount, USD))
                for account, amount in (("fees", 3), ("balance:stripe", -3))
            ]

        async with rig.store.of(org) as work:
            await work.ledger.add_all(())
            await work.ledger.add_all(entries())
            await work.commit()
        async with rig.other.of(org) as work:
            with pytest.raises(AlreadyThere):
                await work.ledger.add_all(entries())
        async with rig.store.reading(org) as work:
            assert len(await work.ledger.all(source="captured:1")) == 2

    async def test_payments_that_moved_are_read_along_their_changes(self, rig: Any) -> None:
        """Page after page to the last, each once; those of another provider, begun later or not changed since are left out."""
        org = await rig.organisation()
        moved: list[Payment] = []
        for number in range(7):
            payment = rig.make.payment(
                org,
                provider="stripe",
                reference=f"pi_{number}",
                created_at=NOW - HOUR,
                updated_at=NOW + (number // 3) * HOUR,
            )
            moved.append(payment)
        others = [
            rig.make.payment(org, provider="stripe", reference="late", created_at=NOW + 5 * HOUR, updated_at=NOW),
            rig.make.payment(org, provider="stripe", reference="old", created_at=NOW, updated_at=NOW - HOUR),
            rig.make.payment(org, provider="paypal", reference="pi_1", created_at=NOW, updated_at=NOW),
        ]
        await rig.add(org, "payments", *reversed(moved), *others)
        seen: list[str] = []
        after: After | None = None
        async with rig.other.reading(org) as work:
            while page := await work.payments.moved("stripe", NOW, NOW + 5 * HOUR, limit=2, after=after):
                assert len(page) <= 2
                seen += [one.id for one in page]
                after = page[-1]
        assert seen == [one.id for one in sorted(moved, key=lambda one: (one.updated_at, one.id))]
