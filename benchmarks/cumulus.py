"""CumulusCI beside us: ``extract_dataset`` into its SQLite file, ``load_dataset`` out of it.

Its Bulk mode speaks Bulk API 1.0, by which practice orgs take no rows, so it goes by REST (``api:
rest``: 200 rows a call). It is kept in a virtual environment of its own, since it needs other
versions of our libraries; ``CUMULUSCI_HOME`` names one that is there, else it is made at first use.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.org_pair import FIELDS, HOME, LOOKUPS, OrgUnderTest
from benchmarks.rivals import Tool, call, rounds_of

VERSION = "4.10.1"
WAY = Path(__file__).parent / "cumulus_way.py"
PROJECT_FILE = """
project:
  name: bench
  package: {name: bench, api_version: '62.0'}
"""
#: lookup → object that it points to
PARENTS = {"ParentId": "Account", "AccountId": "Account", "ReportsToId": "Contact"}


def cumulusci(source: OrgUnderTest, target: OrgUnderTest, folder: Path) -> Tool:
    """CumulusCI by a mapping file: upsert by the code, lookups to the own object afterwards."""
    python = _python()
    (folder / "cumulusci.yml").write_text(PROJECT_FILE)
    (folder / "mapping.yml").write_text(json.dumps(mapping(), indent=1))  # JSON is YAML
    call(["git", "init", "-q"], cwd=folder)
    env = {
        **os.environ, "HOME": str(folder), "CUMULUSCI_DISABLE_REFRESH": "1",
        "CUMULUSCI_KEY": "0123456789abcdef",
        "CUMULUSCI_ORG_legacy": _org(source), "CUMULUSCI_ORG_new": _org(target),
    }  # fmt: skip
    both = " && ".join(
        shlex.join([str(python), str(WAY), task, "--org", org, "--mapping", "mapping.yml",
                    "--sql_path", "data.sql"])
        for task, org in (("extract_dataset", "legacy"), ("load_dataset", "new"))
    )  # fmt: skip
    command = ["sh", "-c", both]
    return Tool("CumulusCI by REST", VERSION, rounds_of(command, cwd=folder, env=env))


def mapping() -> dict[str, Any]:
    """Its mapping file: a step per object, named as the other steps refer to it."""
    steps = {}
    for sobject, fields in FIELDS.items():
        step = f"Upsert {sobject}"
        lookups = {}
        for name in LOOKUPS[sobject]:
            own = {"after": step} if PARENTS[name] == sobject else {}
            lookups[name] = {"table": PARENTS[name], **own}
        steps[step] = {
            "sf_object": sobject, "table": sobject, "api": "rest", "action": "upsert",
            "update_key": "Code__c", "fields": list(fields), "lookups": lookups,
        }  # fmt: skip
    return steps


def _org(org: OrgUnderTest) -> str:
    """As its environment names an org; it cuts ``https://`` off and puts it before again."""
    ready = org.ready
    url = ready["url"].replace("http://", "https://", 1)
    identity = f"{url}/id/{ready['organization_id']}/{ready['user_id']}"
    known = {"instance_url": url, "access_token": ready["access_token"], "id": identity}
    return json.dumps(known)


def _python() -> Path:
    home = Path(os.environ.get("CUMULUSCI_HOME", HOME / "cumulusci"))
    python = home / "bin" / "python"
    if not python.exists():
        uv = [sys.executable, "-m", "uv"]
        call([*uv, "venv", "-q", str(home)])
        call([*uv, "pip", "install", "-q", "--python", str(python), f"cumulusci=={VERSION}"])
    subprocess.run([python, "-c", "import cumulusci"], check=True, capture_output=True)
    return python
