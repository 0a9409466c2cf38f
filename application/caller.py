"""Who asks."""

import attrs


@attrs.frozen
class Caller:
    """The organisation that is asked for, and who asks: `key:<name>`, `user:<e-mail>` or `hub`."""

    organisation_id: str
    actor: str


def hub(organisation_id: str) -> Caller:
    """The hub itself, on its own initiative."""
    return Caller(organisation_id, "hub")
