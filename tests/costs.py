"""What costs much, is bought of others and is not what most tests look at: done lightly or once."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from core.access import codes

#: how the product hashes passwords
AS_SHIPPED = codes._PASSWORDS
#: what it verifies when nobody has the name
NOBODY_AS_SHIPPED = codes._NOBODY


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Iterator[None]:
    """A password is stretched for a millisecond here instead of a tenth of a second.

    Processes that a test starts, the app above all, stretch theirs in full.
    """
    with pytest.MonkeyPatch.context() as patched:
        light = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        patched.setattr(codes, "_PASSWORDS", light)
        patched.setattr(codes, "_NOBODY", light.hash("a password that nobody has"))
        yield


@pytest.fixture(scope="session")
def components_looked_up_once() -> Iterator[None]:
    """Every AppTest reads what each installed package says of itself, to find components (1.59)."""
    from streamlit.components.v2 import manifest_scanner  # most tiers do without Streamlit

    once = functools.cache(manifest_scanner.scan_component_manifests)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(manifest_scanner, "scan_component_manifests", once)
        yield
