"""Each vault keeps the contract of the port Vault, and the real one keeps secrets."""

import os
import stat
from base64 import b64encode
from pathlib import Path

import pytest

from adapters.vault import KeyRing, KeyRingUnusable, SealedVault
from application.ports.vault import Vault, WrongKey
from tests.contract.vault import ABOUT, VaultContract
from tests.fakes.vault import PlainVault

CANARY_KEY = b64encode(b"canary" * 5 + b"xx").decode()
RING = KeyRing("k1", {"k1": bytes(range(32))})


class TestSealedVault(VaultContract):
    """The real one."""

    def make(self) -> Vault:
        return SealedVault(RING)


class TestPlainVault(VaultContract):
    """The fake."""

    def make(self) -> Vault:
        return PlainVault()


def test_a_sealed_text_shows_nothing_of_the_secret() -> None:
    """Neither in the clear nor in base64."""
    sealed = SealedVault(RING).seal("sk_live_canary", about=ABOUT)
    assert "canary" not in sealed
    assert b64encode(b"sk_live_canary").decode()[:12] not in sealed


def test_every_change_to_a_sealed_text_is_noticed() -> None:
    """Each character, changed to its neighbour, dropped, or doubled."""
    vault = SealedVault(RING)
    sealed = vault.seal("secret", about=ABOUT)
    for at, character in enumerate(sealed):
        for other in {chr(ord(character) ^ 1), "A", "B", "-", "=", ".", "", character * 2} - {character}:
            with pytest.raises(WrongKey):
                vault.open(sealed[:at] + other + sealed[at + 1 :], about=ABOUT)
    with pytest.raises(WrongKey):
        vault.open(sealed + "=", about=ABOUT)


def test_parts_of_two_sealed_texts_do_not_mix() -> None:
    """A key of one secret with the body of another."""
    vault = SealedVault(RING)
    one, two = (vault.seal(secret, about=ABOUT).split(".") for secret in ("one", "two"))
    with pytest.raises(WrongKey, match="changed"):
        vault.open(".".join([*one[:3], two[3]]), about=ABOUT)


def test_another_key_of_the_same_name_does_not_open_and_says_so() -> None:
    """The database was restored next to the wrong key file: the start stops with this text."""
    sealed = SealedVault(RING).seal("secret", about=ABOUT)
    with pytest.raises(WrongKey, match="not the key that sealed it"):
        SealedVault(KeyRing.new()).open(sealed, about=ABOUT)


def test_after_ten_rotations_everything_still_opens() -> None:
    """What was sealed under any of the keys."""
    ring, texts = KeyRing.new(), []
    for number in range(11):
        texts.append(SealedVault(ring).seal(f"secret {number}", about=ABOUT))
        ring = ring.rotated()
    vault = SealedVault(ring)
    assert [vault.open(text, about=ABOUT) for text in texts] == [f"secret {number}" for number in range(11)]
    assert len({text.split(".")[1] for text in texts}) == 11


def test_resealing_moves_a_secret_to_the_current_key_so_that_the_old_one_can_go() -> None:
    """The point of a rotation. Only the wrapping changes: the secret itself is not written anew."""
    old = KeyRing.new()
    sealed = SealedVault(old).seal("secret", about=ABOUT)
    rotated = old.rotated()
    both = SealedVault(rotated)
    assert not both.is_current(sealed)
    moved = both.reseal(sealed, about=ABOUT)
    assert both.is_current(moved)
    assert moved.split(".")[3] == sealed.split(".")[3]
    alone = SealedVault(rotated.without("k1"))
    assert alone.open(moved, about=ABOUT) == "secret"
    with pytest.raises(WrongKey, match="no key 'k1'"):
        alone.open(sealed, about=ABOUT)


def test_resealing_about_something_else_is_refused() -> None:
    """A rotation must not launder a moved row."""
    vault = SealedVault(RING)
    with pytest.raises(WrongKey):
        vault.reseal(vault.seal("secret", about=ABOUT), about="org_2/con_1")


def test_a_key_is_retired_but_never_the_current_one() -> None:
    """Without it nothing could be sealed."""
    ring = RING.rotated()
    assert set(ring.without("k1").keys) == {"k2"}
    assert ring.without("k1").rotated().current == "k3", "a name is not used twice"
    with pytest.raises(KeyRingUnusable):
        ring.without(ring.current)


def test_a_ring_shows_no_key() -> None:
    """It may end up in a log."""
    assert repr(RING) == "KeyRing(current='k1', keys=<k1>)"


def test_a_new_file_is_closed_to_others_and_reads_back(tmp_path: Path) -> None:
    """Mode 0600 in a folder of mode 0700, whatever the umask."""
    path = tmp_path / "data" / "keys.json"
    before = os.umask(0)
    try:
        ring = KeyRing.create_file(path)
    finally:
        os.umask(before)
    assert KeyRing.from_file(path) == ring
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path], "no draft is left"


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    """Its keys may be the only ones that open what is stored."""
    path = tmp_path / "keys.json"
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        KeyRing.create_file(path)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_a_rotated_ring_takes_the_place_of_the_file(tmp_path: Path) -> None:
    """The new key is on disk before anything is sealed with it."""
    path = tmp_path / "keys.json"
    rotated = KeyRing.create_file(path).rotated()
    rotated.replace_file(path)
    assert KeyRing.from_file(path) == rotated
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        rotated.replace_file(tmp_path / "other.json")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_a_file_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    """Unless a container platform mounted it so."""
    path = tmp_path / "keys.json"
    ring = KeyRing.create_file(path)
    path.chmod(mode)
    with pytest.raises(KeyRingUnusable, match="chmod 600"):
        KeyRing.from_file(path)
    assert KeyRing.from_file(path, private=False) == ring


@pytest.mark.parametrize(
    "text",
    [
        "",
        "canary",
        "[]",
        "null",
        "{}",
        '{"current": "k1"}',
        '{"current": "k1", "keys": {}}',
        '{"current": "k1", "keys": []}',
        '{"current": "k1", "keys": {"k1": 5}}',
        '{"current": "k1", "keys": {"k1": "*canary*"}}',
        '{"current": "k1", "keys": {"k1": "Y2FuYXJ5"}}',
        '{"current": "k2", "keys": {"k1": "' + CANARY_KEY + '"}}',
        '{"current": ["k1"], "keys": {"k1": "' + CANARY_KEY + '"}}',
        '{"current": "a.b", "keys": {"a.b": "' + CANARY_KEY + '"}}',
        "[" * 100_000,
    ],
)
def test_a_malformed_ring_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    """The text of the error ends up on a screen."""
    path = tmp_path / "keys.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyRingUnusable) as caught:
        KeyRing.from_file(path)
    assert "canary" not in str(caught.value)
    assert "Y2FuYXJ5" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    """The person sees which file is meant."""
    path = tmp_path / "keys.json"
    with pytest.raises(KeyRingUnusable, match=r"keys\.json cannot be read"):
        KeyRing.from_file(path)
    path.write_bytes(b"\xff\xfe")
    path.chmod(0o600)
    with pytest.raises(KeyRingUnusable, match=r"keys\.json cannot be read"):
        KeyRing.from_file(path)
