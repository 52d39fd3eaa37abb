"""What callers ask of jobs, checked: creation, moves between states, and their refusals.

Where the exact code of a refusal is not documented, docs/practice-orgs.md says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orgsim.bulk.model import DELIMITERS, LINE_ENDINGS, QUERIES, Job, JobState, Operation
from orgsim.schema.model import Schema, SObject

#: Characters of the data in a multipart creation. Source: Bulk API 2.0 Guide, "Create a Job".
MULTIPART_MAX_CHARS = 100_000
#: Bytes of an upload. Source: Bulk API 2.0 Guide, "Bulk API 2.0 Limits" (150 MB after base64).
UPLOAD_MAX_BYTES = 150_000_000

_DELETABLE = frozenset({JobState.OPEN, JobState.UPLOAD_COMPLETE, JobState.JOB_COMPLETE,
                        JobState.FAILED, JobState.ABORTED})  # fmt: skip
#: Never written through the Bulk API. Source: SFDMU, its list of objects without bulk.
_NOT_BULK_WRITEABLE = frozenset({"Attachment", "ContentVersion"})


class JobRefusedError(Exception):
    """A request about a job that is refused; HTTP status, errorCode and sentence."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, when, and what they may see."""

    user_id: str
    now: datetime
    api_version: str
    schema: Schema
    may_hard_delete: bool


def new_ingest_job(body: Mapping[str, Any], asking: Asking) -> Job:
    """Return the job that a creation asks for; its id comes with its entry.

    Raises:
        JobRefusedError: Unknown object or operation, missing or unfit external id, no permission.
    """
    operation = _operation(body)
    sobject = _sobject(body, asking.schema)
    if operation is Operation.HARD_DELETE and not asking.may_hard_delete:
        raise JobRefusedError(
            "FEATURENOTENABLED",
            "hardDelete operation requires special user profile permission, please contact your"
            " system administrator",
        )
    if str(body.get("contentType", "CSV")).upper() != "CSV":
        raise JobRefusedError("INVALIDJOB", "InvalidJob : Only the content type CSV is supported")
    return Job(
        id="", operation=operation, object=sobject.name, state=JobState.OPEN,
        created_by=asking.user_id, created_at=asking.now.isoformat(),
        modified_at=asking.now.isoformat(), api_version=asking.api_version,
        external_id_field=_external_id(body, operation, sobject),
        assignment_rule_id=body.get("assignmentRuleId"),
        column_delimiter=_one_of(body, "columnDelimiter", DELIMITERS),
        line_ending=_one_of(body, "lineEnding", LINE_ENDINGS),
    )  # fmt: skip


def new_query_job(body: Mapping[str, Any], asking: Asking) -> Job:
    """Return the query job that a creation asks for; its query is checked by the caller.

    Raises:
        JobRefusedError: Neither query nor queryAll, or no query text.
    """
    try:
        operation = Operation(str(body.get("operation")))
    except ValueError:
        operation = Operation.INSERT
    if operation not in QUERIES:
        raise JobRefusedError("INVALIDJOB", "InvalidJob : operation must be query or queryAll")
    if not str(body.get("query") or "").strip():
        raise JobRefusedError("INVALIDJOB", "InvalidJob : query is required")
    return Job(
        id="", operation=operation, object="", state=JobState.UPLOAD_COMPLETE,
        created_by=asking.user_id, created_at=asking.now.isoformat(),
        modified_at=asking.now.isoformat(), api_version=asking.api_version,
        query=str(body["query"]),
        column_delimiter=_one_of(body, "columnDelimiter", DELIMITERS),
        line_ending=_one_of(body, "lineEnding", LINE_ENDINGS),
    )  # fmt: skip


def closed(job: Job, wanted: str, now: datetime) -> Job:
    """Return the job as a PATCH to the state ``wanted`` leaves it.

    Raises:
        JobRefusedError: INVALIDJOBSTATE where that state cannot follow.
    """
    if wanted == JobState.ABORTED.value:
        if job.is_terminal:
            raise JobRefusedError("INVALIDJOBSTATE",
                                  "Aborting already Completed Job not allowed")  # fmt: skip
        return job.moved(JobState.ABORTED, now)
    if wanted != JobState.UPLOAD_COMPLETE.value or job.is_query:
        raise JobRefusedError("INVALIDJOBSTATE", f"InvalidJobState : {wanted!r} cannot be set")
    if job.state is not JobState.OPEN:
        raise JobRefusedError("INVALIDJOBSTATE", f"Closing already {job.state} Job not allowed")
    return job.moved(JobState.UPLOAD_COMPLETE, now)


def check_upload(job: Job, size: int) -> None:
    """Refuse an upload that comes late, twice or too big.

    Raises:
        JobRefusedError: INVALIDJOBSTATE, CLIENTINPUTERROR.
    """
    if job.state is not JobState.OPEN:
        raise JobRefusedError("INVALIDJOBSTATE", f"InvalidJobState : Job is in state {job.state}")
    if job.uploaded:
        raise JobRefusedError(
            "CLIENTINPUTERROR",
            f"ClientInputError : Found multiple contents for job: <{job.id}>, please 'Close' /"
            " 'Abort' / 'Delete' the current Job then create a new Job and make sure you only do"
            " 'PUT' once on a given Job.",
        )
    if size > UPLOAD_MAX_BYTES:
        raise JobRefusedError("CLIENTINPUTERROR", "ClientInputError : Max size of upload exceeded")


def check_delete(job: Job) -> None:
    """Refuse to delete a job that is being processed.

    Raises:
        JobRefusedError: INVALIDJOBSTATE.
    """
    if job.state not in _DELETABLE:
        raise JobRefusedError("INVALIDJOBSTATE", "Deletion of job in progress not allowed")


def _operation(body: Mapping[str, Any]) -> Operation:
    try:
        operation = Operation(str(body.get("operation")))
    except ValueError as problem:
        message = f"InvalidJob : Invalid operation: {body.get('operation')}"
        raise JobRefusedError("INVALIDJOB", message) from problem
    if operation in QUERIES:
        raise JobRefusedError("INVALIDJOB", f"InvalidJob : Invalid operation: {operation}")
    return operation


def _sobject(body: Mapping[str, Any], schema: Schema) -> SObject:
    name = str(body.get("object") or "")
    sobject = schema.sobject(name)
    if sobject is None or sobject.name in _NOT_BULK_WRITEABLE:
        sentence = f"InvalidEntity : Entity '{name}' is not supported by the Bulk API."
        raise JobRefusedError("INVALIDENTITY", sentence)
    return sobject


def _external_id(body: Mapping[str, Any], operation: Operation, sobject: SObject) -> str | None:
    name = body.get("externalIdFieldName")
    if operation is not Operation.UPSERT:
        return None
    if not name:
        raise JobRefusedError(
            "INVALIDJOB",
            f"InvalidJob : External ID was blank for {sobject.name}. An External ID must be"
            " specified for upsert.",
        )
    found = sobject.field(str(name))
    if found is None or not (found.external_id or found.id_lookup or found.type == "id"):
        raise JobRefusedError(
            "INVALIDJOB",
            f"InvalidJob : Field name provided, {name} does not match an External ID, Salesforce"
            f" Id, or indexed field for {sobject.name}",
        )
    return found.name


def _one_of(body: Mapping[str, Any], key: str, known: Mapping[str, str]) -> str:
    """Return a word of the body that must be one of ``known``; absent, the first of them."""
    word = str(body.get(key) or next(iter(known))).upper()
    if word not in known:
        raise JobRefusedError("INVALIDJOB", f"InvalidJob : {key} {word} is not supported")
    return word
