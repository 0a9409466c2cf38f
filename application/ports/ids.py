"""Ids and randomness come in through a port, so that a test can foretell them."""

from abc import abstractmethod
from typing import Protocol, runtime_checkable


@runtime_checkable
class Ids(Protocol):
    """Makes identifiers and secrets."""

    @abstractmethod
    def new(self, kind: str) -> str:
        """A new sortable id with the prefix of its kind (domain/ids.py)."""

    @abstractmethod
    def token(self, bytes_: int = 24) -> str:
        """An unguessable URL-safe text of at least `bytes_` random bytes."""

    @abstractmethod
    def randomness(self, bytes_: int) -> bytes:
        """Raw random bytes."""

    @abstractmethod
    def jitter(self) -> float:
        """A random number in [-1, 1], for spreading retries."""
