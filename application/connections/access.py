"""Open a connection's credentials, for as long as one call takes."""

from collections.abc import Mapping

from application.ports.store import Work
from application.ports.vault import Vault
from domain.connections.connection import Connection, ConnectionState
from domain.refusals import Conflict, NotFound


def about(connection_id: str, organisation_id: str, field: str) -> str:
    """What a connection's secret field is sealed about."""
    return f"{organisation_id}/{connection_id}/{field}"


def opened(vault: Vault, connection: Connection) -> Mapping[str, str]:
    """Settings and secrets together, secrets opened."""
    secrets = {
        field: vault.open(sealed, about=about(connection.id, connection.organisation_id, field))
        for field, sealed in connection.sealed.items()
    }
    return {**connection.settings, **secrets}


async def usable(work: Work, name: str) -> Connection:
    """The connection with this id, or the only one to this provider. Raises NotFound, or Conflict when several match."""
    if name.startswith("con_"):
        connection = await work.connections.get(name)
        if connection.state is ConnectionState.DISCONNECTED:
            raise NotFound("connection", name)
        return connection
    found = await live(work, name)
    if not found:
        raise NotFound("connection to", name)
    if len(found) > 1:
        names = ", ".join(f"{c.id} ({c.name})" for c in found)
        raise Conflict(f"There are several connections to {name}; name one by its id: {names}.")
    return found[0]


async def live(work: Work, provider: str) -> tuple[Connection, ...]:
    """The connections to one provider that were not disconnected, oldest first."""
    found = await work.connections.all(provider=provider)
    return tuple(c for c in found if c.state is not ConnectionState.DISCONNECTED)


async def standing_in(work: Work, connection_id: str) -> Connection:
    """The connection, or when it was disconnected a later one to the same account at the provider."""
    connection = await work.connections.get(connection_id)
    if connection.state is not ConnectionState.DISCONNECTED or connection.account is None:
        return connection
    later = [c for c in await live(work, connection.provider) if c.connected and same_account(c, connection)]
    return later[-1] if later else connection


def same_account(one: Connection, other: Connection) -> bool:
    """Whether both lead to the same account; by its name where a connection is older than the id's being kept."""
    if one.account_reference is not None and other.account_reference is not None:
        return one.account_reference == other.account_reference
    return one.account is not None and one.account == other.account
