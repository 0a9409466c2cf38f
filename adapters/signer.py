"""Ed25519 by the library `cryptography`, which calls OpenSSL."""

from collections.abc import Callable
from typing import final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from application.ports.signer import Signer


@final
class Ed25519Signer(Signer):
    """Pure Ed25519 (RFC 8032, section 5.1.6): the content is not hashed beforehand."""

    def public_key(self, seed: bytes) -> bytes:
        """The 32 bytes of the public key. Raises ValueError."""
        return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()

    def signing(self, seed: bytes) -> Callable[[bytes], bytes]:
        """What signs. Raises ValueError."""
        return Ed25519PrivateKey.from_private_bytes(seed).sign
