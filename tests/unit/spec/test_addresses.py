"""Addresses as numbers agree with the standard library's."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haconiwa.spec.addresses import (
    format_address,
    format_network,
    holds,
    is_loopback,
    network_of,
    parse_address,
    parse_network,
)

ADDRESSES = st.ip_addresses()


@given(ADDRESSES)
def test_addresses_are_read_and_written(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert parse_address(str(address)) == (address.version, int(address))
    assert parse_address(format_address(address.version, int(address))) == (address.version, int(address))


@given(ADDRESSES, st.data())
def test_networks(address: ipaddress.IPv4Address | ipaddress.IPv6Address, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, address.max_prefixlen))
    network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    version, number, parsed = parse_network(f"{address}/{length}")
    assert (version, number, parsed) == (address.version, int(address), length)
    assert network_of(version, number, length) == int(network.network_address)
    assert ipaddress.ip_network(format_network(version, number, length)) == network
    other = data.draw(st.ip_addresses(v=address.version))
    assert holds((version, number, length), other.version, int(other)) == (other in network)


@given(st.text())
def test_what_is_no_address_is_refused(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - that is all there is to say
            parse_address(text)


@pytest.mark.parametrize("text", ["10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/²", "10.0.0.0/-1", "10.0.0.0/0001"])
def test_wrong_lengths(text: str) -> None:
    with pytest.raises(ValueError, match=r"10|::"):
        parse_network(text)


def test_loopback() -> None:
    assert is_loopback(*parse_address("127.3.2.1"))
    assert is_loopback(*parse_address("::1"))
    assert not is_loopback(*parse_address("10.0.0.1"))
