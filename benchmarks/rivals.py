"""The tools that move the same rows beside us, each as commands and what they need beforehand.

SFDMU comes from npm (`benchmarks/sfdmu`, ``npm install`` at first use) or, where ``SFDMU_HOME``
names a built checkout, from there. simple-salesforce is a dependency of ours. CumulusCI stands in
`benchmarks.cumulus`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.org_pair import FIELDS, LOOKUPS, OrgUnderTest, as_installed
from benchmarks.practice_org import PROJECT
from benchmarks.tree import Cost, measured

SFDMU = Path(__file__).parent / "sfdmu"
#: ours polls from 0.1 s on; a rival that can be told is told the same
POLL_S = 0.1
#: a round of a rival ends here at the latest: a lower bound is told, and the others get their turn
ROUND_LIMIT_S = 400.0


class NotToBeHadError(RuntimeError):
    """A tool cannot be installed or run here; the message says why."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One way to move the rows of a pair; made anew for every pair."""

    name: str
    version: str
    #: moves everything that is missing or changed
    run: Callable[[], Cost]


def ours(source: OrgUnderTest, target: OrgUnderTest, folder: Path, *, verify: bool = False) -> Tool:
    """``cli.py run``, database and worker included, its before-images metered; orgs and plan are
    registered beforehand."""
    cli = registered(source, target, folder, plan=plan_text())
    proof = "--verify" if verify else "--no-verify"
    name = "ours, with verify" if verify else "ours"
    run = ("run", "bench", "--json", proof)
    return Tool(name, "", lambda: cli(*run, program=("-m", "benchmarks.metered")))


def registered(
    source: OrgUnderTest, target: OrgUnderTest, folder: Path, *, plan: str
) -> Callable[..., Cost]:
    """Our terminal with a home of its own that knows both orgs and the plan."""
    env = as_installed(folder / "home")

    def cli(*arguments: str, program: Sequence[str] = ("cli.py",)) -> Cost:
        return measured([sys.executable, *program, *arguments], cwd=PROJECT, env=env)

    for name, org in (("legacy", source), ("new", target)):
        ready = org.ready
        reach = ("--instance-url", ready["url"], "--access-token", ready["access_token"])
        _checked(cli("orgs", "add", name, *reach))
    file = folder / "plan.yaml"
    file.write_text(plan)
    _checked(cli("plans", "import", str(file)))
    return cli


def plan_text() -> str:
    """The plan: every field as it is, matched by the code."""
    lines = ["orgbridge: 1", "name: bench", "source: legacy", "target: new", "objects:"]
    for sobject, names in FIELDS.items():
        lines += [
            f"  - source: {sobject}",
            "    key: Code__c",
            "    skip: [OwnerId]",
            "    fields:",
        ]
        lines += [f"      {name}: {name}" for name in names]
    return "\n".join([*lines, ""])


def sfdmu(source: OrgUnderTest, target: OrgUnderTest, folder: Path) -> Tool:
    """SFDMU by its export.json: upsert by the code, Bulk API 2.0 for writing, 1.0 for reading."""
    program, version = _sfdmu_program()
    orgs = [
        {"name": name, "instanceUrl": org.ready["url"], "accessToken": org.ready["access_token"]}
        for name, org in (("legacy", source), ("new", target))
    ]
    objects = [
        {"query": f"SELECT {', '.join(('Id', *FIELDS[name], *LOOKUPS[name]))} FROM {name}",
         "operation": "Upsert", "externalId": "Code__c"}
        for name in FIELDS
    ]  # fmt: skip
    document = {"orgs": orgs, "objects": objects, "bulkApiVersion": "2.0", "apiVersion": "62.0",
                "pollingIntervalMs": int(POLL_S * 1000)}  # fmt: skip
    (folder / "export.json").write_text(json.dumps(document, indent=1))
    # 1M rows do not fit into node's usual heap
    env = {**os.environ, "HOME": str(folder), "NODE_OPTIONS": "--max-old-space-size=12000"}
    verb = ["sfdmu", "run"] if program.name == "run.js" else ["sfdmu:run"]
    command = ["node", str(program), *verb, "-p", str(folder), "--sourceusername",
               "legacy", "--targetusername", "new", "--noprompt"]  # fmt: skip
    return Tool("SFDMU", version, rounds_of(command, cwd=folder, env=env))


def _sfdmu_program() -> tuple[Path, str]:
    home = Path(os.environ.get("SFDMU_HOME", SFDMU / "node_modules" / "sfdmu"))
    if not home.exists():
        call(["npm", "install", "--no-save"], cwd=SFDMU)
    version = json.loads((home / "package.json").read_text())["version"]
    program = home / "bin" / "run.js"
    if not program.exists():
        program = SFDMU / "run_three.js"
    return program, version


def simple_salesforce(source: OrgUnderTest, target: OrgUnderTest, folder: Path) -> Tool:
    """simple-salesforce's bulk2: query to files, upsert of these; lookups by the parents' code."""
    return _python(sys.executable, "simple_salesforce", source, target)


def floor(source: OrgUnderTest, target: OrgUnderTest, folder: Path) -> Tool:
    """The same bytes down and up again, streamed, nothing done with them."""
    return _python(sys.executable, "floor", source, target)


def _python(python: str, way: str, source: OrgUnderTest, target: OrgUnderTest) -> Tool:
    given = [json.dumps({"url": org.ready["url"], "token": org.ready["access_token"]})
             for org in (source, target)]  # fmt: skip
    plan = json.dumps({name: [list(FIELDS[name]), list(LOOKUPS[name])] for name in FIELDS})
    script = str(Path(__file__).parent / "other_ways.py")
    said = measured([python, script, way, "--version"]).said.strip().splitlines()
    command = [python, script, way, *given, plan]
    return Tool(way.replace("_", "-"), said[-1] if said else "", rounds_of(command))


def rounds_of(
    command: Sequence[str], *, cwd: Path | None = None, env: dict[str, str] | None = None
) -> Callable[[], Cost]:
    """A rival's command, to be run once a round, each time within the limit."""
    return partial(measured, command, cwd=cwd, env=env, limit_s=ROUND_LIMIT_S)


def _checked(cost: Cost) -> None:
    if cost.status:
        raise NotToBeHadError(cost.said[-2000:])


def call(command: Sequence[str], *, cwd: Path | None = None) -> None:
    """Runs a command that sets a tool up.

    Raises:
        NotToBeHadError: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    if done.returncode:
        raise NotToBeHadError(f"{' '.join(command)}: {done.stderr.strip()[-400:]}")
