"""Who a client is at a provider, and how they can be charged there."""

from datetime import datetime

import attrs


@attrs.frozen
class CustomerAtProvider:
    """A client as one provider's account knows them: one to one, unique both ways. account: the Account's reference."""

    id: str
    organisation_id: str
    client_id: str
    provider: str
    account: str
    reference: str
    email: str | None
    created_at: datetime
    updated_at: datetime
    gone_at: datetime | None = None
    """When it was found to be deleted at the provider; the next use makes a new one."""
    version: int = 1


@attrs.frozen
class SavedMethod:
    """A way to charge a client that the hub keeps itself, where the provider only hands out a token (Flutterwave).

    sealed: the token, sealed about `method/<id>`. fingerprint: SHA-256 of the token, unique by client and account, so that
    the same card is kept once.
    """

    id: str
    organisation_id: str
    client_id: str
    connection_id: str
    provider: str
    account: str
    sealed: str = attrs.field(repr=False)
    fingerprint: str
    kind: str
    brand: str
    last4: str
    email: str
    created_at: datetime
    updated_at: datetime
    expires_on: str | None = None
    """`2027-09`."""
    is_default: bool = False
    version: int = 1
