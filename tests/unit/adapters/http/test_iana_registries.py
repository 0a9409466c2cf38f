"""The guard against the IANA special-purpose address registries, copied here apart from the table that it uses.

https://www.iana.org/assignments/iana-ipv4-special-registry and .../iana-ipv6-special-registry: the blocks whose column
"Globally Reachable" does not say True, and the multicast blocks, which have registries of their own. Left out is ::ffff:0:0/96:
a socket turns a mapped address into the IPv4 address inside, so that is what is judged, in the second test.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest

from adapters.http.guard import AddressGuard
from application.ports.outgoing import AddressRefused

IPV4 = (
    "0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29"
    " 192.0.0.8/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.88.99.0/24 192.88.99.2/32 192.168.0.0/16 198.18.0.0/15"
    " 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 255.255.255.255/32 224.0.0.0/4"
).split()
IPV6 = (
    "::1/128 ::/128 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32 2001:2::/48 2001:10::/28"
    " 2001:db8::/32 2002::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/10 ff00::/8"
).split()
METADATA = (
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "fd00:ec2::254",
    "fd20:ce::254",
)
"""Where clouds keep their secrets."""


def ends(block: str) -> Iterator[IPv4Address | IPv6Address]:
    """The first, the last and a middle address of a block."""
    network: IPv4Network | IPv6Network = ip_network(block)
    for at in (0, network.num_addresses // 2, -1):
        yield network[at]


def wrapped(inner: IPv4Address) -> Iterator[IPv6Address]:
    """The IPv6 addresses by which a packet may come to this IPv4 address."""
    number = int(inner)
    yield IPv6Address(f"::ffff:{inner}")  # mapped, RFC 4291
    yield IPv6Address(f"::{inner}")  # compatible, RFC 4291
    yield IPv6Address(f"64:ff9b::{inner}")  # NAT64, RFC 6052
    yield IPv6Address(f"64:ff9b:1::{inner}")  # local NAT64, RFC 8215
    yield IPv6Address((0x2002 << 112) | (number << 80))  # 6to4, RFC 3056
    yield IPv6Address((0x20010000 << 96) | (number << 64))  # Teredo's server, RFC 4380
    yield IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF))  # Teredo's client, inverted


def leading_to(*addresses: str) -> AddressGuard:
    """A guard for whom every name has these addresses."""

    async def resolve(_: str, __: int) -> Sequence[str]:
        return addresses

    return AddressGuard(resolve=resolve)


@pytest.mark.parametrize("block", [*IPV4, *IPV6])
async def test_no_address_of_a_special_block_is_dialled(block: str) -> None:
    """Typed as it is, or as what a name leads to, beside a public address or alone."""
    for address in map(str, ends(block)):
        with pytest.raises(AddressRefused):
            await AddressGuard().addresses(address, 443)
        for found in ((address,), ("8.8.8.8", address), (address, "2606:4700::1111")):
            with pytest.raises(AddressRefused):
                await leading_to(*found).addresses("a.test", 443)


@pytest.mark.parametrize("block", IPV4)
async def test_no_special_ipv4_address_is_dialled_inside_an_ipv6_address(block: str) -> None:
    """A translator on the way unpacks it."""
    for inner in ends(block):
        assert isinstance(inner, IPv4Address)
        for outer in wrapped(inner):
            with pytest.raises(AddressRefused):
                await AddressGuard().addresses(str(outer), 443)
            with pytest.raises(AddressRefused):
                await leading_to(str(outer)).addresses("a.test", 443)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "192.31.196.1", "2606:4700::1111", "2620:4f:8000::1"])
async def test_public_addresses_are_dialled(address: str) -> None:
    """Else the tests above would prove nothing. NAT64's well-known prefix is public where what it carries is."""
    assert await AddressGuard().addresses(address, 443) == (address,)
    assert await leading_to(address).addresses("a.test", 443) == (address,)
    if "." in address:
        nat64 = str(IPv6Address(f"64:ff9b::{address}"))
        assert await AddressGuard().addresses(nat64, 443) == (nat64,)


@pytest.mark.parametrize("address", METADATA)
async def test_metadata_services_are_not_dialled(address: str) -> None:
    """They give the machine's own credentials to whoever asks from the machine."""
    with pytest.raises(AddressRefused):
        await AddressGuard().addresses(address, 80)
