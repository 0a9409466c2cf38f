"""What every vault must do. A vault's own test subclasses VaultContract and says how to make one."""

from abc import ABC, abstractmethod

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application.ports.vault import Vault, WrongKey

ABOUT = "org_1/con_1"


class VaultContract(ABC):
    """The suite."""

    @abstractmethod
    def make(self) -> Vault:
        """A vault under test."""

    @settings(suppress_health_check=[HealthCheck.differing_executors])  # the suite runs on several vaults
    @given(secret=st.text(), about=st.text())
    def test_what_was_sealed_opens(self, secret: str, about: str) -> None:
        """Every text, the empty one too."""
        vault = self.make()
        assert vault.open(vault.seal(secret, about=about), about=about) == secret

    def test_the_same_secret_is_never_sealed_the_same_twice(self) -> None:
        """Nobody can see in the database that two organisations use one password."""
        vault = self.make()
        assert len({vault.seal("secret", about=ABOUT) for _ in range(100)}) == 100

    @pytest.mark.parametrize("about", ["", "org_2/con_1", "org_1/con_2", "org_1/con_1 ", "ORG_1/con_1"])
    def test_it_opens_only_about_the_same_thing(self, about: str) -> None:
        """A row copied to another organisation is of no use there."""
        vault = self.make()
        sealed = vault.seal("secret", about=ABOUT)
        with pytest.raises(WrongKey):
            vault.open(sealed, about=about)

    @pytest.mark.parametrize(
        "sealed",
        [
            "",
            ".",
            "....",
            "v1",
            "v1...",
            "v1.k1..",
            "v1.k1.AAAA.AAAA",
            "v2.k1.a.b",
            "nonsense",
            "[]",
            "\0",
            "ü",
            "v1.k1.ü.ü",
        ],
    )
    def test_what_is_no_sealed_text_is_refused(self, sealed: str) -> None:
        """One named error, whatever a damaged row holds."""
        with pytest.raises(WrongKey):
            self.make().open(sealed, about=ABOUT)
