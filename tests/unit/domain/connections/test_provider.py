"""The manifest reads what a person typed to connect, and keeps secrets apart."""

import attrs
import pytest

from domain.connections.provider import AuthKind, Capability, Category, Field, Provider
from domain.refusals import Invalid

ACME = Provider(
    "acme",
    "Acme Pay",
    Category.PAYMENTS,
    AuthKind.API_KEY,
    frozenset((Capability.PAYMENTS,)),
    (
        Field("secret_key", "Secret key", secret=True, prefixes=("sk_test_", "sk_live_")),
        Field("region", "Region", default="eu"),
        Field("callback", "Callback address", url=True, required=False),
        Field("label", "Label", required=False),
    ),
    docs="connect-acme.md",
    live_marker=("secret_key", "sk_live_"),
)


def faults(given: dict[str, str | None]) -> dict[str, str]:
    """What is wrong, by field."""
    with pytest.raises(Invalid) as refused:
        ACME.read(given)
    return {fault.field: fault.reason for fault in refused.value.faults}


def test_what_was_typed_is_sorted_into_settings_and_secrets() -> None:
    """Secrets are sealed; settings may be shown."""
    settings, secrets = ACME.read({"secret_key": " sk_test_1 ", "callback": "https://acme.example/x", "label": None})
    assert settings == {"region": "eu", "callback": "https://acme.example/x"}
    assert secrets == {"secret_key": "sk_test_1"}


def test_a_default_stands_in_for_what_was_left_empty() -> None:
    """Not for what was typed."""
    assert ACME.read({"secret_key": "sk_test_1", "region": ""})[0]["region"] == "eu"
    assert ACME.read({"secret_key": "sk_test_1", "region": "us"})[0]["region"] == "us"


def test_everything_wrong_is_named_at_once_in_the_forms_own_words() -> None:
    """A person mends the form in one go."""
    assert faults({"region": "us", "callback": "acme.example", "colour": "red"}) == {
        "secret_key": "Secret key is needed.",
        "callback": "Callback address is an http(s) address.",
        "colour": "Acme Pay has no such field.",
    }


def test_a_secret_of_another_sort_is_refused_without_being_repeated() -> None:
    """The publishable key in the place of the secret one is the usual mistake; an error text ends up in logs."""
    reason = faults({"secret_key": "pk_test_51Hunter2"})["secret_key"]
    assert reason == "Secret key begins with sk_test_ or sk_live_."


@pytest.mark.parametrize("address", ["ftp://acme.example", "https://", "//acme.example", "javascript:alert(1)"])
def test_only_web_addresses_are_addresses(address: str) -> None:
    """They will be called."""
    assert set(faults({"secret_key": "sk_test_1", "callback": address})) == {"callback"}


def test_an_address_that_cannot_be_parsed_is_refused_too() -> None:
    """A missing bracket is the person's mistake, not the hub's failure."""
    assert set(faults({"secret_key": "sk_test_1", "callback": "https://[acme.example/"})) == {"callback"}


def test_live_credentials_are_told_from_test_ones() -> None:
    """The console warns before real money moves; without a marker it always does."""
    assert ACME.is_live({"secret_key": "sk_live_1"})
    assert not ACME.is_live({"secret_key": "sk_test_1"})
    assert attrs.evolve(ACME, live_marker=None).is_live({})
