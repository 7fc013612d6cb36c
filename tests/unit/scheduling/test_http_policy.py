"""Which web servers may be asked, by URL and by address."""

from __future__ import annotations

import json

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.http_policy import HttpPolicy, read_policy, same_origin

POLICY = read_policy(
    json.dumps({"allow": ["https://api.example.com", "http://*.svc:8080/"], "allowNetworks": ["10.96.0.0/12"]})
)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com",
        "https://API.example.com./x?y=1",
        "https://api.example.com:443/",
        "http://files.default.svc:8080/a",
    ],
)
def test_what_the_list_names(url: str) -> None:
    POLICY.check_url(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://api.example.com/", "NotAllowed"),  # another scheme
        ("https://api.example.com:8443/", "NotAllowed"),
        ("https://api.example.com.evil.org/", "NotAllowed"),
        ("https://evil.org/https://api.example.com", "NotAllowed"),
        ("https://evil.org/#@api.example.com", "NotAllowed"),
        ("http://svc:8080/", "NotAllowed"),  # not below itself
        ("http://evilsvc:8080/", "NotAllowed"),
        ("https://api.example.com@evil.org/", "InvalidUrl"),
        ("https://user:pass@api.example.com/", "InvalidUrl"),
        ("https://api.example.com\\@evil.org/", "InvalidUrl"),
        ("https://api.example.com /", "InvalidUrl"),
        ("file:///etc/passwd", "InvalidUrl"),
        ("gopher://api.example.com/", "InvalidUrl"),
        ("https:///x", "InvalidUrl"),
        ("https://api.example.com:x/", "InvalidUrl"),
    ],
)
def test_what_it_does_not(url: str, reason: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        POLICY.check_url(url)
    assert refused.value.reason == reason
    assert "pass" not in refused.value.message.replace("password", "").replace("passwd", "")


def test_off_without_a_list() -> None:
    with pytest.raises(DefinitionError, match="allow is empty"):
        HttpPolicy().check_url("https://api.example.com")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("10.96.0.1", True),  # in a network that is allowed
        ("::ffff:10.96.0.1", True),
        ("10.0.0.1", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::a9fe:a9fe", False),  # the metadata address through NAT64
        ("64:ff9b:1::a9fe:a9fe", False),
        ("2002:a9fe:a9fe::1", False),  # and through 6to4
        ("fe80::1", False),
        ("fd00:ec2::254", False),
        ("ff02::1", False),
        ("2130706433", False),
        ("0177.0.0.1", False),
        ("localhost", False),
    ],
)
def test_addresses(address: str, allowed: bool) -> None:
    assert POLICY.allows_address(address) is allowed


@pytest.mark.parametrize("text", ["{", '{"allowNetworks": ["10.0.0.1/8"]}', '{"allow": ["example.com"]}'])
def test_settings_that_are_wrong(text: str) -> None:
    with pytest.raises(DefinitionError):
        read_policy(text)


def test_one_server() -> None:
    assert same_origin("https://a.b/x", "https://A.b:443/y")
    assert not same_origin("https://a.b/x", "http://a.b/x")
