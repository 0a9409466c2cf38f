"""What every store must do when much happens at once (see store.py)."""

import asyncio
from datetime import timedelta

import attrs
import pytest

from application.ports.store import AlreadyThere, StaleWrite, Store
from domain.notifications.deliveries import DeliveryState
from tests.contract.examples import NOW
from tests.contract.store import Rig
from tests.contract.store_claims import LEASE, claim, tried, waiting


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

    async def test_two_workers_never_get_the_same_delivery(self, rig: Rig) -> None:
        """Ten workers over two processes share what is due; everything is claimed, each once."""
        org = await rig.organisation()
        made = [one for n in range(12) for one in await waiting(rig, org, count=8, destination=f"wh_{n}", due_at=NOW)]
        seen: list[str] = []

        async def work(store: Store) -> None:
            while (await store.next_due() or NOW + LEASE) <= NOW:
                for one in await claim(store, limit=7):
                    seen.append(one.delivery.id)
                    await store.record_attempts([tried(rig, one)])

        async with asyncio.timeout(30):
            await asyncio.gather(*(work(rig.other if n % 2 else rig.store) for n in range(10)))
        assert sorted(seen) == sorted(one.id for one in made)
        async with rig.store.reading(org) as reading:
            assert (await reading.deliveries.counts())["delivered"] == len(made)

    async def test_two_workers_never_get_the_same_webhook(self, rig: Rig) -> None:
        """The same for the inbox."""
        org = await rig.organisation()
        made = [rig.make.received(org) for _ in range(40)]
        await rig.add(org, "inbox", *made)
        seen: list[str] = []

        async def work(store: Store) -> None:
            while (await store.next_due() or NOW + LEASE) <= NOW:
                seen.extend(one.id for one in await store.claim_inbox(NOW, LEASE, 3))

        async with asyncio.timeout(30):
            await asyncio.gather(*(work(rig.other if n % 2 else rig.store) for n in range(6)))
        assert sorted(seen) == sorted(one.id for one in made)

    async def test_recording_and_cancelling_at_once_end_in_one_of_the_two(self, rig: Rig) -> None:
        """No dead lock, and no delivery that is both delivered and cancelled."""
        org = await rig.organisation()
        await waiting(rig, org, count=40, destination="wh_1")
        batches = [await claim(rig.store) for _ in range(5)]

        async def cancel() -> int:
            async with rig.other.of(org) as work:
                count = await work.deliveries.cancel_pending("wh_1", "gone", NOW)
                await work.commit()
            return count

        async with asyncio.timeout(20):
            *recorded, cancelled = await asyncio.gather(
                *(rig.store.record_attempts([tried(rig, one) for one in reversed(batch)]) for batch in batches),
                cancel(),
            )
        async with rig.store.reading(org) as work:
            counts = await work.deliveries.counts()
        assert counts["delivered"] == sum(len(kept) for kept in recorded)
        assert counts["cancelled"] == cancelled
        assert counts["delivered"] + counts["cancelled"] == 40

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

    async def test_forgetting_goes_on_beside_delivering(self, rig: Rig) -> None:
        """The scheduler's night work stops nobody."""
        org = await rig.organisation()
        old = NOW - timedelta(days=40)
        await waiting(rig, org, count=30, state=DeliveryState.DELIVERED, finished_at=old)
        await waiting(rig, org, count=8)

        async def deliver() -> int:
            claimed = await claim(rig.other)
            return len(await rig.other.record_attempts([tried(rig, one) for one in claimed]))

        async with asyncio.timeout(20):
            counts, delivered = await asyncio.gather(rig.store.forget(NOW - timedelta(days=1)), deliver())
        assert (counts["deliveries"], delivered) == (30, 8)
