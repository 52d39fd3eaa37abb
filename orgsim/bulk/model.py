"""A bulk job: what was asked, its state, and the JSON forms in which the API shows it.

Source: Bulk API 2.0 and Bulk API Developer Guide, "Create a Job", "Get Information About a Job".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """Where a job stands."""

    OPEN = "Open"  # takes its data
    UPLOAD_COMPLETE = "UploadComplete"  # queued
    IN_PROGRESS = "InProgress"  # batches are being processed
    JOB_COMPLETE = "JobComplete"  # every row has an outcome, good or bad
    FAILED = "Failed"  # the job could not be carried out; the rest of the rows is unprocessed
    ABORTED = "Aborted"  # stopped by the user; what was committed stays


class Operation(StrEnum):
    """What a job does."""

    INSERT = "insert"
    UPDATE = "update"
    UPSERT = "upsert"
    DELETE = "delete"
    HARD_DELETE = "hardDelete"
    QUERY = "query"
    QUERY_ALL = "queryAll"


TERMINAL = frozenset({JobState.JOB_COMPLETE, JobState.FAILED, JobState.ABORTED})
QUERIES = frozenset({Operation.QUERY, Operation.QUERY_ALL})
DELIMITERS = {"COMMA": ",", "TAB": "\t", "SEMICOLON": ";", "PIPE": "|", "CARET": "^",
              "BACKQUOTE": "`"}  # fmt: skip
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it is stored; times are ISO 8601 in UTC, durations milliseconds."""

    id: str
    operation: Operation
    object: str
    state: JobState
    created_by: str
    created_at: str
    modified_at: str
    api_version: str
    column_delimiter: str = "COMMA"
    line_ending: str = "LF"
    external_id_field: str | None = None
    assignment_rule_id: str | None = None
    query: str | None = None
    #: Data came once; a second upload is refused.
    uploaded: bool = False
    processed: int = 0
    failed: int = 0
    retries: int = 0
    total_ms: int = 0
    error_message: str | None = None

    @property
    def is_query(self) -> bool:
        """Whether the job reads rather than writes."""
        return self.operation in QUERIES

    @property
    def is_terminal(self) -> bool:
        """Whether nothing will happen to the job any more."""
        return self.state in TERMINAL

    def moved(self, state: JobState, now: datetime, error_message: str | None = None) -> Job:
        """Return the job in another state."""
        return replace(self, state=state, modified_at=now.isoformat(), error_message=error_message)

    def short_json(self) -> dict[str, Any]:
        """Return the form of answers to PATCH and to the creation of a query job."""
        found = {
            "id": self.id, "operation": self.operation.value, "object": self.object,
            "createdById": self.created_by, "createdDate": _wire_time(self.created_at),
            "systemModstamp": _wire_time(self.modified_at), "state": self.state.value,
            "externalIdFieldName": self.external_id_field, "concurrencyMode": "Parallel",
            "contentType": "CSV", "apiVersion": float(self.api_version),
        }  # fmt: skip
        if self.is_query:
            found |= self._format_json()
        return {key: value for key, value in found.items() if value is not None}

    def created_json(self) -> dict[str, Any]:
        """Return the form of the answer to the creation of an ingest job."""
        return {**self.short_json(), "contentUrl": self._content_url(), **self._format_json()}

    def full_json(self) -> dict[str, Any]:
        """Return the form of GET and of lists."""
        found: dict[str, Any] = {
            **self.short_json(),
            "jobType": "V2Query" if self.is_query else "V2Ingest",
            **self._format_json(),
            "retries": self.retries, "totalProcessingTime": self.total_ms,
        }  # fmt: skip
        if self.is_query:
            found |= {"numberRecordsProcessed": self.processed, "isPkChunkingSupported": True}
        else:
            found |= {
                "contentUrl": self._content_url(), "apiActiveProcessingTime": self.total_ms,
                "apexProcessingTime": 0, "numberRecordsProcessed": self.processed,
                "numberRecordsFailed": self.failed,
            }  # fmt: skip
        if self.assignment_rule_id is not None:
            found["assignmentRuleId"] = self.assignment_rule_id
        if self.error_message is not None:
            found["errorMessage"] = self.error_message
        return found

    def _format_json(self) -> dict[str, str]:
        return {"lineEnding": self.line_ending, "columnDelimiter": self.column_delimiter}

    def _content_url(self) -> str:
        return f"services/data/v{self.api_version}/jobs/ingest/{self.id}/batches"


def _wire_time(iso: str) -> str:
    moment = datetime.fromisoformat(iso)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"
