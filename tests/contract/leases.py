"""What every way of holding leases must do. A test of one subclasses this and gives a `rig` fixture."""

import asyncio
from datetime import timedelta

import attrs
import pytest

from application.ports.leases import Held, Leases
from tests.fakes.clock import FrozenClock

MINUTE = timedelta(minutes=1)


@attrs.define
class LeasesRig:
    """Leases under test. `other` is another process's."""

    leases: Leases
    other: Leases
    clock: FrozenClock


class LeasesContract:
    """The suite."""

    async def test_a_lease_has_one_holder(self, rig: LeasesRig) -> None:
        """In this process or another; the text says which lease it is."""
        async with rig.leases.hold("job", for_=MINUTE):
            for leases in (rig.leases, rig.other):
                with pytest.raises(Held, match="job"):
                    await leases.hold("job", for_=MINUTE).__aenter__()

    async def test_leases_of_other_names_are_free(self, rig: LeasesRig) -> None:
        """Two payments are worked on at once. A name may be long: it can hold a provider's ids."""
        async with rig.leases.hold("a" * 600, for_=MINUTE), rig.other.hold("a" * 599 + "b", for_=MINUTE):
            pass

    async def test_leaving_the_block_frees_the_lease(self, rig: LeasesRig) -> None:
        """The next one need not wait for it to run out."""
        for leases in (rig.leases, rig.other, rig.leases):
            async with leases.hold("job", for_=MINUTE):
                pass

    async def test_an_error_frees_the_lease(self, rig: LeasesRig) -> None:
        """What failed may be tried again at once."""

        async def fail() -> None:
            async with rig.leases.hold("job", for_=MINUTE):
                raise KeyError("x")

        with pytest.raises(KeyError):
            await fail()
        async with rig.other.hold("job", for_=MINUTE):
            pass

    async def test_a_cancelled_holder_frees_the_lease(self, rig: LeasesRig) -> None:
        """A client that hangs up does not lock its payment for minutes."""
        held = asyncio.Event()

        async def hang() -> None:
            async with rig.leases.hold("job", for_=MINUTE):
                held.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(hang())
        await held.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5), rig.other.hold("job", for_=MINUTE):
            pass

    async def test_a_lease_runs_out(self, rig: LeasesRig) -> None:
        """Its holder may have died; and not a moment before."""
        async with rig.leases.hold("job", for_=MINUTE):
            rig.clock.advance(MINUTE - timedelta(microseconds=1))
            with pytest.raises(Held):
                await rig.other.hold("job", for_=MINUTE).__aenter__()
            rig.clock.advance(timedelta(microseconds=1))
            async with rig.other.hold("job", for_=MINUTE):
                pass

    async def test_a_late_holder_does_not_free_its_successors_lease(self, rig: LeasesRig) -> None:
        """It was only slow, and comes back after its time."""
        late, successor = rig.leases.hold("job", for_=MINUTE), rig.other.hold("job", for_=MINUTE)
        await late.__aenter__()
        rig.clock.advance(2 * MINUTE)
        await successor.__aenter__()
        await late.__aexit__(None, None, None)
        with pytest.raises(Held):
            await rig.leases.hold("job", for_=MINUTE).__aenter__()
        await successor.__aexit__(None, None, None)

    async def test_whoever_waits_gets_the_lease_when_it_is_free(self, rig: LeasesRig) -> None:
        """Two clicks at once: the second goes on where the first ended."""
        told: list[str] = []

        async def second() -> None:
            async with rig.other.hold("job", for_=MINUTE, wait=timedelta(seconds=10)):
                told.append("second")

        async with rig.leases.hold("job", for_=MINUTE):
            task = asyncio.create_task(second())
            await asyncio.sleep(0.1)
            told.append("first")
        async with asyncio.timeout(5):
            await task
        assert told == ["first", "second"]

    async def test_waiting_ends_in_time(self, rig: LeasesRig) -> None:
        """Even if the clock stands still."""
        loop = asyncio.get_running_loop()
        async with rig.leases.hold("job", for_=MINUTE), asyncio.timeout(5):
            began = loop.time()
            with pytest.raises(Held):
                await rig.other.hold("job", for_=MINUTE, wait=timedelta(seconds=0.15)).__aenter__()
            assert loop.time() - began >= 0.14

    async def test_of_many_at_once_one_is_inside(self, rig: LeasesRig) -> None:
        """From two processes; everyone has their turn."""
        inside = most = turns = 0

        async def take(leases: Leases) -> None:
            nonlocal inside, most, turns
            async with leases.hold("job", for_=MINUTE, wait=timedelta(seconds=20)):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.002)
                inside -= 1
                turns += 1

        async with asyncio.timeout(25):
            await asyncio.gather(*(take(rig.other if n % 2 else rig.leases) for n in range(12)))
        assert (most, turns) == (1, 12)

    async def test_of_several_those_that_are_free_are_held(self, rig: LeasesRig) -> None:
        """Many payments are settled together; the one that somebody else works on is left out."""
        async with rig.other.hold("b", for_=MINUTE):
            async with rig.leases.hold_free(["a", "b", "c", "a"], for_=MINUTE) as held:
                assert held == {"a", "c"}
                for name in ("a", "b", "c"):
                    with pytest.raises(Held):
                        await rig.other.hold(name, for_=MINUTE).__aenter__()
            async with rig.other.hold("a", for_=MINUTE):
                pass
            with pytest.raises(Held):
                await rig.leases.hold("b", for_=MINUTE).__aenter__()

    async def test_an_error_frees_all_of_them(self, rig: LeasesRig) -> None:
        """They are then settled one by one."""

        async def fail() -> None:
            async with rig.leases.hold_free(["a", "b"], for_=MINUTE):
                raise KeyError("x")

        with pytest.raises(KeyError):
            await fail()
        async with rig.other.hold_free(["a", "b"], for_=MINUTE) as held:
            assert held == {"a", "b"}
