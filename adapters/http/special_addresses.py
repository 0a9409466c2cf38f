"""Which IP addresses are not part of the public internet, and which IPv6 addresses carry an IPv4 address inside.

The rows are those of the two IANA special-purpose address registries that are not globally reachable, each with the RFC
that set it aside, and one public address that a cloud answers itself. For IPv6 the rule is turned round: only 2000::/3 is
allotted to the public internet (RFC 4291, section 2.4), and all the rest is refused, whether or not it has a row.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import attrs


@attrs.frozen
class Special:
    """A block that is set aside: what it is for, in words that follow "a" or "an", and where that is laid down."""

    network: IPv4Network | IPv6Network
    purpose: str
    source: str


def _v4(network: str, purpose: str, source: str) -> Special:
    return Special(IPv4Network(network), purpose, source)


def _v6(network: str, purpose: str, source: str) -> Special:
    return Special(IPv6Network(network), purpose, source)


_NAT64 = IPv6Network("64:ff9b::/96")
_PUBLIC_V6 = IPv6Network("2000::/3")
_NOT_ALLOTTED = _v6("::/0", "unallotted", "RFC 4291, section 2.4")

SPECIAL: tuple[Special, ...] = (
    _v4("0.0.0.0/8", "this-network", "RFC 791, section 3.2"),
    _v4("10.0.0.0/8", "private", "RFC 1918"),
    _v4("100.64.0.0/10", "carrier-grade NAT", "RFC 6598"),
    _v4("127.0.0.0/8", "loopback", "RFC 1122, section 3.2.1.3"),
    # Public by number, but in an Azure machine it is the platform, which hands out the machine's certificates.
    _v4("168.63.129.16/32", "cloud platform", "Microsoft Learn, What is IP address 168.63.129.16"),
    _v4("169.254.0.0/16", "link-local", "RFC 3927"),  # the metadata services of the clouds, too
    _v4("172.16.0.0/12", "private", "RFC 1918"),
    _v4("192.0.0.0/24", "protocol-assignment", "RFC 6890"),
    _v4("192.0.2.0/24", "documentation", "RFC 5737"),
    _v4("192.88.99.0/24", "6to4 relay", "RFC 7526"),
    _v4("192.168.0.0/16", "private", "RFC 1918"),
    _v4("198.18.0.0/15", "benchmarking", "RFC 2544"),
    _v4("198.51.100.0/24", "documentation", "RFC 5737"),
    _v4("203.0.113.0/24", "documentation", "RFC 5737"),
    _v4("224.0.0.0/4", "multicast", "RFC 5771"),
    _v4("255.255.255.255/32", "broadcast", "RFC 919"),
    _v4("240.0.0.0/4", "reserved", "RFC 1112, section 4"),
    _v6("::/128", "unspecified", "RFC 4291"),
    _v6("::1/128", "loopback", "RFC 4291"),
    _v6("::/96", "IPv4-compatible", "RFC 4291, section 2.5.5.1"),
    _v6("64:ff9b:1::/48", "local NAT64", "RFC 8215"),
    _v6("100::/64", "discard-only", "RFC 6666"),
    _v6("100:0:0:1::/64", "dummy", "RFC 9780"),
    _v6("2001::/32", "Teredo", "RFC 4380"),
    _v6("2001:2::/48", "benchmarking", "RFC 5180"),
    _v6("2001:10::/28", "ORCHID", "RFC 4843"),
    _v6("2001::/23", "protocol-assignment", "RFC 2928"),
    _v6("2001:db8::/32", "documentation", "RFC 3849"),
    _v6("2002::/16", "6to4", "RFC 3056"),
    _v6("3fff::/20", "documentation", "RFC 9637"),
    _v6("5f00::/16", "segment-routing", "RFC 9602"),
    _v6("fc00::/7", "private", "RFC 4193"),
    _v6("fe80::/10", "link-local", "RFC 4291"),
    _v6("fec0::/10", "site-local", "RFC 3879"),
    _v6("ff00::/8", "multicast", "RFC 4291"),
)


def special(address: IPv4Address | IPv6Address) -> Special | None:
    """The block that keeps the address off the public internet, or None for a public address.

    Says nothing about an address carried inside: ask for each of `carried` as well.
    """
    for row in SPECIAL:
        if address.version == row.network.version and address in row.network:
            return row
    if isinstance(address, IPv6Address) and address not in _PUBLIC_V6 and address not in _NAT64:
        return _NOT_ALLOTTED
    return None


def carried(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that a packet to this address may end up at."""
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    low = IPv4Address(number & 0xFFFFFFFF)
    if address in _NAT64 or (
        number > 1 and address in IPv6Network("::/96")
    ):  # RFC 6052, section 2.2; RFC 4291, section 2.5.5.1
        yield low
    elif address in IPv6Network("64:ff9b:1::/48"):
        yield low  # a prefix of 96 bits (RFC 6052, section 2.2)
        yield IPv4Address((number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF)  # one of 48, round the u-octet
    elif address in IPv6Network("2002::/16"):  # RFC 3056, section 2
        yield IPv4Address(number >> 80 & 0xFFFFFFFF)
    elif address in IPv6Network("2001::/32"):  # RFC 4380, section 4: the server's, and the client's inverted
        yield IPv4Address(number >> 64 & 0xFFFFFFFF)
        yield IPv4Address(~number & 0xFFFFFFFF)


def plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2) is its IPv4 address under another name."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
