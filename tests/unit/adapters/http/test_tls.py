"""Client certificates are refused when they are saved, not when they are needed."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from adapters.http.tls import TlsContexts, TlsIdentities
from application.ports.outgoing import ClientIdentity
from domain.refusals import Invalid
from tests.contract.certificates import Authority

NOW = datetime.now(UTC)
AUTHORITY = Authority()
GOOD = AUTHORITY.identity()
RSA_KEY = (
    rsa.generate_private_key(65537, 2048)
    .private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    .decode()
)


def test_a_good_identity_passes_and_keeps_its_key_to_itself() -> None:
    """Also with its authority's certificates behind its own."""
    TlsIdentities().check(GOOD, now=NOW)
    chain = attrs.evolve(GOOD, certificate=GOOD.certificate + AUTHORITY.identity().certificate)
    TlsIdentities().check(chain, now=NOW)
    assert "PRIVATE KEY" not in repr(GOOD)


@pytest.mark.parametrize(
    ("identity", "at", "field", "reason"),
    [
        (attrs.evolve(GOOD, certificate=""), NOW, "certificate", "no certificate in PEM"),
        (attrs.evolve(GOOD, certificate="x" * 100_000), NOW, "certificate", "no certificate in PEM"),
        (attrs.evolve(GOOD, certificate=GOOD.certificate[:200]), NOW, "certificate", "no certificate in PEM"),
        (attrs.evolve(GOOD, certificate=GOOD.key), NOW, "certificate", "no certificate in PEM"),
        (AUTHORITY.identity(expired=True), NOW, "certificate", "expired on"),
        (GOOD, NOW - timedelta(days=30), "certificate", "valid only from"),
        (attrs.evolve(GOOD, key=""), NOW, "key", "no private key in PEM"),
        (attrs.evolve(GOOD, key=GOOD.certificate), NOW, "key", "no private key in PEM"),
        (attrs.evolve(GOOD, key="\udcff"), NOW, "key", "no private key in PEM"),
        (AUTHORITY.identity(phrase=b"phrase"), NOW, "key", "is encrypted"),
        (attrs.evolve(GOOD, key=AUTHORITY.identity().key), NOW, "key", "does not belong"),
        (attrs.evolve(GOOD, key=RSA_KEY), NOW, "key", "does not belong"),
    ],
)
def test_a_bad_identity_is_refused_by_field(identity: ClientIdentity, at: datetime, field: str, reason: str) -> None:
    """The person who pastes it learns which half is wrong, and the key is not quoted."""
    with pytest.raises(Invalid, match=reason) as caught:
        TlsIdentities().check(identity, now=at, field="mtls")
    assert [fault.field for fault in caught.value.faults] == [f"mtls.{field}"]
    assert "PRIVATE KEY" not in str(caught.value).replace("-----BEGIN PRIVATE KEY-----", "")


async def test_the_settings_of_an_identity_are_made_once() -> None:
    """Making them reads some hundred certificates."""
    contexts = TlsContexts(AUTHORITY.client())
    first = await contexts.of(GOOD)
    assert await contexts.of(ClientIdentity(GOOD.certificate, GOOD.key)) is first
    assert await contexts.of(AUTHORITY.identity()) is not first
    assert await contexts.of(None) is not first
