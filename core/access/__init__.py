"""Who may come in and what they may see: people, sessions, roles, keys, secrets, the audit trail.

    password / API key / one-time code ─▶ people, api_keys ─▶ sessions ─▶ Actor ─▶ roles.require
    tokens of orgs ─▶ secrets.Vault ─▶ encrypted columns ─▶ connections ─▶ OrgClient

Functions take a session that the caller opened and commits.
"""
