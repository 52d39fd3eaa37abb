"""Opens a run: the orgs are those of the launch, the plan has everything said, its steps and its
part of the ledger are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from core.db import ledger, runs
from core.db.ledger import LinkSetRow
from core.db.run_state import Commit, RunStore
from core.domain.describe import SObject
from core.domain.hashing import HASH_VERSION
from core.domain.plan import Plan
from core.errors import DailyLimitError, RefusedError, SessionLostError, UserError
from core.migration.context import Pulse, RunContext
from core.migration.deciding import FailureLimit
from core.migration.idmap import IdCodes, IdMap
from core.migration.lookups import Translator
from core.migration.resolve import Resolved, resolve
from core.migration.spec import Step
from core.salesforce.client import OrgClient
from core.salesforce.source import RowSource
from core.spool import RunSpool

#: modes in which nothing is written to the target
READ_ONLY_MODES = frozenset({"dry-run"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A run, its plan as it is carried, and what the worker brings along."""

    row: runs.RunRow
    plan: Plan
    store: RunStore
    spool: RunSpool
    source: RowSource
    target: OrgClient
    pulse: Pulse
    sleep: Callable[[float], None]


def opened(given: Given) -> tuple[RunContext, Resolved, dict[str, LinkSetRow]]:
    """The run in progress, its steps, and its part of the ledger by mapping.

    Raises:
        UserError: the target is another org than at the launch, or the order cannot be settled;
        nothing was sent.
    """
    row, target = given.row, given.target
    source_org, target_org = given.source.identity, target.identity
    pair = f"{source_org.organization_id}:{target_org.organization_id}"
    if target_org.organization_id != row.target_organization_id:
        raise UserError(
            "The target connection leads to another org than when this run was launched.",
            state="Nothing was sent.",
            next_step="Start a new run of the plan.",
        )
    resolved = _resolved(given)
    if resolved.cycles:
        raise UserError(
            f"The order cannot be settled: {resolved.cycles[0].sentence}.",
            state="Nothing was sent.",
            next_step="Make one of the lookups wait (defer), or leave it out.",
        )
    watermark = _watermark(given)
    sets = _link_sets(given, resolved, pair)
    ids, maps = IdCodes(), {step.name: IdMap() for step in resolved.steps}
    run = RunContext(
        store=given.store,
        spool=given.spool,
        source=given.source,
        target=target,
        pulse=given.pulse,
        translator=Translator(given.source, target, ids=ids, maps=maps),
        org_pair=pair,
        watermark=watermark,
        ids=ids,
        maps=maps,
        link_sets={name: found.id for name, found in sets.items()},
        limit=FailureLimit(given.store, row.options),
        writes=writes(row),
        sleep=given.sleep,
        is_canary=row.mode == "canary",
    )
    return run, resolved, sets


def writes(row: runs.RunRow) -> bool:
    """Whether a run may change anything in the target."""
    return row.mode not in READ_ONLY_MODES and not row.options.get("preview")


def clock_of(org: RowSource) -> datetime:
    """The org's own clock; ours where the org does not tell it."""
    try:
        return org.server_time()
    except RefusedError as refused:
        if isinstance(refused, SessionLostError | DailyLimitError):
            raise
        return datetime.now(UTC)


def iso(at: datetime) -> str:
    """UTC to the millisecond, without zone: as SystemModstamp is compared."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:23]


def _resolved(given: Given) -> Resolved:
    sources: dict[str, SObject] = {}
    targets: dict[str, SObject] = {}
    for found, org, names in (
        (sources, given.source, {entry.source for entry in given.plan.objects}),
        (targets, given.target, {entry.target for entry in given.plan.objects}),
    ):
        for sobject in org.describe_many(sorted(names)):
            found[sobject.name.lower()] = sobject
    return resolve(given.plan, sources, targets)


def _watermark(given: Given) -> str:
    at = given.row.watermark
    if at is None:
        at = clock_of(given.source)
        with given.store.commit(of_run=True) as commit:
            commit.watermark(at)
    return iso(at)


def _link_sets(given: Given, resolved: Resolved, pair: str) -> dict[str, LinkSetRow]:
    only = set(given.row.options.get("only") or ())
    with given.store.commit() as commit:
        for step in resolved.steps:
            if not only or step.name in only:
                _add_steps(commit, step, given.row.mode)
                runs.keep_mapping(
                    commit.session,
                    given.row.id,
                    step.name,
                    source=step.source.name,
                    target=step.target.name,
                    document=step.document(),
                )
        workspace = given.store.workspace_id
        sets = {
            step.name: ledger.link_set(commit.session, workspace, org_pair=pair, mapping=step.name)
            for step in resolved.steps
        }
        for found in sets.values() if writes(given.row) else ():
            ledger.begin(commit.session, found.id, run_id=given.row.id, hash_scheme=HASH_VERSION)
    return sets


def _add_steps(commit: Commit, step: Step, mode: str) -> None:
    phases = ["undo"] if mode == "undo" else ["load"]
    if mode != "undo" and any(
        lookup.deferred or lookup.own or (mode == "canary" and lookup.parents)
        for lookup in step.lookups
    ):
        phases.append("second_pass")
    if mode != "undo" and step.mapping.final_fields:
        phases.append("finally")
    for phase in phases:
        commit.add_step(
            {
                "mapping_name": step.name,
                "source_object": step.source.name,
                "target_object": step.target.name,
                "operation": step.operation.value,
                "phase": phase,
                "wave": step.wave,
                "position": step.position,
            }
        )
