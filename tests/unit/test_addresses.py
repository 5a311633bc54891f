"""Which URLs requests may go to, and which addresses are public."""

import socket
from ipaddress import IPv4Address, IPv6Address

import pytest

from chalicelib.core.addresses import BadTarget, Target, is_public, network_of, parse_target

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",  # AWS, GCP, Azure, Oracle
    "169.254.170.2",  # AWS, containers
    "169.254.0.23",  # Tencent
    "100.100.100.200",  # Alibaba
    "192.0.0.192",  # Oracle
    "168.63.129.16",  # Azure
    "100.64.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "0:0:0:0:0:ffff:7f00:0001",
    "0000:0000:0000:0000:0000:FFFF:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::ffff:0:8.8.8.8",
    "64:ff9b::169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",  # Teredo
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "3fff:fff:ffff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # AWS
    "fd20:ce::254",  # GCP
    "fd00:c1::a9fe:a9fe",  # Oracle
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "4000::1",
    "2606:4700::5efe:10.0.0.1",
    "2606:4700::200:5efe:127.0.0.1",
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "168.63.129.15",
    "192.0.1.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "3ffe::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2606:4700::5efe:8.8.8.8",
    "2606:4700::100:5efe:10.0.0.1",
]


def reason_of(url: str, *, allow_private: bool = False) -> str:
    with pytest.raises(BadTarget) as refused:
        parse_target(url, allow_private=allow_private)
    assert refused.value.message == str(refused.value)
    assert refused.value.message.endswith(".")
    return refused.value.reason


def url_of(address: str) -> str:
    return f"https://[{address}]/hook" if ":" in address else f"https://{address}/hook"


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_of_the_whole_internet_is_refused_as_an_address_and_in_a_url(address: str) -> None:
    assert not is_public(address)
    assert reason_of(url_of(address)) == "private_address"
    assert parse_target(url_of(address), allow_private=True).path == "/hook"


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_accepted_as_an_address_and_in_a_url(address: str) -> None:
    assert is_public(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    host = parse_target(url_of(address), allow_private=False).host
    assert socket.inet_pton(family, host) == socket.inet_pton(family, address)


@pytest.mark.parametrize(
    "text", ["", "example.com", "8.8.8", "0x8.8.8.8", "010.8.8.8", "[::1]", "2606:4700::1%1", "8.8.8.8 ", "8.8.8.8/32"]
)
def test_what_is_no_address_is_not_public(text: str) -> None:
    assert not is_public(text)


def test_addresses_may_be_given_as_objects() -> None:
    assert is_public(IPv4Address("8.8.8.8"))
    assert not is_public(IPv4Address("10.0.0.1"))
    assert is_public(IPv6Address("2606:4700::1"))
    assert not is_public(IPv6Address("2606:4700::1%eth0"))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/", "not_https"),
        ("ftp://example.com/", "not_https"),
        ("javascript://example.com/", "not_https"),
        ("file:///etc/passwd", "not_https"),
        ("", "invalid"),
        ("example.com", "invalid"),
        ("//example.com/", "invalid"),
        ("https:example.com", "invalid"),
        ("https:/example.com", "invalid"),
        (" https://example.com/", "invalid"),
        ("\thttps://example.com/", "invalid"),
        ("https://example.com/" + "x" * 2_029, "too_long"),
        ("https://example.com/\n", "invalid"),
        ("https://example.com/a b", "invalid"),
        ("https://example.com/a\r\nX-Injected: 1", "invalid"),
        ("https://example.com/\x00", "invalid"),
        ("https://example.com/\x7f", "invalid"),
        ("https://example.com/ü", "invalid"),
        ("https://example.com/?q=ü", "invalid"),
        ("https://example.com/a\\b", "invalid"),
        ("https://example.com\\.evil.com/", "invalid"),
        ("https:\\\\example.com/", "invalid"),
        ("https://exam\tple.com/", "invalid"),
        ("https://example.com\n/", "invalid"),
        ("https://user@example.com/", "userinfo"),
        ("https://user:secret@example.com/", "userinfo"),
        ("https://@example.com/", "userinfo"),
        ("https://8.8.8.8@127.0.0.1/", "userinfo"),
        ("https://evil.com\\@example.com/", "userinfo"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com#", "fragment"),
        ("https://example.com#@127.0.0.1/", "fragment"),
        ("https:///hook", "invalid_host"),
        ("https://:443/", "invalid_host"),
        ("https://./", "invalid_host"),
        ("https://example.com../", "invalid_host"),
        ("https://127.0.0.1../", "invalid_host"),
        ("https://.example.com/", "invalid_host"),
        ("https://example..com/", "invalid_host"),
        ("https://-example.com/", "invalid_host"),
        ("https://example-.com/", "invalid_host"),
        ("https://ex_ample.com/", "invalid_host"),
        ("https://*.example.com/", "invalid_host"),
        ("https://exa%6dple.com/", "invalid_host"),
        ("https://127%2e0.0.1/", "invalid_host"),
        ("https://%31%32%37.0.0.1/", "invalid_host"),
        ("https://" + "x" * 64 + ".com/", "too_long"),
        ("https://" + "x." * 126 + "com/", "too_long"),
        ("https://example.com:/", "invalid_port"),
        ("https://example.com:0/", "invalid_port"),
        ("https://example.com:65536/", "invalid_port"),
        ("https://example.com:000443/", "invalid_port"),
        ("https://example.com:-1/", "invalid_port"),
        ("https://example.com:+443/", "invalid_port"),
        ("https://example.com:https/", "invalid_port"),
        ("https://example.com:４４３/", "invalid_port"),
        ("https://example.com:80:443/", "invalid_port"),
        ("https://[::1/", "invalid_host"),
        ("https://::1/", "invalid_host"),
        ("https://2606:4700::1111/", "invalid_host"),
        ("https://[2606:4700::1111]x/", "invalid_host"),
        ("https://[2606:4700::1111]./", "invalid_host"),
        ("https://[2606:4700::1111%25eth0]/", "invalid_host"),
        ("https://[fe80::1%eth0]/", "invalid_host"),
        ("https://[8.8.8.8]/", "invalid_host"),
        ("https://[v1.a]/", "invalid_host"),
        ("https://[]/", "invalid_host"),
        ("https://[[::1]]/", "invalid_host"),
        ("https://2130706433/", "invalid_host"),
        ("https://2130706433./", "invalid_host"),
        ("https://0/", "invalid_host"),
        ("https://0177.0.0.1/", "invalid_host"),
        ("https://0x7f.0.0.1/", "invalid_host"),
        ("https://0x7f000001/", "invalid_host"),
        ("https://0X7F.1/", "invalid_host"),
        ("https://127.0.0.0x1/", "invalid_host"),
        ("https://127.1/", "invalid_host"),
        ("https://127.0.1/", "invalid_host"),
        ("https://017700000001/", "invalid_host"),
        ("https://127.0.0.01/", "invalid_host"),
        ("https://8.8.8.010/", "invalid_host"),
        ("https://8.8.8.8.8/", "invalid_host"),
        ("https://8.8.8.256/", "invalid_host"),
        ("https://example.0x/", "invalid_host"),
        ("https://example.123/", "invalid_host"),
        ("https://１２７.0.0.1/", "invalid_host"),
        ("https://127。0。0。1/", "invalid_host"),
        ("https://①②⑦.0.0.1/", "invalid_host"),
        ("https://ｅxample.com/", "invalid_host"),
        ("https://example。com/", "invalid_host"),
        ("https://bücher.example\u3000/", "invalid_host"),
        ("https://bücher\u200b.example/", "invalid_host"),
        ("https://bücher\\.example/", "invalid_host"),
        ("https://bücher..example/", "invalid_host"),
        ("https://bücher.1/", "invalid_host"),
        ("https://١٢٧.0.0.1/", "invalid_host"),
        ("https://example.com／@evil.com/", "userinfo"),
        ("https://example.com？x/", "invalid_host"),
    ],
)
def test_a_url_that_is_no_target_is_refused_by_name_also_where_private_ones_are_allowed(url: str, reason: str) -> None:
    assert reason_of(url) == reason
    if not url.startswith("http:"):
        assert reason_of(url, allow_private=True) == reason


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost/",
        "https://LOCALHOST/",
        "https://localhost./",
        "https://localhost:8443/",
        "https://a.localhost/",
        "https://printer.local/",
        "https://metadata.google.internal/computeMetadata/v1/",
        "https://metadata.google.internal./",
        "https://ip-10-0-0-1.eu-west-1.compute.INTERNAL/",
        "https://router.home.arpa/",
        "https://home.arpa/",
        "https://metadata/",
        "https://intranet./",
        "https://bücher/",
        "https://127.0.0.1./",
        "https://127.0.0.1:8443/",
        "https://[::FFFF:127.0.0.1]:8443/",
    ],
)
def test_a_private_url_is_refused_unless_private_ones_are_allowed(url: str) -> None:
    assert reason_of(url) == "private_address"
    parse_target(url, allow_private=True)


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        ("https://example.com", Target("https", "example.com", 443, "/"), "example.com"),
        ("HTTPS://Hooks.EXAMPLE.com./a//b/", Target("https", "hooks.example.com", 443, "/a//b/"), "hooks.example.com"),
        ("https://example.com?a=1", Target("https", "example.com", 443, "/?a=1"), "example.com"),
        ("https://a.io/b?c=d?e&f=@:[]", Target("https", "a.io", 443, "/b?c=d?e&f=@:[]"), "a.io"),
        ("https://a.io/%0d%0a/~x", Target("https", "a.io", 443, "/%0d%0a/~x"), "a.io"),
        ("https://example.com:443/", Target("https", "example.com", 443, "/"), "example.com"),
        ("https://example.com:8443/", Target("https", "example.com", 8443, "/"), "example.com:8443"),
        ("https://example.com:65535/", Target("https", "example.com", 65535, "/"), "example.com:65535"),
        ("https://BÜCHER.example/", Target("https", "xn--bcher-kva.example", 443, "/"), "xn--bcher-kva.example"),
        ("https://例え.jp./", Target("https", "xn--r8jz45g.jp", 443, "/"), "xn--r8jz45g.jp"),
        ("https://xn--bcher-kva.example/", Target("https", "xn--bcher-kva.example", 443, "/"), "xn--bcher-kva.example"),
        ("https://8.8.8.8./", Target("https", "8.8.8.8", 443, "/"), "8.8.8.8"),
        ("https://1.example.com/", Target("https", "1.example.com", 443, "/"), "1.example.com"),
        ("https://127.0.0.1.example.com/", Target("https", "127.0.0.1.example.com", 443, "/"), "127.0.0.1.example.com"),
        ("https://mylocal/", None, ""),
        ("https://mylocal.io/", Target("https", "mylocal.io", 443, "/"), "mylocal.io"),
        (
            "https://[2606:4700:0::1111]:8443/x",
            Target("https", "2606:4700::1111", 8443, "/x"),
            "[2606:4700::1111]:8443",
        ),
        ("https://[2606:4700::AB]/x", Target("https", "2606:4700::ab", 443, "/x"), "[2606:4700::ab]"),
    ],
)
def test_a_public_url_is_taken_apart(url: str, target: Target | None, authority: str) -> None:
    if target is None:
        assert reason_of(url) == "private_address"
    else:
        found = parse_target(url, allow_private=False)
        assert (found, found.authority) == (target, authority)


def test_plain_http_is_allowed_where_private_urls_are() -> None:
    found = parse_target("http://localhost:3000/hook", allow_private=True)
    assert (found, found.authority) == (Target("http", "localhost", 3000, "/hook"), "localhost:3000")
    assert parse_target("http://localhost/", allow_private=True).authority == "localhost"


def test_a_url_of_2048_characters_is_accepted() -> None:
    url = "https://example.com/".ljust(2_048, "x")
    assert len(parse_target(url, allow_private=False).path) == 2_048 - len("https://example.com")


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:DB8:1:2::9", "2001:db8:1:2::"),
        ("2001:db8:1:3::9", "2001:db8:1:3::"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("not an address", "not an address"),
        ("", ""),
    ],
)
def test_one_household_is_one_network(ip: str, network: str) -> None:
    assert network_of(ip) == network
