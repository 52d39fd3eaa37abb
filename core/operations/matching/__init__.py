"""Which records are likely the same: exact groups, and pairs scored without a hand-set threshold.

    fields ─▶ normal form ─▶ blocking (pairs worth a look) ─▶ levels ─▶ weights ─▶ clusters

Fellegi-Sunter with term frequencies. How often a level occurs among the same (m) and among
strangers (u) is estimated from the data themselves, so that no threshold is tuned per data set.
Knows frames only; orgs and tables are the operation's business.
"""

from __future__ import annotations
