"""What an org's metadata says: objects, fields with every describe attribute, record types,
rules."""

from __future__ import annotations
