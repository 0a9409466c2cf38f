"""What every signer must do. A signer's own test subclasses SignerContract and says how to make one."""

from abc import ABC, abstractmethod

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application.ports.signer import Signer

# RFC 8032, section 7.1: seed, public key, message, signature.
VECTORS = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
)

several = settings(max_examples=25, suppress_health_check=[HealthCheck.differing_executors], deadline=None)
seeds = st.binary(min_size=32, max_size=32)


class SignerContract(ABC):
    """The suite."""

    @abstractmethod
    def make(self) -> Signer:
        """A signer under test."""

    @pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS)
    def test_the_vectors_of_the_rfc_pass(self, seed: str, public: str, message: str, signature: str) -> None:
        """Ed25519 has one right answer."""
        signer = self.make()
        assert signer.public_key(bytes.fromhex(seed)).hex() == public
        assert signer.signing(bytes.fromhex(seed))(bytes.fromhex(message)).hex() == signature

    @several
    @given(seed=seeds, content=st.binary())
    def test_a_signature_fits_its_content_and_no_other(self, seed: bytes, content: bytes) -> None:
        """Asked of OpenSSL."""
        signer = self.make()
        key, signature = Ed25519PublicKey.from_public_bytes(signer.public_key(seed)), signer.signing(seed)(content)
        key.verify(signature, content)
        with pytest.raises(InvalidSignature):
            key.verify(signature, content + b"\0")

    @several
    @given(seed=seeds, content=st.binary())
    def test_it_signs_the_same_each_time(self, seed: bytes, content: bytes) -> None:
        """No nonce that could repeat and give the key away (RFC 8032, section 8.3)."""
        sign = self.make().signing(seed)
        assert sign(content) == sign(content)

    @pytest.mark.parametrize("length", [0, 31, 33, 64])
    def test_a_seed_of_another_length_is_refused(self, length: int) -> None:
        """Whatever a damaged row holds."""
        with pytest.raises(ValueError, match="32"):
            self.make().public_key(bytes(length))
        with pytest.raises(ValueError, match="32"):
            self.make().signing(bytes(length))
