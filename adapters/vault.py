"""Secrets at rest: each sealed with a key of its own, which is wrapped by the master key (AES-256-GCM, NIST SP 800-38D).

So a secret can be put under another master key by wrapping 32 bytes anew, without touching the secret itself. What
the secret is about is authenticated both times: a sealed text that is moved to another connection or organisation does
not open.
The nonces and keys come from the operating system and not through a port: one that repeats gives the secrets away.
"""

import binascii
import json
import os
import re
import stat
import tempfile
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from base64 import b64encode as to_base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from application.ports.vault import Vault, WrongKey

_VERSION = "v1"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_KID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class KeyRingUnusable(Exception):
    """The master keys cannot be used: no file, malformed, or readable by others. The text says what to do, never a key."""


@final
@attrs.frozen
class KeyRing:
    """The master keys by their names (`kid`: 1 to 32 letters, digits, `-`, `_`), and which of them seals.

    As text: `{"current": "k1", "keys": {"k1": "<base64 of 32 bytes>"}}`. Raises KeyRingUnusable if it breaks these rules.
    """

    current: str
    keys: Mapping[str, bytes] = attrs.field(repr=lambda keys: f"<{', '.join(keys)}>")

    def __attrs_post_init__(self) -> None:
        for kid, key in self.keys.items():
            if not _KID.fullmatch(kid):
                raise KeyRingUnusable("A key's name has 1 to 32 letters, digits, - and _.")
            if len(key) != _KEY_BYTES:
                raise KeyRingUnusable(f"The key '{kid}' has not {_KEY_BYTES} bytes.")
        if self.current not in self.keys:
            raise KeyRingUnusable("The key ring's current key is not among its keys.")

    @classmethod
    def new(cls) -> "KeyRing":
        """A ring with one new key, k1."""
        return cls("k1", {"k1": os.urandom(_KEY_BYTES)})

    def rotated(self) -> "KeyRing":
        """This ring with one more key, which seals from now on; the others still open."""
        numbers = [int(kid[1:]) for kid in self.keys if re.fullmatch("k[0-9]{1,9}", kid)]
        kid = f"k{max(numbers, default=0) + 1}"
        return KeyRing(kid, {**self.keys, kid: os.urandom(_KEY_BYTES)})

    def without(self, kid: str) -> "KeyRing":
        """This ring after a key is retired, for when everything was re-sealed. The current one cannot be."""
        return KeyRing(self.current, {name: key for name, key in self.keys.items() if name != kid})

    @classmethod
    def from_text(cls, text: str) -> "KeyRing":
        """Read the text form. Raises KeyRingUnusable."""
        try:
            ring: Any = json.loads(text)
            keys = {kid: b64decode(key, validate=True) for kid, key in ring["keys"].items()}
            current = str(ring["current"])
        # From None: these errors quote what they could not read, and that may be a key.
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise KeyRingUnusable(
                'The key ring is malformed. It is JSON such as {"current": "k1", "keys": {"k1": "base64 of 32 bytes"}}.'
            ) from None
        return cls(current, keys)

    @property
    def text(self) -> str:
        """The text form, with the keys in the clear."""
        keys = {kid: to_base64(key).decode() for kid, key in self.keys.items()}
        return json.dumps({"current": self.current, "keys": keys}, indent=2) + "\n"

    @classmethod
    def from_file(cls, path: Path, *, private: bool = True) -> "KeyRing":
        """Read a file. Raises KeyRingUnusable, also if group or others can read it, unless `private` is False.

        Give False for a file that a container platform mounts: such files are readable by all in the container.
        """
        try:
            with path.open(encoding="utf-8") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise KeyRingUnusable(f"The key ring {path} cannot be read ({reason}).") from None
        if private and mode & 0o077:
            raise KeyRingUnusable(
                f"The key ring {path} is open to other users of this machine (mode {mode:04o})."
                f" Close it with: chmod 600 {path}"
            )
        try:
            return cls.from_text(text)
        except KeyRingUnusable as error:
            raise KeyRingUnusable(f"{path}: {error}") from None

    @classmethod
    def create_file(cls, path: Path) -> "KeyRing":
        """Make a ring with a new key and write it, mode 0600, in a folder that is made with mode 0700 if it is missing.

        Atomic: the file is there in full or not at all. Raises FileExistsError and leaves an existing file as it is: its
        keys may be the only ones that open what is stored.
        """
        ring = cls.new()
        draft = _draft(ring, path)
        try:
            os.link(draft, path)
        finally:
            draft.unlink()
        _settle(path.parent)
        return ring

    def replace_file(self, path: Path) -> None:
        """Write this ring over an existing file, atomically, mode 0600. Raises FileNotFoundError if there is none."""
        path.stat()
        _draft(self, path).replace(path)
        _settle(path.parent)


def _draft(ring: KeyRing, path: Path) -> Path:
    """The ring in a file of its own beside the path, for the caller to put in its place."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(ring.text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink()
        raise
    return Path(name)


def _settle(folder: Path) -> None:
    """Make the folder's change survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@final
class SealedVault(Vault):
    """Seals under a key ring. The text form is `v1.<kid>.<wrapped key>.<sealed secret>`, both parts nonce and AES-GCM
    ciphertext in base64url without padding."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def seal(self, secret: str, *, about: str) -> str:
        """Seal under the current key; `about` must be given again to open. Never the same twice."""
        key = os.urandom(_KEY_BYTES)
        return self._text(key, about, _encrypt(key, _bytes(secret), _secret_of(about)))

    def open(self, sealed: str, *, about: str) -> str:
        """The secret. Raises WrongKey."""
        key, body = self._unwrap(sealed, about)
        try:
            return _decrypt(key, body, _secret_of(about)).decode("utf-8", "surrogatepass")
        except InvalidTag:
            raise WrongKey("The sealed text was changed.") from None

    def reseal(self, sealed: str, *, about: str) -> str:
        """The same secret under the current master key: only its key is wrapped anew. Raises WrongKey."""
        key, body = self._unwrap(sealed, about)
        return self._text(key, about, body)

    def is_current(self, sealed: str) -> bool:
        """Whether the text is under the current master key, so that a rotation can pass it over."""
        return sealed.startswith(f"{_VERSION}.{self._ring.current}.")

    def _text(self, key: bytes, about: str, body: bytes) -> str:
        kid = self._ring.current
        wrapped = _encrypt(self._ring.keys[kid], key, _key_of(kid, about))
        return f"{_VERSION}.{kid}.{_to_text(wrapped)}.{_to_text(body)}"

    def _unwrap(self, sealed: str, about: str) -> tuple[bytes, bytes]:
        pieces = sealed.split(".")
        if len(pieces) != 4 or pieces[0] != _VERSION:
            raise WrongKey("This is not a sealed text of this version of the hub.")
        kid = pieces[1]
        if kid not in self._ring.keys:
            raise WrongKey(
                f"The key ring has no key '{kid[:32]}', which sealed this. Was another key file used before, or a key"
                " retired too soon?"
            )
        try:
            wrapped, body = _from_text(pieces[2]), _from_text(pieces[3])
            return _decrypt(self._ring.keys[kid], wrapped, _key_of(kid, about)), body
        except InvalidTag:
            raise WrongKey(
                f"The key '{kid}' does not open this: it is not the key that sealed it, or the sealed text was changed or"
                " belongs to something else."
            ) from None


def _secret_of(about: str) -> bytes:
    return b"patchbay secret v1\0" + _bytes(about)


def _key_of(kid: str, about: str) -> bytes:
    return b"patchbay key v1\0" + kid.encode() + b"\0" + _bytes(about)


def _bytes(text: str) -> bytes:
    """UTF-8, with half a surrogate pair let through: JSON can hold one, and sealing must not crash on it."""
    return text.encode("utf-8", "surrogatepass")


def _encrypt(key: bytes, plain: bytes, about: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, about)


def _decrypt(key: bytes, sealed: bytes, about: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about)
    except ValueError:  # too short to hold a nonce
        raise InvalidTag from None


def _to_text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _from_text(text: str) -> bytes:
    """Exactly what `_to_text` writes: base64 has several spellings for the same bytes, and only one is ours."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise InvalidTag from None
    if _to_text(raw) != text:
        raise InvalidTag
    return raw
