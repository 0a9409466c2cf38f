"""The transport keeps its contract on uvloop, whose transports, timers and TLS are not asyncio's."""

import asyncio
import ssl

import uvloop

from adapters.http.guard import AddressGuard
from adapters.http.outgoing import GuardedOutgoing
from application.ports.outgoing import Outgoing
from tests.contract.outgoing_wire import WireContract


class TestGuardedOutgoingOnUvloop(WireContract):
    """The one that is in use."""

    def make(self, guard: AddressGuard, tls: ssl.SSLContext | None = None) -> Outgoing:
        return GuardedOutgoing(guard, tls=tls)

    async def dispose(self, outgoing: Outgoing) -> None:
        assert isinstance(outgoing, GuardedOutgoing)
        await outgoing.aclose()

    async def test_the_loop_is_uvloop(self) -> None:
        """Else all of this would prove nothing new."""
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
