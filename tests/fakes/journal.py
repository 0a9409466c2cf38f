"""A journal that remembers."""

from typing import final

from application.ports.journal import Journal
from domain.inbox import Received
from domain.notifications.attempts import Attempt
from domain.notifications.deliveries import Delivery


@final
class RememberingJournal(Journal):
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.attempts: list[tuple[Delivery, Attempt]] = []
        self.webhooks: list[Received] = []
        self.troubles: list[tuple[str, Exception]] = []

    def tried(self, delivery: Delivery, attempt: Attempt) -> None:
        self.attempts.append((delivery, attempt))

    def handled(self, received: Received) -> None:
        self.webhooks.append(received)

    def troubled(self, doing: str, error: Exception) -> None:
        self.troubles.append((doing, error))
