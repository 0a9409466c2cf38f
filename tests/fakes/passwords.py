"""Passwords kept quickly, for tests that have no secret to keep."""

import hashlib
from typing import final

from application.ports.passwords import Passwords


@final
class QuickPasswords(Passwords):
    """One round of SHA-256 instead of Argon2id: the same answers, without the tens of milliseconds."""

    async def hash(self, password: str) -> str:
        """What is kept; never the password itself."""
        return "quick$" + hashlib.sha256(password.encode()).hexdigest()

    async def matches(self, password: str, hash: str) -> bool:
        """Whether it is the password."""
        return await self.hash(password) == hash
