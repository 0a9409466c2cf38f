"""Passwords hashed with Argon2id, in a thread: a hash takes tens of milliseconds on purpose (RFC 9106)."""

import asyncio
from typing import final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from application.ports.passwords import Passwords


@final
class ArgonPasswords(Passwords):
    """Argon2id with the library's recommended cost."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()

    async def hash(self, password: str) -> str:
        return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, password: str, hash: str) -> bool:
        try:
            return await asyncio.to_thread(self._hasher.verify, hash, password)
        except (VerificationError, InvalidHashError):
            return False
