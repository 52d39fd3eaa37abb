"""All tables. Those of logs are a third of them and a run needs none: they are imported when one of
their names is asked for, or `Base`, whose metadata is complete for whoever has it from here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from core.db.models.access import (
    ApiKey,
    AppUser,
    AuditLog,
    Membership,
    OauthState,
    SignInAttempt,
    UserSession,
    VaultCanary,
    Workspace,
)
from core.db.models.base import UtcDateTime, WorkspaceScoped
from core.db.models.files import FileSet, KeptFile
from core.db.models.notices import (
    NotificationLog,
    NotificationRule,
)
from core.db.models.orgs import (
    AutomationSnapshot,
    DescribeCache,
    DuplicateDecision,
    FieldMapping,
    RegisteredOrg,
)
from core.db.models.plans import (
    Approval,
    MigrationPlan,
    PlanVersion,
)
from core.db.models.runs import (
    DataMigration,
    IdempotencyKey,
    LinkSet,
    ObjectMapping,
    RecordLink,
    RowFailure,
    RunChunk,
    RunEvent,
    RunKey,
    RunStep,
)
from core.db.models.sync import (
    Schedule,
    ScheduleFiring,
    SyncState,
)

if TYPE_CHECKING:
    from core.db.models.base import Base
    from core.db.models.logs import (
        ALL_LOGS,
        LOG_STATES,
        LOG_TABLES,
        CreateCustomFieldLog,
        CsvDataLog,
        DeleteCustomFieldLog,
        DeployFromFieldDiffLog,
        DiffViewerLog,
        DuplicateRecordsLog,
        ErrorLog,
        ErrorNote,
        ExtraChildRecordsLog,
        FieldDifferenceLog,
        LogDay,
        LogMixin,
        MetadataDeployLog,
        MigrateDataLog,
        MigrationLog,
        PermitObjectsAndFieldsLog,
        RecordCountLog,
        SyncLog,
        SyncRecordsLog,
        UpdateExtIdValueLog,
    )

__all__ = [
    "ALL_LOGS",
    "LOG_STATES",
    "LOG_TABLES",
    "ApiKey",
    "AppUser",
    "Approval",
    "AuditLog",
    "AutomationSnapshot",
    "Base",
    "CreateCustomFieldLog",
    "CsvDataLog",
    "DataMigration",
    "DeleteCustomFieldLog",
    "DeployFromFieldDiffLog",
    "DescribeCache",
    "DiffViewerLog",
    "DuplicateDecision",
    "DuplicateRecordsLog",
    "ErrorLog",
    "ErrorNote",
    "ExtraChildRecordsLog",
    "FieldDifferenceLog",
    "FieldMapping",
    "FileSet",
    "IdempotencyKey",
    "KeptFile",
    "LinkSet",
    "LogDay",
    "LogMixin",
    "Membership",
    "MetadataDeployLog",
    "MigrateDataLog",
    "MigrationLog",
    "MigrationPlan",
    "NotificationLog",
    "NotificationRule",
    "OauthState",
    "ObjectMapping",
    "PermitObjectsAndFieldsLog",
    "PlanVersion",
    "RecordCountLog",
    "RecordLink",
    "RegisteredOrg",
    "RowFailure",
    "RunChunk",
    "RunEvent",
    "RunKey",
    "RunStep",
    "Schedule",
    "ScheduleFiring",
    "SignInAttempt",
    "SyncLog",
    "SyncRecordsLog",
    "SyncState",
    "UpdateExtIdValueLog",
    "UserSession",
    "UtcDateTime",
    "VaultCanary",
    "Workspace",
    "WorkspaceScoped",
]


def __getattr__(name: str) -> Any:
    """The tables of logs, and with them the complete `Base` (PEP 562: asked once for a name)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.logs"), name)
    globals()[name] = found
    return found
