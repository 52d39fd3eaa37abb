"""Who may call the org: sessions and the OAuth flows that make them."""

from __future__ import annotations
