"""Where secrets are sealed."""

from abc import abstractmethod
from typing import Protocol, runtime_checkable


class WrongKey(Exception):
    """A sealed text cannot be opened: the key ring lacks its key, or it was sealed about something else."""


@runtime_checkable
class Vault(Protocol):
    """Seals short secrets (AES-256-GCM under a key ring, ADR 0008)."""

    @abstractmethod
    def seal(self, secret: str, *, about: str) -> str:
        """Seal; `about` (such as `org_…/con_…`) must be given again to open. Never the same twice."""

    @abstractmethod
    def open(self, sealed: str, *, about: str) -> str:
        """The secret. Raises WrongKey."""
