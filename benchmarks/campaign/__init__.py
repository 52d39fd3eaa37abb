"""A campaign of faults: generated runs between two practice orgs, broken in every way that we know,
resumed, and judged row by row by an oracle that knows nothing of the engine.

    seed ─▶ cases ─▶ data ─▶ stage (two orgs, one database) ─▶ drive: launch · strike · resume
                                                                  └─▶ oracle: both orgs' stores
    `python -m benchmarks.campaign --cases 5000` writes CAMPAIGN.md; a seed makes its case again.
"""
