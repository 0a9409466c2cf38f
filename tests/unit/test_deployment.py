"""The files in deploy/ say what the code does, as far as that can be compared without a machine to deploy to."""

import re
from pathlib import Path
from typing import Any

import attrs
import click
import pytest
import yaml

from entrypoints.cli import main
from entrypoints.settings import PREFIX, Settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
FILES = sorted(path for path in DEPLOY.iterdir() if path.is_file())
UNITS = [path for path in FILES if path.suffix == ".service"]
LONGEST_ATTEMPT_S = 30


def compose() -> dict[str, Any]:
    """The compose file, its anchors resolved."""
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return read


def ours() -> dict[str, dict[str, Any]]:
    """The services that run the hub."""
    return {name: service for name, service in compose()["services"].items() if "build" in service}


def understands(arguments: list[str]) -> bool:
    """Whether the command line has such a command with such options."""
    command: click.Command = main.commands[arguments[0]]
    options = {option for parameter in command.params for option in parameter.opts}
    return set(arguments[1:]) <= options


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_that_is_named_is_one(path: Path) -> None:
    """A setting with a slip of the pen is passed over in silence, if it is far enough from every real one."""
    known = {field.name.upper() for field in attrs.fields(Settings)}
    named = set(re.findall(rf"{PREFIX}([A-Z_]*[A-Z])\b", path.read_text()))
    assert {name for name in named if name.removesuffix("_FILE") not in known} == set()


def test_every_command_that_is_run_is_one() -> None:
    """It would be found out on the machine that was to be the new one."""
    assert set(ours()) == {"hub", "worker", "scheduler"}
    assert all(understands(service["command"]) for service in ours().values())
    for unit in UNITS:
        (line,) = re.findall(r"^ExecStart=/\S+/patchbay (.+)$", unit.read_text(), re.MULTILINE)
        assert understands(line.split())


def test_what_is_under_way_has_the_time_to_finish() -> None:
    """Who is killed in an attempt leaves it to be made twice."""
    for unit in UNITS:
        (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit.read_text(), re.MULTILINE)
        assert int(seconds) > LONGEST_ATTEMPT_S
    for service in ours().values():
        assert int(service["stop_grace_period"].removesuffix("s")) > LONGEST_ATTEMPT_S


def test_no_secret_is_in_an_environment_and_each_that_is_used_is_there() -> None:
    """`docker inspect` shows the environment to everybody in the group."""
    secrets = set(compose()["secrets"])
    for service in compose()["services"].values():
        assert set(service.get("secrets", ())) <= secrets
        for name, value in service.get("environment", {}).items():
            if name.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in service["secrets"]
            assert not re.search(r"PASSWORD$|TOKEN$|RING$|DATABASE_URL$", name)
            assert "@" not in value


def test_the_database_and_the_broker_are_not_published() -> None:
    """The broker asks for no password: whoever reaches it is one of us."""
    services = compose()["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["hub"]
    assert compose()["networks"]["inside"] == {"internal": True}
    assert all(services[name]["networks"] == ["inside"] for name in ("postgres", "nats"))
    assert all(port.startswith("127.0.0.1:") for port in services["hub"]["ports"])


def test_the_image_takes_every_package_by_its_hash_and_runs_as_nobody_special() -> None:
    """What is built tomorrow is what was tested today."""
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"--require-hashes .*-r constraints\.txt", text)
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["10001"]
    installs = re.findall(r"pip install .*", text)
    assert installs
    assert all("--no-index" in one for one in installs)
