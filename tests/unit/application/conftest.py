"""The bench that the tests of the use cases share."""

import pytest

from tests.unit.application.bench import Bench


@pytest.fixture
async def bench() -> Bench:
    """An organisation that can be paid."""
    return await Bench().prepare()
