"""The composition root: whatever the hub can do is put together here, and can be."""

import importlib
import importlib.metadata
import inspect
import pkgutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import application
from adapters.persistence.migrate import migrate
from adapters.vault import KeyRing
from application.delivery.dispatcher import Dispatcher
from application.delivery.handover import Handover
from application.delivery.held import HeldLane
from application.delivery.places import Places
from application.delivery.recorder import Recorder
from application.delivery.tenure import Tenure
from application.notifications.carry import ToEndpoint
from application.ports.clock import Clock
from application.ports.store import Store
from entrypoints.settings import Settings
from entrypoints.wiring import GIVEN, JOBS, USE_CASES, Hub, WrongKeyFile

RING = KeyRing.new()

MADE_BY_OTHERS = {
    Dispatcher: "each worker makes its own, with DeliverDue.dispatcher(): it holds lanes in memory",
    HeldLane: "a lane in a Dispatcher's memory; a value with a few private fields, no ports",
    Places: "a Dispatcher's own: a count in memory",
    Recorder: "a Dispatcher's own, as is its Tenure",
    Tenure: "a Dispatcher's own",
    ToEndpoint: "Carry makes one for each endpoint that is carried to",
    Handover: "an instance of the container: what Intake and the Dispatcher of one process share",
}
"""Classes with private fields that nobody asks the container to make, and why."""


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    """A hub with its own folder, whose database nobody has made yet."""
    opened = Hub.open(Settings.read({"PATCHBAY_DATA_DIR": str(tmp_path)}), RING)
    yield opened
    await opened.close()


@pytest.mark.parametrize("kind", USE_CASES, ids=lambda kind: kind.__name__)
def test_every_use_case_can_be_put_together(hub: Hub, kind: type[Any]) -> None:
    """A port without an adapter is found here, not by the first user of the use case."""
    made = hub.resolve(kind)
    assert isinstance(made, kind)
    for name, hint in get_type_hints(kind).items():
        if name.startswith("_"):
            assert getattr(made, name) is not None, f"{kind.__name__} got nothing for {name} ({hint})"


def test_every_use_case_is_named_once() -> None:
    """And is a class whose fields are its ports."""
    assert len(set(USE_CASES)) == len(USE_CASES)
    assert set(JOBS) <= set(USE_CASES)


def test_no_use_case_is_forgotten() -> None:
    """Every class of the application that can be called, or keeps ports in private fields, is in one of the lists."""
    found: set[type[Any]] = set()
    for module in pkgutil.walk_packages(application.__path__, "application."):
        if ".ports" in module.name:
            continue
        members = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
        found.update(
            kind
            for _, kind in members
            if kind.__module__ == module.name
            and any(attribute.name.startswith("_") for attribute in getattr(kind, "__attrs_attrs__", ()))
        )
    assert found - set(USE_CASES) == set(MADE_BY_OTHERS)


def test_everything_shares_one_of_each(hub: Hub) -> None:
    """Two stores would announce to two queues, two clocks tell two times."""
    for port in GIVEN:
        assert hub.resolve(port) is hub.resolve(port)
    clock = hub.resolve(Clock)  # type: ignore[type-abstract]
    for kind in USE_CASES:
        if "_clock" in get_type_hints(kind):
            assert hub.resolve(kind)._clock is clock


async def test_a_start_with_another_key_ring_is_stopped(tmp_path: Path) -> None:
    """Before anything is sealed that the next start cannot open; the text says what to do."""
    settings = Settings.read({"PATCHBAY_DATA_DIR": str(tmp_path)})
    first, again, other = Hub.open(settings, RING), Hub.open(settings, RING), Hub.open(settings, KeyRing.new())
    await migrate(first.database)
    await first.check_keys()
    await again.check_keys()
    with pytest.raises(WrongKeyFile, match="Put the right key file back"):
        await other.check_keys()
    canary = await first.resolve(Store).marked("vault-canary")  # type: ignore[type-abstract]
    assert canary is not None
    for hub in (first, again, other):
        await hub.close()


def test_no_other_distribution_brings_a_package_of_our_names() -> None:
    """They are plain words: a dependency with a top-level package `domain` would be imported instead, or replaced."""
    provided = importlib.metadata.packages_distributions()
    for package in ("domain", "application", "adapters", "entrypoints"):
        assert set(provided.get(package, ())) <= {"patchbay"}, package
