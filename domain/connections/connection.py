"""A connection: one organisation's account at one provider."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum

import attrs

from domain.refusals import Conflict, Invalid


class ConnectionState(Enum):
    """Whether a connection can be used."""

    CONNECTED = "connected"
    FAILING = "failing"
    """The provider refused the credentials, or its last answer was an error; a person should look."""
    PAUSED = "paused"
    """Switched off by a person."""
    DISCONNECTED = "disconnected"
    """Its credentials are forgotten; the row stays because payments and deliveries name it."""


@attrs.frozen
class Connection:
    """One organisation's account at one provider. settings: what may be shown. sealed: the secret fields, each sealed."""

    id: str
    organisation_id: str
    provider: str
    name: str
    settings: Mapping[str, str]
    sealed: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    live: bool = True
    state: ConnectionState = ConnectionState.CONNECTED
    account: str | None = None
    last_used_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None
    webhook_reference: str | None = None
    account_reference: str | None = None
    """The account's id at the provider (payment providers): what customers, plans and payments there belong to."""
    version: int = 1

    def __attrs_post_init__(self) -> None:
        checked_name(self.name)

    @property
    def connected(self) -> bool:
        """Whether it may be used."""
        return self.state in (ConnectionState.CONNECTED, ConnectionState.FAILING)

    def worked(self, now: datetime, account: str | None = None, account_reference: str | None = None) -> "Connection":
        """The provider answered as it should."""
        state = ConnectionState.CONNECTED if self.state is ConnectionState.FAILING else self.state
        return attrs.evolve(
            self,
            state=state,
            account=account or self.account,
            account_reference=account_reference or self.account_reference,
            last_used_at=now,
            last_error=None if state is ConnectionState.CONNECTED else self.last_error,
        )

    def failed(self, error: str, now: datetime) -> "Connection":
        """The provider refused the credentials."""
        state = ConnectionState.FAILING if self.state is ConnectionState.CONNECTED else self.state
        return attrs.evolve(self, state=state, last_error=error, last_error_at=now, updated_at=now)

    def switched(self, on: bool, now: datetime) -> "Connection":
        """Switched on or off by a person."""
        if on and self.state is ConnectionState.DISCONNECTED:
            raise Conflict("The connection was disconnected and its credentials are forgotten; connect again.")
        state = ConnectionState.CONNECTED if on else ConnectionState.PAUSED
        return self if on == self.connected else attrs.evolve(self, state=state, updated_at=now)

    def disconnected(self, now: datetime) -> "Connection":
        """Its credentials forgotten."""
        return attrs.evolve(self, state=ConnectionState.DISCONNECTED, sealed={}, updated_at=now)

    @property
    def body(self) -> dict[str, object]:
        """What events say of it."""
        return {
            "id": self.id,
            "provider": self.provider,
            "name": self.name,
            "status": self.state.value,
            "last_error": self.last_error,
        }


def checked_name(name: str) -> str:
    """The name, if it can be one. Raises Invalid."""
    if not name.strip() or len(name) > 200:
        raise Invalid.field("name", "A name has 1 to 200 characters.")
    return name
