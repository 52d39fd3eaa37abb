"""The wire to one Salesforce org: session, reading, writing, and what went wrong.

    OrgClient ──▶ queries · bulk · collections · describes     what one may ask an org
        └──────▶ Wire ──▶ Session (one token, one refresh)     how a request gets there
                    ├──▶ RetryPolicy                           when it is sent again
                    └──▶ faults.classify                       what a refusal means

Nothing outside this room imports ``simple_salesforce`` or sees an exception of urllib3 or requests.
"""

from __future__ import annotations
