"""The address guard's own rules; what they are for is in tests/contract/outgoing.py."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http.guard import AddressGuard, Target, parse
from adapters.http.special_addresses import SPECIAL, carried, special
from application.ports.outgoing import AddressRefused


async def private(_: str, __: int) -> Sequence[str]:
    """Every name leads to the private network."""
    return ["10.1.2.3", "fd00::1"]


@given(st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address))
def test_what_passes_is_global_in_the_standard_library_s_opinion_too(address: IPv4Address | IPv6Address) -> None:
    """A second opinion on the table, which was written from the registries."""
    if special(address) is None:
        assert address.is_global


@given(st.sampled_from(SPECIAL), st.integers(0))
def test_every_address_of_a_special_block_is_refused(row: object, offset: int) -> None:
    """The first, the last, and any between."""
    network = row.network  # type: ignore[attr-defined]
    for at in (0, -1, offset % network.num_addresses):
        assert special(network[at]) is not None


@pytest.mark.parametrize("text", ["1.1.1.1", "9.255.255.255", "11.0.0.0", "172.32.0.0", "192.0.1.0", "223.255.255.255"])
def test_the_neighbours_of_special_blocks_are_public(text: str) -> None:
    """Too wide a block would refuse honest receivers."""
    assert special(ip_address(text)) is None


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("64:ff9b::c000:221", ["192.0.2.33"]),
        ("2002:c000:221::1", ["192.0.2.33"]),
        ("2001:0:c000:221:0:0:f5ff:fffe", ["192.0.2.33", "10.0.0.1"]),
        ("::c000:221", ["192.0.2.33"]),
        ("64:ff9b:1:c000:2:2100::", ["0.0.0.0", "192.0.2.33"]),
        ("2606:4700::1", []),
        ("::1", []),
    ],
)
def test_an_ipv4_address_carried_inside_is_found(text: str, inside: list[str]) -> None:
    """A translator on the way would unpack it."""
    assert [str(address) for address in carried(ip_address(text))] == inside


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://Example.COM", Target("https", "example.com", 443, "/")),
        ("HTTP://example.com.:8080/a?b=c#d", Target("http", "example.com", 8080, "/a?b=c")),
        ("https://bücher.example/ä", Target("https", "xn--bcher-kva.example", 443, "/%C3%A4")),
        ("https://my_service:443?x", Target("https", "my_service", 443, "/?x")),
        ("https://[2606:4700:0:0::1111]:444/%20", Target("https", "2606:4700::1111", 444, "/%20")),
        ("http://8.8.8.8/@:8/", Target("http", "8.8.8.8", 80, "/@:8/")),
    ],
)
def test_a_url_is_taken_apart(url: str, target: Target) -> None:
    """One form for each place."""
    assert parse(url) == target


@given(st.text())
def test_a_url_that_parses_parses_to_the_same_again(text: str) -> None:
    """What is checked and what is sent cannot be read differently; nothing crashes."""
    for url in (text, f"https://{text}", f"http://example.com/{text}"):
        try:
            target = parse(url)
        except AddressRefused:
            continue
        assert parse(target.url) == target
        assert target.url.isascii()


@pytest.mark.parametrize(
    ("allowed", "host", "port", "passes"),
    [
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.0.0.1", 80, True),
        ("10.0.0.0/8", "192.168.0.1", 80, False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", 80, True),
        ("10.0.0.0/8", "64:ff9b::a01:203", 80, True),
        ("10.0.0.0/8", "internal.test", 80, False),  # its second address is not covered
        ("10.1.2.3:8080", "10.1.2.3", 8080, True),
        ("10.1.2.3:8080", "10.1.2.3", 80, False),
        ("10.1.2.3:8080", "internal.test", 8080, False),
        ("Internal.test.:8080", "internal.test", 8080, True),
        ("internal.test:8080", "internal.test", 80, False),
        ("internal.test:8080", "other.test", 8080, False),
        ("[::1]:9000", "::1", 9000, True),
        ("[::1]:9000", "::1", 9001, False),
        ("::1", "::1", 1, True),
        ("2002::/16", "2002:a01:203::1", 80, False),  # allows the block, not what is carried inside
    ],
)
async def test_an_operator_s_allowance_covers_what_it_says(allowed: str, host: str, port: int, passes: bool) -> None:
    """And nothing besides."""
    guard = AddressGuard((allowed,), resolve=private)
    if passes:
        assert await guard.addresses(host, port)
    else:
        with pytest.raises(AddressRefused):
            await guard.addresses(host, port)


@pytest.mark.parametrize(
    "entry", ["", "internal.test", "10.1.2.3/8", "10.0.0.0/33", "a b:80", "x:0", "x:99999", "*:80"]
)
def test_a_malformed_allowance_stops_the_start(entry: str) -> None:
    """An operator's typing mistake must not widen or empty the list in silence."""
    with pytest.raises(ValueError, match="neither a network"):
        AddressGuard((entry,))


async def test_the_refusal_says_what_kind_of_address_was_typed_and_whom_to_ask() -> None:
    """A person who tests against localhost should know what to do."""
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.1 is in a loopback range.*can allow it"):
        await AddressGuard().addresses("127.0.0.1", 80)
