"""Where it is noted, for whoever runs the hub, what the workers do. Never a body, a URL or a secret."""

from abc import abstractmethod
from typing import Protocol

from domain.inbox import Received
from domain.notifications.attempts import Attempt
from domain.notifications.deliveries import Delivery


class Journal(Protocol):
    """Notes what happened; it never fails."""

    @abstractmethod
    def tried(self, delivery: Delivery, attempt: Attempt) -> None:
        """A delivery was tried; this is what it became."""

    @abstractmethod
    def handled(self, received: Received) -> None:
        """A provider's webhook was handled, ignored, or could not be handled now."""

    @abstractmethod
    def troubled(self, doing: str, error: Exception) -> None:
        """A worker could not do something, and will try again."""
