"""Ed25519 in plain Python, after RFC 8032, appendix A: slow, not safe against who can time it, and a second opinion."""

import hashlib
from collections.abc import Callable
from typing import final

from application.ports.signer import Signer

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P

_Point = tuple[int, int, int, int]
"""Extended coordinates: x/z, y/z, z, and x·y/z."""

_Y = 4 * pow(5, -1, _P) % _P
_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_BASE: _Point = (_X, _Y, 1, _X * _Y % _P)


@final
class PlainSigner(Signer):
    """Needs no library; the same signatures as the real one."""

    def public_key(self, seed: bytes) -> bytes:
        """The 32 bytes of the public key. Raises ValueError."""
        return _encode(_times(_halves(seed)[0], _BASE))

    def signing(self, seed: bytes) -> Callable[[bytes], bytes]:
        """What signs. Raises ValueError."""
        scalar, prefix = _halves(seed)
        public = self.public_key(seed)

        def sign(content: bytes) -> bytes:
            nonce = _number(prefix + content)
            point = _encode(_times(nonce, _BASE))
            answer = (nonce + _number(point + public + content) * scalar) % _ORDER
            return point + answer.to_bytes(32, "little")

        return sign


def _halves(seed: bytes) -> tuple[int, bytes]:
    if len(seed) != 32:
        raise ValueError("a seed has 32 bytes")
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
    return scalar, digest[32:]


def _number(content: bytes) -> int:
    return int.from_bytes(hashlib.sha512(content).digest(), "little") % _ORDER


def _plus(p: _Point, q: _Point) -> _Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % _P, (p[1] + p[0]) * (q[1] + q[0]) % _P
    c, d = 2 * p[3] * q[3] * _D % _P, 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _times(scalar: int, point: _Point) -> _Point:
    total: _Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = _plus(total, point)
        point, scalar = _plus(point, point), scalar >> 1
    return total


def _encode(point: _Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")
