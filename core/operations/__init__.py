"""Everything that one can launch: the protocol, the registry, and one file per operation.

An operation is one file that ends in ``OPERATION = Operation(...)``. Page, terminal, REST route and
schedule are made from that; nothing else has to be written for it to be launched, logged and shown.
"""

from __future__ import annotations
