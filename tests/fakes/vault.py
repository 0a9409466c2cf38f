"""A vault whose sealed texts a test can read."""

import json
from typing import final

from application.ports.vault import Vault, WrongKey


@final
class PlainVault(Vault):
    """Hides nothing; keeps the rules of the port. A sealed text is JSON: a mark, a count, `about`, the secret."""

    def __init__(self) -> None:
        self._count = 0

    def seal(self, secret: str, *, about: str) -> str:
        """Write it down; never the same twice."""
        self._count += 1
        return json.dumps(["plain", self._count, about, secret])

    def open(self, sealed: str, *, about: str) -> str:
        """The secret. Raises WrongKey for another `about`, and for what another vault sealed."""
        try:
            mark, _, sealed_about, secret = json.loads(sealed)
        except ValueError as error:
            raise WrongKey("This is not a sealed text of this vault.") from error
        if (mark, sealed_about) != ("plain", about) or not isinstance(secret, str):
            raise WrongKey("This was sealed about something else.")
        return secret
