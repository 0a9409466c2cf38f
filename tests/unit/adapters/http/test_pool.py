"""Connections wait for seconds, in limited number, and no longer than they are good for."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from adapters.http import pool as pools
from adapters.http.connection import Connection
from adapters.http.pool import IDLE_IN_ALL, IDLE_PER_PLACE, Pool


class Wire(asyncio.Transport):
    """A transport that leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = False

    def is_closing(self) -> bool:
        return self.gone

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.gone = True


def answered(age: float = 0.0) -> Connection:
    """A connection that has just brought an answer."""
    connection = Connection(asyncio.get_running_loop(), "a.test", 1.0)
    connection.connection_made(Wire())
    connection.answer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    connection.made -= age
    return connection


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    """An empty one."""
    made = Pool(asyncio.get_running_loop())
    yield made
    made.close()


async def test_the_one_used_last_goes_out_first(pool: Pool) -> None:
    """So that the others can grow old."""
    one, two = answered(), answered()
    pool.put("a", one)
    pool.put("a", two)
    assert pool.take("b") is None
    assert [pool.take("a"), pool.take("a"), pool.take("a")] == [two, one, None]


@pytest.mark.parametrize("spoil", [Connection.close, Connection.eof_received, lambda one: one.connection_lost(None)])
async def test_a_closed_connection_is_not_handed_out(pool: Pool, spoil: Callable[[Connection], None]) -> None:
    """However it was closed."""
    connection = answered()
    pool.put("a", connection)
    spoil(connection)
    assert pool.take("a") is None
    assert pool.idle == 0


async def test_a_connection_of_a_minute_is_not_kept(pool: Pool) -> None:
    """A name that moved is noticed."""
    old = answered(age=pools.LIFE_SECONDS + 1)
    pool.put("a", old)
    assert (pool.take("a"), old.closed) == (None, True)


async def test_a_connection_that_waited_too_long_is_not_handed_out(pool: Pool) -> None:
    """The server is about to drop it."""
    connection = answered()
    pool.put("a", connection)
    connection.idle_since -= pools.IDLE_SECONDS + 0.1
    assert (pool.take("a"), connection.closed) == (None, True)


async def test_what_waits_too_long_is_closed_though_nobody_asks(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that is never called again holds nothing."""
    monkeypatch.setattr(pools, "_SWEEP_SECONDS", 0.01)
    old, new = answered(), answered()
    pool.put("a", old)
    pool.put("b", new)
    old.idle_since -= pools.IDLE_SECONDS + 0.1
    await asyncio.sleep(0.05)
    assert (old.closed, new.closed, pool.idle) == (True, False, 1)


async def test_the_number_that_wait_is_bounded_for_a_place_and_in_all(pool: Pool) -> None:
    """File descriptors are few; the longest idle go."""
    many = [answered() for _ in range(IDLE_PER_PLACE + 1)]
    for connection in many:
        pool.put("a", connection)
    assert (pool.idle, many[-1].closed) == (IDLE_PER_PLACE, True)
    for n in range(IDLE_IN_ALL):
        pool.put(n, answered())
    assert pool.idle == IDLE_IN_ALL
    assert all(connection.closed for connection in many)


async def test_a_closed_pool_keeps_nothing(pool: Pool) -> None:
    """What comes back late is closed as well."""
    early, late = answered(), answered()
    pool.put("a", early)
    pool.close()
    pool.put("a", late)
    assert (early.closed, late.closed, pool.idle) == (True, True, 0)
