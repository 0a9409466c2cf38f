"""The tests of this folder run on a loop whose time is virtual: an hour of waiting costs nothing."""

import asyncio
from collections.abc import Callable, Mapping

from tests.simulation.loop import VirtualLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """What pytest-asyncio makes its loops with."""
    return {"virtual": VirtualLoop}
