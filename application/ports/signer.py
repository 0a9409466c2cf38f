"""Signatures that others check with a public key: Ed25519 (RFC 8032)."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol, runtime_checkable


@runtime_checkable
class Signer(Protocol):
    """Ed25519 over a seed of 32 random bytes, which is the private key."""

    @abstractmethod
    def public_key(self, seed: bytes) -> bytes:
        """The 32 bytes of the public key. Raises ValueError for a seed of another length."""

    @abstractmethod
    def signing(self, seed: bytes) -> Callable[[bytes], bytes]:
        """What signs: content in, 64 bytes out, the same each time. Raises ValueError for a seed of another length.

        Keep it: making it costs as much as a signature.
        """
