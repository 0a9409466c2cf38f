"""Which outside services there are, and how to reach what each can do."""

from abc import abstractmethod
from typing import Protocol, runtime_checkable

from application.ports.message_channel import MessageChannel
from application.ports.payments import PaymentProvider
from domain.connections.provider import Provider


@runtime_checkable
class Providers(Protocol):
    """The providers this hub knows."""

    @abstractmethod
    def all(self) -> tuple[Provider, ...]:
        """Every manifest, by slug."""

    @abstractmethod
    def manifest(self, slug: str) -> Provider:
        """One manifest. Raises domain.refusals.NotFound."""

    @abstractmethod
    def payments(self, slug: str) -> PaymentProvider:
        """What takes payments at this provider. Raises domain.refusals.NotFound when it takes none."""

    @abstractmethod
    def channel(self, slug: str) -> MessageChannel:
        """What posts messages at this provider. Raises domain.refusals.NotFound when it posts none."""
