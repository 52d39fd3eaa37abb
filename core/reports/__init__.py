"""Reports that people take away: the proof of a run, as a page to print and as a table.

    proof.py        what a proof says, as data
    proof_figures.py, proof_checks.py   stored figures to claims and verdicts (rules 6.1–6.3)
    samples.py      one value that differs
    proof_html.py   one file: no script, no request, every value escaped
    proof_csv.py    the same figures as rows

Nothing here asks an org; a report of a run is the same whoever makes it, and whenever.
"""
