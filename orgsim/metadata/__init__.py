"""The org's metadata as rows and as changes: the Tooling API and the definition objects."""
