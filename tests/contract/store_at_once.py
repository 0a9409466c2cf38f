"""What every store must do when much happens at once (see store.py)."""

import asyncio

import attrs
import pytest

from application.ports.store import AlreadyThere, StaleWrite, Store
from tests.contract.store import Rig


class AtOnceContract:
    """Concurrency: between tasks of one process, and between processes (`rig.other`)."""

    async def test_no_write_of_many_is_lost(self, rig: Rig) -> None:
        """Fifty units of work in parallel, from two processes: all are kept."""
        org = await rig.organisation()

        async def write(store: Store) -> str:
            invoice = rig.make.invoice(org)
            async with store.of(org) as work:
                await work.invoices.add(invoice)
                await work.commit()
            return invoice.id

        ids = await asyncio.gather(*(write(rig.other if n % 2 else rig.store) for n in range(50)))
        async with rig.store.reading(org) as work:
            assert {one.id for one in await work.invoices.all()} == set(ids)

    async def test_counters_leave_no_gap_whoever_gives_up(self, rig: Rig) -> None:
        """Invoice numbers are a row without holes, although every third unit of work is undone."""
        org = await rig.organisation()

        async def count(n: int) -> int | None:
            async with (rig.other if n % 2 else rig.store).of(org) as work:
                number = await work.counters.next("invoice")
                await asyncio.sleep(0)
                if n % 3 == 0:
                    return None
                await work.commit()
            return number

        numbers = await asyncio.gather(*(count(n) for n in range(30)))
        assert sorted(n for n in numbers if n is not None) == list(range(1, 21))

    async def test_of_two_who_change_the_same_one_must_try_again(self, rig: Rig) -> None:
        """Twenty add a cent each, all at once; whoever was too late reads again, and nothing is lost."""
        org = await rig.organisation()
        invoice = rig.make.invoice(org)
        await rig.add(org, "invoices", invoice)

        async def pay(store: Store) -> None:
            while True:
                try:
                    async with store.of(org) as work:
                        seen = await work.invoices.get(invoice.id)
                        await asyncio.sleep(0)
                        await work.invoices.save(attrs.evolve(seen, paid=seen.paid + 1))
                        await work.commit()
                        return
                except StaleWrite:
                    continue

        async with asyncio.timeout(20):
            await asyncio.gather(*(pay(rig.other if n % 2 else rig.store) for n in range(20)))
        found = await rig.find(org, "invoices", invoice.id)
        assert (found.paid, found.version) == (20, 21)

    async def test_of_two_who_take_the_same_key_one_is_told(self, rig: Rig) -> None:
        """A webhook that comes twice at once is kept once."""
        org = await rig.organisation()

        async def take(store: Store) -> bool:
            async with store.of(org) as work:
                try:
                    await work.inbox.add(rig.make.received(org, external_id="evt_1"))
                except AlreadyThere:
                    return False
                await asyncio.sleep(0)
                await work.commit()
            return True

        taken = await asyncio.gather(*(take(rig.other if n % 2 else rig.store) for n in range(10)))
        assert sum(taken) == 1

    async def test_a_hundred_can_read_at_once(self, rig: Rig) -> None:
        """More than there are connections; they take turns."""
        org = await rig.organisation()
        invoice = rig.make.invoice(org)
        await rig.add(org, "invoices", invoice)

        async def read() -> bool:
            async with rig.store.reading(org) as work:
                found = await work.invoices.get(invoice.id)
                await asyncio.sleep(0.01)
                return found == invoice and await work.invoices.page() is not None

        async with asyncio.timeout(20):
            assert all(await asyncio.gather(*(read() for _ in range(100))))

    async def test_a_cancelled_unit_of_work_leaves_nothing_behind(self, rig: Rig) -> None:
        """A client that hangs up in the middle of a request: undone, and the next writer is not held up."""
        org = await rig.organisation()
        begun = asyncio.Event()

        async def hang() -> None:
            async with rig.store.of(org) as work:
                await work.invoices.add(rig.make.invoice(org))
                begun.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(hang())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            await rig.add(org, "invoices", rig.make.invoice(org))
        async with rig.store.reading(org) as work:
            assert len(await work.invoices.all()) == 1
