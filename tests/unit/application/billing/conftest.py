"""Whatever a test of billing does, the books agree at its end."""

from collections.abc import AsyncIterator

import pytest

from tests.books import assert_books
from tests.unit.application.bench import Bench


@pytest.fixture
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """An organisation that can be paid, and whose books agree afterwards, unless the test writes by hand."""
    bench = await Bench().prepare()
    yield bench
    if not request.node.get_closest_marker("writes_by_hand"):
        await assert_books(bench.store, bench.org)
