"""What is left of an update once fields that are as they were are taken out."""

from __future__ import annotations

import polars as pl

from core.migration.before import with_country


def test_rule_3_5_a_state_is_sent_with_its_country() -> None:
    sent = pl.DataFrame({"BillingState": ["CA", "NY"], "BillingCountry": ["US", "US"]})
    changed = pl.DataFrame(
        {"BillingState": ["CA", None], "BillingCountry": [None, None]},
        schema=dict.fromkeys(sent.columns, pl.String),
    )

    found = with_country(changed, sent, list(sent.columns))

    assert found.rows() == [("CA", "US"), (None, None)]


def test_rule_3_5_codes_go_with_codes_and_fields_without_a_country_stay() -> None:
    sent = pl.DataFrame({"MailingStateCode": ["CA"], "MailingCountryCode": ["US"], "State": ["x"]})
    changed = sent.with_columns(MailingCountryCode=pl.lit(None, pl.String))

    found = with_country(changed, sent, list(sent.columns))

    assert found.row(0, named=True) == sent.row(0, named=True)
