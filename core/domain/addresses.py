"""Which network addresses are public, however they are written."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: IPv4 behind IPv6 where a network translates (RFC 6052); Python calls all of it public
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
#: what IANA has given out for global unicast (RFC 4291, 2.4). Python calls much of the rest global:
#: IPv4 written as ::127.0.0.1, a network's own translation (64:ff9b:1::/48), site-local fec0::/10
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


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
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast
