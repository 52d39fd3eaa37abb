"""Plans as people handle them: make, import, edit, keep versions, compare, restore, remove.

A plan's document is the same in the database, in a plan file and in the editor. Edits go to the
draft under its revision number; `cut_version` freezes it. Each verb checks the role, acts in one
transaction and leaves an audit row. What a document means for two orgs is the preflight's business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

from core.access import audit, roles
from core.db import plans as rows
from core.db.plans import PlanRow, VersionRow
from core.domain import names
from core.domain.plan import Plan, dump_plan, parse_plan, plan_document, plan_from_document
from core.domain.roles import Role
from core.errors import UserError
from core.plans.compare import PlanChange, compare_plans
from core.services import plan_memory

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor
    from core.plans.importers import Note

__all__ = ["PlanRow", "PlanView", "VersionRow"]


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan with the document being edited."""

    row: PlanRow
    plan: Plan


def plans(bridge: Orgbridge, actor: Actor) -> tuple[PlanRow, ...]:
    """All plans of the workspace, the last changed first.

    What waits for review is as the editor counted it last, at this revision; None for a plan that
    maps by itself and that nobody opened since the app started.
    """
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        found = rows.live_plans(session)
    counted = (plan_memory.known_to_review(row.id, row.revision) for row in found)
    return tuple(
        row if fields is None else replace(row, to_review=fields)
        for row, fields in zip(found, counted, strict=True)
    )


def row(bridge: Orgbridge, actor: Actor, plan_id: UUID) -> PlanRow:
    """One plan without its document.

    Raises:
        NotFoundError: there is none.
    """
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        return rows.plan_row(session, plan_id=plan_id)


def plan(
    bridge: Orgbridge, actor: Actor, plan_id: UUID | None = None, *, name: str | None = None
) -> PlanView:
    """One plan by id or name.

    Raises:
        NotFoundError: there is none.
    """
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        return _view(session, plan_id=plan_id, name=name)


def create(bridge: Orgbridge, actor: Actor, document: Plan) -> UUID:
    """Keeps a new plan; its source and target are found among the registered orgs by name.

    Raises:
        UserError: a plan of that name exists; nothing was saved.
    """
    roles.require(actor, Role.ANALYST)
    with bridge.session(actor.workspace_id) as session:
        plan_id = rows.insert_plan(
            session,
            name=document.name,
            document=plan_document(document),
            source_org_id=rows.org_id_by_name(session, document.source),
            target_org_id=rows.org_id_by_name(session, document.target),
            by=actor.name,
        )
        audit.record(
            session,
            actor,
            "plan.create",
            subject_kind="plan",
            subject_id=plan_id,
            subject_name=document.name,
            after={"name": document.name, "objects": len(document.objects)},
        )
    return plan_id


def import_plan(bridge: Orgbridge, actor: Actor, text: str) -> UUID:
    """Keeps the plan of a plan file; a plan of that name gets the document as its new draft.

    Raises:
        UserError: the file is wrong; its message names the places. Nothing was saved.
    """
    roles.require(actor, Role.ANALYST)
    return put(bridge, actor, parse_plan(text))


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """What an import kept, and what it could not carry over."""

    plan_id: UUID
    name: str
    objects: int
    #: Orgbridge, SFDMU, Data Loader or CumulusCI
    tool: str
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignFile:
    """A file of any tool, with what it does not say itself."""

    content: bytes
    file_name: str
    #: registered names of the orgs; None where the file names them
    source: str | None = None
    target: str | None = None
    #: object of a Data Loader mapping
    sobject: str | None = None
    #: text of SFDMU's ValueMapping.csv
    values: str | None = None
    #: text of SFDMU's FieldMapping.csv
    fields: str | None = None


def import_file(bridge: Orgbridge, actor: Actor, file: ForeignFile) -> ImportOutcome:
    """Keeps the plan of a file: our own, SFDMU's, Data Loader's or CumulusCI's.

    Raises:
        UserError: the file is wrong or names no orgs; its message names the place. Nothing was
            saved.
    """
    from core.plans.importers import read_any  # with the first file: a launch needs neither
    from core.services.import_fitting import fit_import

    roles.require(actor, Role.ANALYST)
    said = read_any(
        file.content,
        file_name=file.file_name,
        source=file.source,
        target=file.target,
        sobject=file.sobject,
        values=file.values,
        fields=file.fields,
    )
    read = fit_import(bridge, actor, said)
    plan_id = put(bridge, actor, read.plan)
    return ImportOutcome(
        plan_id=plan_id,
        name=read.plan.name,
        objects=len(read.plan.objects),
        tool=read.tool,
        notes=read.notes,
    )


def put(bridge: Orgbridge, actor: Actor, document: Plan) -> UUID:
    """Keeps the document under its name, whether a plan of that name exists or not."""
    roles.require(actor, Role.ANALYST)
    known = {row.name: row for row in plans(bridge, actor)}
    row = known.get(document.name)
    if row is None:
        return create(bridge, actor, document)
    with bridge.session(actor.workspace_id) as session:
        rows.save_draft(
            session, row.id, plan_document(document), revision=row.revision, by=actor.name
        )
        _point(session, row.id, document)
        audit.record(
            session,
            actor,
            "plan.import",
            subject_kind="plan",
            subject_id=row.id,
            subject_name=document.name,
            after={"name": document.name, "objects": len(document.objects)},
        )
    return row.id


def save(bridge: Orgbridge, actor: Actor, plan_id: UUID, *, document: Plan, revision: int) -> int:
    """Saves an edited draft that was read at `revision`; returns the new revision.

    Raises:
        ConflictError: somebody saved in between; nothing was overwritten.
    """
    roles.require(actor, Role.ANALYST)
    with bridge.session(actor.workspace_id) as session:
        before = _view(session, plan_id=plan_id).plan
        saved = rows.save_draft(
            session, plan_id, plan_memory.document_of(document), revision=revision, by=actor.name
        )
        _point(session, plan_id, document)
        changes = compare_plans(before, document)
        audit.record(
            session,
            actor,
            "plan.edit",
            subject_kind="plan",
            subject_id=plan_id,
            subject_name=document.name,
            before={change.place: change.before for change in changes},
            after={change.place: change.after for change in changes},
        )
    plan_memory.keep_plan(plan_id, saved, document)
    return saved


def copy(
    bridge: Orgbridge,
    actor: Actor,
    plan_id: UUID,
    *,
    name: str,
    source: str | None = None,
    target: str | None = None,
) -> UUID:
    """A new plan with the draft of another, between the same orgs or others.

    Raises:
        UserError: a plan of that name exists, or the name is empty or too long.
    """
    original = plan(bridge, actor, plan_id).plan
    orgs = {"source": source or original.source, "target": target or original.target}
    return create(bridge, actor, original.model_copy(update={"name": named(name), **orgs}))


def named(name: str) -> str:
    """The name as a plan keeps it; one that no plan file could hold would make it unreadable.

    Raises:
        UserError: it is empty or too long.
    """
    kept = names.fitting(name, of="A plan")
    if not kept:
        raise UserError("A plan needs a name.", state="Nothing was saved.")
    return kept


def rename(bridge: Orgbridge, actor: Actor, plan_id: UUID, *, name: str) -> None:
    """Gives a plan another name; its versions and runs keep theirs.

    Raises:
        UserError: the name is taken, empty or too long.
    """
    roles.require(actor, Role.ANALYST)
    name = named(name)
    with bridge.session(actor.workspace_id) as session:
        before = rows.plan_draft(session, plan_id=plan_id).row.name
        rows.refuse_taken_name(session, name)
        rows.rename_plan(session, plan_id, name=name, by=actor.name)
        audit.record(
            session,
            actor,
            "plan.rename",
            subject_kind="plan",
            subject_id=plan_id,
            before={"name": before},
            after={"name": name},
        )


def remove(bridge: Orgbridge, actor: Actor, plan_id: UUID, *, confirm: str) -> None:
    """Takes a plan out of the lists; `confirm` is its name as typed by the person.

    Raises:
        UserError: the typed name is another.
        ConflictError: a schedule or an unfinished run uses it.
    """
    roles.require(actor, Role.ANALYST)
    with bridge.session(actor.workspace_id) as session:
        draft = rows.plan_draft(session, plan_id=plan_id)
        if confirm.strip() != draft.row.name:
            raise UserError(
                f"The typed name is not {draft.row.name}.",
                state="Nothing was deleted.",
                next_step="Type the plan's name exactly as it is shown.",
            )
        rows.remove_plan(session, plan_id, at=bridge.clock(), by=actor.name)
        audit.record(
            session,
            actor,
            "plan.delete",
            subject_kind="plan",
            subject_id=plan_id,
            before={"name": draft.row.name, "document": draft.document},
        )


def export(bridge: Orgbridge, actor: Actor, *, name: str, version: int | None = None) -> str:
    """The plan file (YAML) of the draft, or of one version."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        draft = rows.plan_draft(session, name=name)
        if version is None:
            return dump_plan(plan_from_document(draft.document))
        kept = rows.plan_version(session, draft.row.id, version)
        return dump_plan(plan_from_document(kept.document))


def versions(bridge: Orgbridge, actor: Actor, plan_id: UUID) -> tuple[VersionRow, ...]:
    """All versions, newest first, with who cut them and when."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        return rows.versions(session, plan_id)


def cut_version(
    bridge: Orgbridge,
    actor: Actor,
    plan_id: UUID,
    *,
    cut_for: str = "name",
    label: str | None = None,
) -> VersionRow:
    """Freezes the draft as a version; an equal newest version is returned instead of a twin.

    Raises:
        UserError: the label is too long.
    """
    roles.require(actor, Role.ANALYST)
    label = names.fitting(label or "", of="A version") or None
    with bridge.session(actor.workspace_id) as session:
        draft = rows.plan_draft(session, plan_id=plan_id)
        version = rows.cut_version(
            session, plan_id, draft.document, cut_for=cut_for, label=label, by=actor.name
        )
        audit.record(
            session,
            actor,
            "plan.version",
            subject_kind="plan",
            subject_id=plan_id,
            subject_name=draft.row.name,
            after={"number": version.number, "cut_for": cut_for, "label": label},
        )
    return version


def version_plan(bridge: Orgbridge, actor: Actor, plan_id: UUID, *, number: int) -> Plan:
    """The document of one version.

    Raises:
        NotFoundError: the plan has no such version.
    """
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        return plan_from_document(rows.plan_version(session, plan_id, number).document)


def compare_versions(
    bridge: Orgbridge, actor: Actor, plan_id: UUID, *, old: int, new: int | None = None
) -> tuple[PlanChange, ...]:
    """What differs from one version to another, or to the draft when `new` is left out."""
    before = version_plan(bridge, actor, plan_id, number=old)
    after = (
        plan(bridge, actor, plan_id).plan
        if new is None
        else version_plan(bridge, actor, plan_id, number=new)
    )
    return compare_plans(before, after)


def restore(bridge: Orgbridge, actor: Actor, plan_id: UUID, *, number: int) -> int:
    """Makes an old version the draft again; the draft as it was is kept as a version first.

    The plan's name and its orgs stay as they are: a version may name an org that is called
    otherwise by now, or another one than the plan writes to today.

    Returns the new revision of the draft.
    """
    roles.require(actor, Role.ANALYST)
    with bridge.session(actor.workspace_id) as session:
        draft = rows.plan_draft(session, plan_id=plan_id)
        wanted = rows.plan_version(session, plan_id, number)
        rows.cut_version(
            session, plan_id, draft.document, cut_for="restore", label=None, by=actor.name
        )
        stays = {name: draft.document[name] for name in ("name", "source", "target")}
        saved = rows.save_draft(
            session,
            plan_id,
            {**wanted.document, **stays},
            revision=draft.row.revision,
            by=actor.name,
        )
        audit.record(
            session,
            actor,
            "plan.restore",
            subject_kind="plan",
            subject_id=plan_id,
            before={"revision": draft.row.revision},
            after={"version": number, "revision": saved},
        )
    return saved


def _view(session: Session, *, plan_id: UUID | None = None, name: str | None = None) -> PlanView:
    """A plan as it stands; its document is read and parsed once per revision."""
    row = rows.plan_row(session, plan_id=plan_id, name=name)
    known = plan_memory.known_plan(row.id, row.revision)
    if known is not None:
        return PlanView(row=row, plan=known)
    draft = rows.plan_draft(session, plan_id=row.id)
    parsed = plan_from_document(draft.document)
    return PlanView(draft.row, plan_memory.keep_plan(row.id, draft.row.revision, parsed))


def _point(session: Session, plan_id: UUID, document: Plan) -> None:
    """Keep the plan's foreign keys on the orgs that its document names."""
    rows.point_at_orgs(
        session,
        plan_id,
        source_org_id=rows.org_id_by_name(session, document.source),
        target_org_id=rows.org_id_by_name(session, document.target),
    )
