"""What the API shows of providers and connections: which secrets are kept, never what they are."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from domain.connections.abilities import Ability, By, Support
from domain.connections.connection import Connection
from domain.connections.provider import Capability, Provider


class ConnectionView(msgspec.Struct, frozen=True):
    """A connection. `secrets` names which secret fields are kept, never what they are."""

    id: str
    provider: str
    name: str
    status: str
    connected: bool
    live: bool
    account: str | None
    settings: dict[str, str]
    secrets: list[str]
    last_used_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int

    @classmethod
    def of(cls, connection: Connection) -> "ConnectionView":
        return cls(
            connection.id,
            connection.provider,
            connection.name,
            connection.state.value,
            connection.connected,
            connection.live,
            connection.account,
            dict(connection.settings),
            sorted(connection.sealed),
            connection.last_used_at,
            connection.last_error,
            connection.last_error_at,
            connection.created_at,
            connection.updated_at,
            connection.version,
        )


class FieldView(msgspec.Struct, frozen=True):
    """One thing to type to connect."""

    name: str
    label: str
    secret: bool
    required: bool
    default: str | None
    help: str


class SupportView(msgspec.Struct, frozen=True):
    """Who does a thing: `provider`, `hub` (in the provider's stead) or `nobody`; and what is to be known about it."""

    by: str
    note: str


class ProviderView(msgspec.Struct, frozen=True):
    """A provider of the catalogue, and whether the organisation is connected to it.

    `abilities` and `currencies`: of those that take payments; empty for the others.
    """

    slug: str
    name: str
    category: str
    auth: str
    offers: list[str]
    fields: list[FieldView]
    docs: str
    configured: bool
    abilities: dict[str, SupportView]
    currencies: list[str]

    @classmethod
    def of(cls, provider: Provider, configured: bool, currencies: Iterable[str] = ()) -> "ProviderView":
        support = matrix(provider)
        return cls(
            provider.slug,
            provider.name,
            provider.category.value,
            provider.auth.value,
            sorted(c.value for c in provider.offers),
            [FieldView(f.name, f.label, f.secret, f.required, f.default, f.help) for f in provider.fields],
            provider.docs,
            configured,
            {ability.value: SupportView(one.by.value, one.note) for ability, one in support.items()},
            sorted(currencies),
        )


def matrix(provider: Provider) -> Mapping[Ability, Support]:
    """Every ability there is and who does it, for a provider that takes payments; nothing for another."""
    if Capability.PAYMENTS not in provider.offers:
        return {}
    return {ability: provider.abilities.get(ability, _nobody(provider, ability)) for ability in Ability}


def _nobody(provider: Provider, ability: Ability) -> Support:
    return Support(By.NOBODY, f"{provider.name} does not offer {ability.value.replace('_', ' ')}.")
