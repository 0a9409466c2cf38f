"""The scene that these tests share."""

import pytest

from tests.unit.application.billing.subscriptions.scene import Scene


@pytest.fixture
async def scene() -> Scene:
    """A client and a plan, at both kinds of provider."""
    return await Scene().prepare()
