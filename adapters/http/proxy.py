"""The way out through an HTTP proxy, for machines that have no other.

The proxy is the operator's, so its own address is not checked. Where it leads to is: it is told the address that the guard has
checked, never the name, and makes a tunnel for http:// as well as for https:// (RFC 9110, section 9.3.6).
"""

import re
from base64 import b64encode
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import final
from urllib.parse import unquote, urlsplit

import attrs

_NAME = re.compile(r"\*|(\.?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?)")


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry)
    except ValueError:
        return None


@final
@attrs.frozen
class Proxy:
    """An HTTP proxy and the hosts that are reached without it.

    url: `http://proxy.internal:3128`, `http://user:password@10.0.0.9:3128`; the port is 80 where none is given.
    no_proxy: `internal.example` or `.internal.example` for that name and all below it, `10.0.0.0/8` or `fd00::1` for what
    is dialled, `*` for everything.

    Raises ValueError, which quotes neither user nor password, for anything else.
    """

    url: str = attrs.field(repr=False)
    no_proxy: tuple[str, ...] = ()
    host: str = attrs.field(init=False)
    port: int = attrs.field(init=False)
    authorization: str | None = attrs.field(init=False, repr=False)
    _networks: tuple[IPv4Network | IPv6Network, ...] = attrs.field(init=False, repr=False, eq=False)
    _names: tuple[str, ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            port = parts.port if parts.port is not None else 80
        except ValueError:
            raise ValueError("The proxy's address is malformed.") from None  # the cause quotes the address
        if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("The proxy's address has the form http://host:port or http://user:password@host:port.")
        if port == 0 or any(ord(c) <= 32 or ord(c) >= 127 for c in self.url):
            raise ValueError("The proxy's address is malformed.")
        user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        if any(ord(c) < 32 for c in user):
            raise ValueError("The proxy's user name or password contains a control character.")
        networks, names = [], []
        for entry in self.no_proxy:
            network = _network(entry.strip("[]"))
            if network is not None:
                networks.append(network)
            elif _NAME.fullmatch(entry):
                names.append(entry.lower().lstrip("."))
            else:
                raise ValueError(f"'{entry}' is neither a host name, nor an address or network, nor *")
        basic = f"Basic {b64encode(user.encode()).decode()}" if parts.username is not None else None  # RFC 7617
        for name, value in (
            ("host", parts.hostname), ("port", port), ("authorization", basic),
            ("_networks", tuple(networks)), ("_names", tuple(names)),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    def leads_to(self, host: str, address: str) -> bool:
        """Whether this host, at this address, is reached through the proxy."""
        dialled = ip_address(address)
        return not (
            any(name == "*" or host == name or host.endswith(f".{name}") for name in self._names)
            or any(dialled.version == network.version and dialled in network for network in self._networks)
        )

    def tunnel(self, address: str, port: int) -> bytes:
        """The request for a tunnel to an address."""
        place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
        if self.authorization is not None:
            lines.append(f"Proxy-Authorization: {self.authorization}")
        return "\r\n".join([*lines, "", ""]).encode()


def refusal(status: int, host: str) -> str:
    """What to say of a proxy that gives no tunnel."""
    if status == 407:
        return "The proxy does not accept the user name and password it was given (407)."
    if status in (502, 503, 504):
        return f"The proxy could not reach {host} ({status})."
    return f"The proxy does not let the hub reach {host} ({status})."
