"""The manifest of a provider: one typed value that drives its connect form, its catalogue entry and its checks."""

from collections.abc import Mapping
from enum import Enum
from urllib.parse import urlsplit

import attrs

from domain.connections.abilities import Ability, Support
from domain.refusals import Fault, Invalid


class Capability(Enum):
    """What a provider can do for the hub; each is a port of the application's."""

    PAYMENTS = "payments"
    MESSAGES = "messages"
    MAIL = "mail"


class Category(Enum):
    """The shelf of the catalogue a provider stands on."""

    PAYMENTS = "payments"
    NOTICES = "notices"
    MAIL = "mail"


class AuthKind(Enum):
    """How a connection is made."""

    API_KEY = "api_key"
    WEBHOOK_URL = "webhook_url"
    SERVER = "server"


@attrs.frozen
class Field:
    """One thing a person types to connect.

    secret: sealed, never shown again. url: an http(s) address, checked by the guard. prefixes: it begins with one.
    choices: it is one of these.
    """

    name: str
    label: str
    secret: bool = False
    required: bool = True
    url: bool = False
    prefixes: tuple[str, ...] = ()
    default: str | None = None
    help: str = ""
    choices: tuple[str, ...] = ()


@attrs.frozen
class Provider:
    """One outside service the hub can be connected to."""

    slug: str
    name: str
    category: Category
    auth: AuthKind
    offers: frozenset[Capability]
    fields: tuple[Field, ...]
    docs: str
    """The page under docs/ that tells how to get keys."""
    targets: tuple[str, ...] = ()
    """What a notification through it may name beside the connection, such as `to` (mail addresses) or `thread_id`."""
    receives_webhooks: bool = False
    abilities: Mapping[Ability, Support] = attrs.field(factory=dict, hash=False)
    """For a payment provider: what it can do, what the hub does in its stead; what is not named, nobody does."""
    live_marker: tuple[str, str] | None = None
    """(field, text within it) that tells a live connection from a test one: ("secret_key", "_live_"), ("mode", "live")."""

    def read(self, given: Mapping[str, str | None]) -> tuple[dict[str, str], dict[str, str]]:
        """Sort what was typed into (settings, secrets). Raises Invalid naming every field that is wrong."""
        faults: list[Fault] = [
            Fault(name, f"{self.name} has no such field.")
            for name in given
            if name not in {f.name for f in self.fields}
        ]
        settings: dict[str, str] = {}
        secrets: dict[str, str] = {}
        for field in self.fields:
            value = (given.get(field.name) or field.default or "").strip()
            if not value:
                if field.required:
                    faults.append(Fault(field.name, f"{field.label} is needed."))
                continue
            if field.prefixes and not value.startswith(field.prefixes):
                faults.append(Fault(field.name, f"{field.label} begins with {' or '.join(field.prefixes)}."))
                continue
            if field.choices and value not in field.choices:
                faults.append(Fault(field.name, f"{field.label} is one of {', '.join(field.choices)}."))
                continue
            if field.url and not _is_http(value):
                faults.append(Fault(field.name, f"{field.label} is an http(s) address."))
                continue
            (secrets if field.secret else settings)[field.name] = value
        if faults:
            raise Invalid(*faults)
        return settings, secrets

    def is_live(self, fields: Mapping[str, str]) -> bool:
        """Whether real money or real people are at the other end."""
        if self.live_marker is None:
            return True
        field, text = self.live_marker
        return text in fields.get(field, "")


def _is_http(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
