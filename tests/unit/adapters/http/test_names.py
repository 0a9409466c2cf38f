"""Look-ups share what they can and are not held up by each other."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from adapters.http.names import SystemResolver


async def test_those_who_want_the_same_name_at_once_ask_once() -> None:
    """A thousand deliveries to one endpoint are one question; giving up takes nothing from the others."""
    asked, go = [], threading.Event()

    def ask(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        go.wait(5)
        return ["8.8.8.8"]

    resolve = SystemResolver(ask)
    waiting = [asyncio.create_task(resolve("a.test", 443)) for _ in range(10)]
    await asyncio.sleep(0.02)
    waiting[0].cancel()
    go.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [["8.8.8.8"]] * 9
    assert asked == ["a.test"]
    assert await resolve("a.test", 443) == ["8.8.8.8"]
    assert len(asked) == 2, "an answer is not remembered"


async def test_a_failure_is_remembered_for_a_moment() -> None:
    """A dead name fails quickly for all who try it, not after 5 s each."""
    asked = []

    def ask(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        raise OSError

    resolve = SystemResolver(ask)
    for _ in range(5):
        with pytest.raises(OSError):  # noqa: PT011  # whatever the system says
            await resolve("dead.test", 443)
    assert asked == ["dead.test"]


async def test_a_name_that_hangs_does_not_hold_up_another() -> None:
    """Eight dead name servers, more than the loop has threads on a small machine."""
    go = threading.Event()

    def ask(host: str, _: int) -> Sequence[str]:
        if host.startswith("dead"):
            go.wait(10)
        return ["8.8.8.8"]

    resolve = SystemResolver(ask)
    hanging = [asyncio.create_task(resolve(f"dead{n}.test", 443)) for n in range(8)]
    await asyncio.sleep(0.02)
    async with asyncio.timeout(2):
        assert await resolve("alive.test", 443) == ["8.8.8.8"]
    go.set()
    await asyncio.gather(*hanging)
