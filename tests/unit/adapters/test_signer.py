"""Each signer keeps the contract of the port Signer."""

from adapters.signer import Ed25519Signer
from application.ports.signer import Signer
from tests.contract.signer import SignerContract
from tests.fakes.signer import PlainSigner


class TestEd25519Signer(SignerContract):
    """The real one."""

    def make(self) -> Signer:
        return Ed25519Signer()


class TestPlainSigner(SignerContract):
    """The fake, which shares no code with the real one."""

    def make(self) -> Signer:
        return PlainSigner()
