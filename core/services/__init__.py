"""What a person or script may do, guarded by role: one file per subject; front doors call only
these.

Every service takes the composition root and the actor first, checks the role, acts in one
transaction, leaves an audit row for a change, and answers frozen dataclasses.
"""
