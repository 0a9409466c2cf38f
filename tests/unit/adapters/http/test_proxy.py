"""How a proxy is written, and what goes past it."""

import pytest

from adapters.http.proxy import Proxy


@pytest.mark.parametrize(
    "url",
    ["", "proxy:3128", "https://proxy:3128", "socks5://proxy:1080", "http://", "http://proxy:0", "http://proxy:x",
     "http://proxy:99999", "http://proxy/path", "http://proxy?x", "http://proxy#x", "http://pro xy", "http://u:s3cr3t@[::1",
     "http://u:s3cr3t%0d%0aX@proxy", "ftp://u:s3cr3t@proxy"],
)  # fmt: skip
def test_a_malformed_proxy_stops_the_start_without_its_password(url: str) -> None:
    """The text ends up in a terminal, or in the log of a supervisor."""
    with pytest.raises(ValueError, match="proxy's") as caught:
        Proxy(url)
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("entry", ["", "a b", "http://a", "10.0.0.0/33", "a/b", "*.a"])
def test_a_malformed_exception_is_named(entry: str) -> None:
    """A slip must not send inner traffic outside, or the other way round."""
    with pytest.raises(ValueError, match="is neither a host name"):
        Proxy("http://proxy", (entry,))


@pytest.mark.parametrize(
    ("entry", "host", "address", "proxied"),
    [
        ("example.com", "example.com", "8.8.8.8", False),
        ("example.com", "a.example.com", "8.8.8.8", False),
        (".Example.com", "a.example.com", "8.8.8.8", False),
        ("example.com", "badexample.com", "8.8.8.8", True),
        ("example.com", "example.com.evil.test", "8.8.8.8", True),
        ("10.0.0.0/8", "a.test", "10.1.2.3", False),
        ("10.0.0.0/8", "a.test", "11.1.2.3", True),
        ("fd00::/8", "a.test", "10.1.2.3", True),
        ("[fd00::1]", "a.test", "fd00::1", False),
        ("*", "a.test", "8.8.8.8", False),
    ],
)
def test_what_goes_past_the_proxy(entry: str, host: str, address: str, proxied: bool) -> None:
    """Whole labels only."""
    assert Proxy("http://proxy", (entry,)).leads_to(host, address) is proxied


def test_an_ipv6_address_stands_in_brackets_in_the_request_for_a_tunnel() -> None:
    """As in a URL (RFC 9110, section 9.3.6)."""
    assert Proxy("http://p").tunnel("2606:4700::1", 443).startswith(b"CONNECT [2606:4700::1]:443 HTTP/1.1\r\n")
