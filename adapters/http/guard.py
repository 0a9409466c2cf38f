"""Keeps the hub from being sent to places that only the hub can reach: loopback, the private network, metadata services.

A URL is taken apart once, strictly, and put together again from the pieces, so that what is checked and what is dialled
cannot be read differently. A host is refused unless every one of its addresses is public or allowed by the operator.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import final
from urllib.parse import quote

import attrs
import idna

from adapters.http.names import system_resolver
from adapters.http.special_addresses import carried, plain, special
from application.ports.outgoing import AddressRefused, Unreachable

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name, as text, for a port. Raises OSError (socket.gaierror) when there are none."""

LONGEST_URL = 2048
DEFAULT_PORTS = {"http": 80, "https": 443}
_ASK_OPERATOR = "Whoever runs the hub can allow it."

_SHAPE = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?://(?P<place>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?)?")
_PLACE = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?P<port>:[^:]*)?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@attrs.frozen
class Target:
    """A URL taken apart.

    scheme: `http` or `https`. host: ASCII and lower case: a name (IDNA A-labels, no trailing dot) or an address without
    brackets. port: 1 to 65535, given or implied. path: path and query, percent-encoded, beginning with a slash.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the Host header says: brackets round an IPv6 address, no port that is implied."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL again, without its fragment."""
        return f"{self.scheme}://{self.authority}{self.path}"


@lru_cache(maxsize=4096)
def parse(url: str, field: str = "url") -> Target:
    """Take a URL apart (RFC 3986), stricter than a browser; the last 4096 are kept. Raises AddressRefused naming `field`."""

    def refuse(reason: str) -> AddressRefused:
        return AddressRefused(reason, field=field)

    if len(url) > LONGEST_URL:
        raise refuse(f"The address is longer than {LONGEST_URL} characters.")
    if any(ord(c) <= 32 or c.isspace() or ord(c) == 127 or c == "\\" or 0xD800 <= ord(c) <= 0xDFFF for c in url):
        raise refuse("The address contains a space, a backslash or a control character.")
    shape = _SHAPE.match(url)
    if shape is None:
        raise refuse("This is not an address that begins with https:// or http://.")
    scheme = shape["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise refuse("The address must begin with https:// or http://.")
    place = shape["place"]
    if not place:
        raise refuse("The address has no host.")
    if "@" in place:
        raise refuse("The address must not contain a user name or password.")
    pieces = _PLACE.fullmatch(place)
    if pieces is None:
        raise refuse("The host of the address is malformed.")
    port = _port(pieces["port"], DEFAULT_PORTS[scheme])
    if port is None:
        raise refuse("The port of the address is not a number from 1 to 65535.")
    host = _host(pieces["host"])
    if host is None:
        raise refuse(
            "The host of the address is neither a name such as hooks.example.com, nor four numbers such as 198.51.100.7,"
            " nor an IPv6 address in brackets."
        )
    path = quote((shape["path"] or "/") + (shape["query"] or ""), safe="!#$%&'()*+,/:;=?@[]~")
    return Target(scheme, host, port, path)


def _port(text: str | None, implied: int) -> int | None:
    if text is None:
        return implied
    if not re.fullmatch(":[0-9]{1,5}", text):
        return None
    return int(text[1:]) if 1 <= int(text[1:]) <= 65535 else None


def _host(text: str) -> str | None:
    """The host in its one form, or None. A zone id, a percent-encoding and a shorthand for IPv4 are no host."""
    if text.startswith("["):
        try:
            return None if "%" in text else IPv6Address(text[1:-1]).compressed
        except ValueError:
            return None
    name = text.lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode()
        except (idna.IDNAError, UnicodeError):
            return None
    labels = name.removesuffix(".").split(".")
    if len(name) > 254 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    if _NUMBER.fullmatch(labels[-1]):
        # Some programs read 2130706433, 0x7f.1 and 0177.0.0.1 as addresses: only the plain form means one thing.
        with suppress(ValueError):
            return str(IPv4Address(".".join(labels)))
        return None
    if any(label.startswith("xn--") for label in labels):
        try:
            idna.decode(".".join(labels))
        except (idna.IDNAError, UnicodeError):
            return None
    return ".".join(labels)


@attrs.frozen
class _Allowed:
    """What the operator allows although it is not public."""

    networks: tuple[IPv4Network | IPv6Network, ...]
    places: frozenset[tuple[str, int]]

    @classmethod
    def read(cls, entries: tuple[str, ...]) -> "_Allowed":
        networks, places = [], set()
        for entry in entries:
            try:
                networks.append(ip_network(entry.strip()))
                continue
            except ValueError:
                pieces = _PLACE.fullmatch(entry.strip())
            host = _host(pieces["host"]) if pieces else None
            port = _port(pieces["port"], 0) if pieces else None
            if not host or not port:
                raise ValueError(
                    f"'{entry}' is neither a network such as 10.0.0.0/8 nor a host and port such as localhost:9000"
                )
            places.add((host, port))
        return cls(tuple(networks), frozenset(places))

    def address(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address.version == network.version and address in network for network in self.networks)


@final
@attrs.frozen
class AddressGuard:
    """Says which addresses of a host may be dialled.

    allowed: what the operator allows although it is not public, each entry one of
        `10.0.0.0/8`, `fd00::/8`: a network (no host bits set), whatever name leads there, on any port;
        `10.1.2.3`, `fd00::1`: one address, on any port;
        `10.1.2.3:8080`, `[fd00::1]:8080`: one address on one port, where the URL itself names the address;
        `billing.internal:8080`: one name on one port, whatever addresses it has.
        Raises ValueError, naming the entry, for anything else.
    resolve: how names become addresses. timeout: how long that may take.
    """

    allowed: tuple[str, ...] = ()
    resolve: Resolver = system_resolver
    timeout: timedelta = timedelta(seconds=5)
    _rules: _Allowed = attrs.field(init=False, repr=False, eq=False)

    @_rules.default
    def _read(self) -> _Allowed:
        return _Allowed.read(self.allowed)

    async def addresses(self, host: str, port: int, *, field: str = "url") -> tuple[str, ...]:
        """Every address of the host, in the resolver's order. `host` and `port` are those of a Target.

        Raises:
            AddressRefused: at least one of them is not public and not allowed. The text does not say which, so that
                nobody can read the names of a private network through the hub.
            Unreachable: the name could not be found, or not in time.
        """
        literal = _address(host)
        found = [literal] if literal else await self._found(host, port, field)
        if (host, port) not in self._rules.places:
            for address in found:
                if self._refused(address):
                    raise AddressRefused(_why(host, literal), field=field)
        return tuple(dict.fromkeys(map(str, found)))

    async def _found(self, host: str, port: int, field: str) -> list[IPv4Address | IPv6Address]:
        try:
            async with asyncio.timeout(self.timeout.total_seconds()):
                texts = await self.resolve(host, port)
        except TimeoutError as error:
            raise Unreachable(f"The name {host} was not found in time.", timed_out=True) from error
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"The name {host} was not found.") from error
        if not texts:
            raise Unreachable(f"The name {host} has no address.")
        found = []
        for text in texts:
            address = _address(text)
            if address is None:  # an address with a zone is of this machine's own links
                raise AddressRefused(_why(host, None), field=field)
            found.append(address)
        return found

    def _refused(self, address: IPv4Address | IPv6Address) -> bool:
        address = plain(address)
        return any(special(one) is not None and not self._rules.address(one) for one in (address, *carried(address)))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return None if isinstance(address, IPv6Address) and address.scope_id else address


def _why(host: str, literal: IPv4Address | IPv6Address | None) -> str:
    if literal is None:
        return f"{host} leads to an address that is not public, so the hub does not call it. {_ASK_OPERATOR}"
    row = next((row for one in (plain(literal), *carried(plain(literal))) if (row := special(one))), None)
    kind = f"in a {row.purpose} range" if row else "not public"
    return f"{host} is {kind}, so the hub does not call it. {_ASK_OPERATOR}"
