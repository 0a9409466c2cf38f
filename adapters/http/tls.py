"""Whom a secure connection trusts, and what it shows of itself (mutual TLS)."""

import asyncio
import secrets
import ssl
import tempfile
from collections import OrderedDict
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import final

import certifi
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509 import Certificate, load_pem_x509_certificates

from application.ports.outgoing import ClientIdentities, ClientIdentity
from domain.refusals import Invalid

LONGEST_PEM = 64 * 1024
"""Characters; a chain of four RSA certificates has about 8,000."""

_KEPT_CONTEXTS = 128
"""A context holds the trusted authorities, about a megabyte, and takes some 20 ms to make."""


@final
class TlsContexts:
    """The TLS settings of connections, made once for each identity and kept, the last used 128 of them.

    trust: replaces the trust in the usual certificate authorities.
    """

    def __init__(self, trust: ssl.SSLContext | None = None) -> None:
        self._trust = trust
        self._anonymous = trust or _usual_trust()
        self._known: OrderedDict[ClientIdentity, ssl.SSLContext] = OrderedDict()

    async def of(self, identity: ClientIdentity | None) -> ssl.SSLContext:
        """The settings that show this identity. Raises ValueError or ssl.SSLError for one that TLS does not take."""
        if identity is None:
            return self._anonymous
        context = self._known.get(identity)
        if context is None:
            context = await asyncio.to_thread(self._make, identity)
            self._known[identity] = context
            if len(self._known) > _KEPT_CONTEXTS:
                self._known.popitem(last=False)
        self._known.move_to_end(identity)
        return context

    def _make(self, identity: ClientIdentity) -> ssl.SSLContext:
        if self._trust is None:
            context = _new_usual_trust()
        else:
            # A context cannot be copied, so its authorities are.
            context = ssl.create_default_context(cadata=b"".join(self._trust.get_ca_certs(binary_form=True)))
            context.minimum_version = self._trust.minimum_version
        _show(context, identity)
        return context


@final
class TlsIdentities(ClientIdentities):
    """Checks identities with the libraries that will use them."""

    def check(self, identity: ClientIdentity, *, now: datetime, field: str = "client") -> None:
        """Raise Invalid, naming `<field>.certificate` or `<field>.key`, for an identity that could not be used."""
        first = _certificate(identity.certificate, now, f"{field}.certificate")
        key = _key(identity.key, f"{field}.key")
        shape = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if key.public_key().public_bytes(*shape) != first.public_key().public_bytes(*shape):
            raise Invalid.field(
                f"{field}.key",
                "The key does not belong to the certificate. If this is a chain, the client's own certificate comes first.",
            )
        try:
            _show(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), identity)
        except (ssl.SSLError, ValueError) as error:
            raise Invalid.field(
                f"{field}.certificate",
                f"TLS does not take this certificate and key ({_reason(error)}); it may be too weak.",
            ) from error


def _certificate(text: str, now: datetime, field: str) -> Certificate:
    try:
        chain = load_pem_x509_certificates(text.encode()) if len(text) <= LONGEST_PEM else []
    except ValueError:
        chain = []
    if not chain:
        raise Invalid.field(field, "This is no certificate in PEM form (-----BEGIN CERTIFICATE-----).")
    for one in chain:
        if one.not_valid_after_utc <= now:
            raise Invalid.field(field, f"The certificate expired on {one.not_valid_after_utc:%Y-%m-%d}.")
        if one.not_valid_before_utc > now:
            raise Invalid.field(field, f"The certificate is valid only from {one.not_valid_before_utc:%Y-%m-%d}.")
    return chain[0]


def _key(text: str, field: str) -> PrivateKeyTypes:
    if "ENCRYPTED" in text:
        raise Invalid.field(
            field, "The key is encrypted; give it without a pass phrase. It is sealed before it is kept."
        )
    try:
        if len(text) > LONGEST_PEM:
            raise ValueError
        return load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise Invalid.field(field, "This is no private key in PEM form (-----BEGIN PRIVATE KEY-----).") from error


def _show(context: ssl.SSLContext, identity: ClientIdentity) -> None:
    """Let the context present the identity.

    OpenSSL reads it from files only: the key is in one for a moment, encrypted with a pass phrase that is never written.
    """
    phrase = secrets.token_urlsafe(32)
    try:
        key = load_pem_private_key(identity.key.encode(), password=None)
    except TypeError as error:
        raise ValueError("the key is encrypted") from error
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(phrase.encode()))
    with tempfile.TemporaryDirectory(prefix="patchbay-") as folder:
        certificate, file = Path(folder, "certificate.pem"), Path(folder, "key.pem")
        certificate.write_text(identity.certificate)
        file.write_bytes(locked)
        context.load_cert_chain(certificate, file, phrase)


def _reason(error: Exception) -> str:
    return (isinstance(error, ssl.SSLError) and error.reason) or type(error).__name__


@cache
def _usual_trust() -> ssl.SSLContext:
    return _new_usual_trust()


def _new_usual_trust() -> ssl.SSLContext:
    """The machine's certificate authorities (or those of SSL_CERT_FILE) and, for machines without any, certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])  # RFC 7301: a server that prefers HTTP/2 must know that we do not speak it
    return context
