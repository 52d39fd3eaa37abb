"""Takes a signed JWT (RS256) apart; whether its signature is right is the caller's question."""

from __future__ import annotations

import base64
import json
from typing import Any


def read(assertion: str) -> tuple[dict[str, Any], bytes, bytes]:
    """Return the claims, the bytes that were signed, and the signature.

    Raises:
        ValueError: it is no JWT, or its algorithm is another.
    """
    pieces = assertion.split(".")
    if len(pieces) != 3:
        raise ValueError("a JWT has three parts")
    header, claims = (json.loads(_decoded(piece)) for piece in pieces[:2])
    if not isinstance(header, dict) or header.get("alg") != "RS256" or not isinstance(claims, dict):
        raise ValueError("only RS256")
    return claims, f"{pieces[0]}.{pieces[1]}".encode(), _decoded(pieces[2])


def _decoded(piece: str) -> bytes:
    return base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4))
