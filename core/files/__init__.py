"""Files as a source of rows: kept sealed, read once into pages, answered like an org.

    uploads ──keep──▶ raw pieces (spool) ──read──▶ pages + row ids (spool) ──FileSource──▶ engine

A file set has tables (one CSV each, alone or in a zip). A row is known by the values of its key
columns, or by all of them, so that the same row delivered again has the same id. Nothing here
writes to an org or to the database.
"""
