"""Files: a new version makes its document and the links to it. Source: Object Reference,
ContentVersion."""

from __future__ import annotations

import polars as pl

from orgsim import dml
from orgsim.dml import nested
from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import Staged


def before_version(staged: Staged) -> None:
    """Title from the path; a version of a known document follows its newest one."""
    staged.ensure(
        [
            "ContentDocumentId",
            "PathOnClient",
            "Title",
            "IsLatest",
            "VersionNumber",
            "FileExtension",
            "FileType",
            "FirstPublishLocationId",
            "ContentUrl",
        ]
    )
    if not staged.inserting:
        stale = Refusal("INSUFFICIENT_ACCESS_OR_READONLY", "only the latest version can be updated")
        staged.refuse_where(~pl.col("@old.IsLatest"), stale)
        return
    bare = pl.col("PathOnClient").is_null() & pl.col("ContentUrl").is_null()
    text = "Required fields are missing: [PathOnClient]"
    staged.refuse_where(bare, Refusal("REQUIRED_FIELD_MISSING", text, ("PathOnClient",)))
    staged.drop_refused()
    file = pl.col("PathOnClient").str.extract(r"([^/\\]+)$", 1)
    extension = file.str.extract(r"\.([^.]+)$", 1)
    fresh = pl.col("ContentDocumentId").is_null()
    new = dml.new_ids(staged.save, "ContentDocument", len(staged.frame)).alias("@document")
    staged.frame = staged.frame.with_columns(new).with_columns(
        pl.coalesce("Title", file.str.replace(r"\.[^.]+$", "")).alias("Title"),
        extension.alias("FileExtension"),
        extension.str.to_uppercase().fill_null("UNKNOWN").alias("FileType"),
        pl.lit(value=True).alias("IsLatest"), pl.lit("1").alias("VersionNumber"),
        pl.when(fresh).then("@document").otherwise(None).alias("@document"),
        pl.coalesce("ContentDocumentId", "@document").alias("ContentDocumentId"),
    )  # fmt: skip
    # The document is stored before its version is checked against it.
    _make_documents(staged)


def _make_documents(staged: Staged) -> None:
    made = staged.frame.filter(pl.col("@document").is_not_null())
    rows = made.select(
        pl.col("@document").alias("Id"), "Title", "FileType", "FileExtension",
        pl.lit("R").alias("PublishStatus"),
    )  # fmt: skip
    nested.place(staged, "ContentDocument", rows)


def after_version(staged: Staged) -> None:
    """Links the document to its owner and its first place; the newest version becomes the
    latest."""
    if not staged.inserting:
        return
    for who, share in (("OwnerId", "I"), ("FirstPublishLocationId", "V")):
        if not staged.has(who):
            continue
        rows = staged.frame.filter(pl.col("@document").is_not_null() & pl.col(who).is_not_null())
        nested.place(
            staged,
            "ContentDocumentLink",
            rows.select(
                pl.col(who).alias("LinkedEntityId"),
                "ContentDocumentId",
                pl.lit(share).alias("ShareType"),
                pl.lit("AllUsers").alias("Visibility"),
            ),
        )
    with staged.transaction.lent(**{"@versions": staged.frame.select("Id", "ContentDocumentId")}):
        staged.transaction.cursor.execute("""
          UPDATE "ContentVersion" AS t SET IsLatest = false FROM "@versions" v
          WHERE t.ContentDocumentId = v.ContentDocumentId AND t.Id <> v.Id AND t.IsLatest
        """)
        staged.transaction.cursor.execute("""
          UPDATE "ContentVersion" AS t SET VersionNumber = n.number::VARCHAR FROM (
            SELECT v.Id, count(*) AS number FROM "@versions" v JOIN "ContentVersion" o
            ON o.ContentDocumentId = v.ContentDocumentId GROUP BY v.Id) n WHERE n.Id = t.Id
        """)
        staged.transaction.cursor.execute("""
          UPDATE "ContentDocument" AS t SET LatestPublishedVersionId = v.Id FROM "@versions" v
          WHERE t.Id = v.ContentDocumentId
        """)
