"""Which network addresses are public, however they are written."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: IPv4 behind IPv6 where a network translates (RFC 6052); Python calls all of it public
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


def address_of(text: str) -> Address | None:
    """The address of a text, an IPv4 one within IPv6 taken out; None for a name."""
    try:
        address = ipaddress.ip_address(text.split("%", maxsplit=1)[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def is_public(address: Address) -> bool:
    """False for loopback, private, link-local, multicast and reserved addresses."""
    return address.is_global and not address.is_multicast
