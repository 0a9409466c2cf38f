"""A certificate authority for a test, and certificates of its making."""

import ssl
import tempfile
import warnings
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from application.ports.outgoing import ClientIdentity


class Authority:
    """Trusted by nobody but `client`."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self._certificate = (
            self._blank(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def client(self) -> ssl.SSLContext:
        """A client that trusts this authority alone."""
        return ssl.create_default_context(cadata=self._certificate.public_bytes(Encoding.PEM).decode())

    def server(self, *hosts: str, expired: bool = False) -> ssl.SSLContext:
        """A server with a certificate for these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host) for host in hosts]
        certificate = (
            self._blank(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test server")]), key, expired)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "server.pem")
            file.write_bytes(
                key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                + certificate.public_bytes(Encoding.PEM)
            )
            context.load_cert_chain(file)
        return context

    def asking_server(self, *hosts: str) -> ssl.SSLContext:
        """A server that lets in only clients with a certificate of this authority."""
        context = self.server(*hosts)
        context.load_verify_locations(cadata=self._certificate.public_bytes(Encoding.PEM).decode())
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def old_server(self, *hosts: str) -> ssl.SSLContext:
        """A server that speaks TLS 1.0 and nothing newer."""
        context = self.server(*hosts)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
        return context

    def identity(self, *, expired: bool = False, phrase: bytes | None = None) -> ClientIdentity:
        """A certificate for a client, and its key, encrypted if there is a pass phrase."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test client")])
        certificate = (
            self._blank(name, key, expired)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        locked = BestAvailableEncryption(phrase) if phrase else NoEncryption()
        return ClientIdentity(
            certificate.public_bytes(Encoding.PEM).decode(),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked).decode(),
        )

    def _blank(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, expired: bool = False
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=-1 if expired else 1))
        )
