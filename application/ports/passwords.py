"""How passwords are kept."""

from abc import abstractmethod
from typing import Protocol


class Passwords(Protocol):
    """Hashes passwords slowly and with salt (Argon2id, RFC 9106)."""

    @abstractmethod
    async def hash(self, password: str) -> str:
        """What is kept."""

    @abstractmethod
    async def matches(self, password: str, hash: str) -> bool:
        """Whether it is the password; takes as long either way."""
