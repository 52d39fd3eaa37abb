"""The engine: moves the rows of a plan between two orgs, exactly once, and proves it.

    resolve ─▶ extract ─▶ match ─▶ transform ─▶ bucket ─▶ chunks ─▶ load (bulk | collections)
                                                             └─▶ settle: results joined on a key,
                                                             then one
                                                                 commit: chunk + ledger + failures +
                                                                 totals
    … next wave … ─▶ second pass ─▶ finally ─▶ verify;   undo goes the same way back

`run.carry` does all of it for one run and may be called again at any time, by any worker: what is
done is known from the database, what was handed to the org is asked of the org before anything is
sent again.
"""
