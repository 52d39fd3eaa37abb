"""CumulusCI's command line with plain http to orgs of this machine; run by CumulusCI's own Python.

    PYTHON benchmarks/cumulus_way.py TASK OPTION…        as ``cci task run`` takes them

CumulusCI spells every address with https; practice orgs answer on loopback without TLS.
"""

from __future__ import annotations

import sys
from typing import Any

from cumulusci.cli.cci import main
from requests.adapters import HTTPAdapter

_send = HTTPAdapter.send


def _plain(self: HTTPAdapter, request: Any, *args: Any, **kwargs: Any) -> Any:
    request.url = request.url.replace("https://127.0.0.1", "http://127.0.0.1", 1)
    return _send(self, request, *args, **kwargs)


HTTPAdapter.send = _plain
main(["cci", "task", "run", *sys.argv[1:]])
