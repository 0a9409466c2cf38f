"""How the sandbox signs its webhooks: an authority and a certificate of its own, made when they are first needed."""

import base64
import zlib
from datetime import datetime, timedelta

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOST = "messageverificationcerts.sandbox.paypal.com"


@attrs.frozen
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: RSAPrivateKey = attrs.field(repr=False)

    @property
    def pem(self) -> bytes:
        """The certificate as a file."""
        return self.certificate.public_bytes(Encoding.PEM)

    def sign(self, message: bytes) -> str:
        """RSA with SHA-256, base64."""
        return base64.b64encode(self.key.sign(message, PKCS1v15(), SHA256())).decode()


def authority(now: datetime) -> Issued:
    """A root of its own, good for a year either way."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    name = _name("Sandbox authority")
    year = timedelta(days=365)
    built = (
        _begun(name, name, key, now - year, now + year)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Issued(built.sign(key, SHA256()), key)


def issue(
    root: Issued,
    now: datetime,
    host: str = HOST,
    lasts: timedelta = timedelta(days=90),
    age: timedelta = timedelta(days=30),
) -> Issued:
    """A certificate for signing webhooks, made `age` ago."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    built = (
        _begun(_name(host), root.certificate.subject, key, now - age, now - age + lasts)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key()),
            critical=False,
        )
    )
    return Issued(built.sign(root.key, SHA256()), key)


def headers(signer: Issued, url: str, id: str, at: datetime, webhook_id: str, body: bytes) -> dict[str, str]:
    """What goes with a webhook."""
    time = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    message = f"{id}|{time}|{webhook_id}|{zlib.crc32(body)}".encode()
    return {
        "Paypal-Transmission-Id": id,
        "Paypal-Transmission-Time": time,
        "Paypal-Transmission-Sig": signer.sign(message),
        "Paypal-Cert-Url": url,
        "Paypal-Auth-Algo": "SHA256withRSA",
    }


def _name(host: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])


def _begun(
    subject: x509.Name, issuer: x509.Name, key: RSAPrivateKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
