"""What Salesforce does to particular standard objects, one module a family of objects."""

from __future__ import annotations
