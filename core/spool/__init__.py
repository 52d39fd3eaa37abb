"""Encrypted pages of records on a folder or an object store: what a run has read, what it sends,
what came back.

    url ── <run id> ── src/account/000001.page      rows as read
                    ├─ load/account/000001.page     rows as they are sent, one file per chunk
                    ├─ done/account/000001.page     which row became which target id
                    └─ before/account/000001.page   target rows as they were

A plain path is a folder, ``s3://bucket/folder?endpoint=…&region=…`` any S3-compatible store, other
URLs whatever fsspec has a package for. Workers on several machines share one of them.

A page is one Parquet file sealed by AES-GCM under the run's own key, bound to the run and to its
own name, so that neither another run's page nor a renamed one can be opened. The key lives in the
database, wrapped by the vault; deleting that row makes every copy of the pages unreadable, backups
included. This room knows no database.
"""

from __future__ import annotations

from core.spool.pages import RunSpool, Spool, new_key, open_spool, page_name

__all__ = ["RunSpool", "Spool", "new_key", "open_spool", "page_name"]
