"""The plan document as people work on it: edits, comparisons, importers."""
