"""The transport keeps the contract of the port Outgoing."""

import ssl

from adapters.http.guard import AddressGuard
from adapters.http.outgoing import GuardedOutgoing
from application.ports.outgoing import Outgoing
from tests.contract.outgoing import OutgoingContract


class TestGuardedOutgoing(OutgoingContract):
    """The one that is in use."""

    def make(self, guard: AddressGuard, tls: ssl.SSLContext | None = None) -> Outgoing:
        return GuardedOutgoing(guard, tls=tls)

    async def dispose(self, outgoing: Outgoing) -> None:
        assert isinstance(outgoing, GuardedOutgoing)
        await outgoing.aclose()
