"""One function turns status and code into our tree; a read is never lost, a write may be."""

from __future__ import annotations

from itertools import accumulate, islice, pairwise

import pytest

from core.errors import (
    BugError,
    DailyLimitError,
    LockedRowError,
    LostError,
    RefusedError,
    RowError,
    SessionLostError,
    TransientError,
)
from core.salesforce import faults
from core.salesforce.faults import RowAdvice
from core.salesforce.retry import OF_A_PERSON, OF_A_RUN, PollPolicy, RetryPolicy

TABLE = [
    # status, code, message, class for a read, class for a write
    (401, "INVALID_SESSION_ID", "Session expired or invalid", SessionLostError, SessionLostError),
    (401, "", "", SessionLostError, SessionLostError),
    (
        403,
        "REQUEST_LIMIT_EXCEEDED",
        "TotalRequests Limit exceeded.",
        DailyLimitError,
        DailyLimitError,
    ),
    (
        403,
        "REQUEST_LIMIT_EXCEEDED",
        "ConcurrentPerOrgLongTxn Limit",
        TransientError,
        TransientError,
    ),
    (400, "EXCEEDEDQUOTA", "ApiBatchItems Limit exceeded.", DailyLimitError, DailyLimitError),
    (400, "UNABLE_TO_LOCK_ROW", "", LockedRowError, LockedRowError),
    (400, "TooManyLockFailure", "", LockedRowError, LockedRowError),
    (503, "SERVER_UNAVAILABLE", "", TransientError, TransientError),
    (503, "", "a web page", TransientError, LostError),
    (502, "", "", TransientError, LostError),
    (500, "UNKNOWN_EXCEPTION", "", TransientError, LostError),
    (420, "", "", TransientError, TransientError),
    (400, "STRING_TOO_LONG", "", RowError, RowError),
    (400, "MALFORMED_QUERY", "", RefusedError, RefusedError),
    (403, "API_DISABLED_FOR_ORG", "", RefusedError, RefusedError),
    (404, "NOT_FOUND", "", RefusedError, RefusedError),
    (410, "UNSUPPORTED_API_VERSION", "", RefusedError, RefusedError),
    (302, "", "", RefusedError, RefusedError),
    (500, "INVALID_LOGIN", "", SessionLostError, SessionLostError),
]


@pytest.mark.parametrize(("status", "code", "message", "read", "write"), TABLE)
def test_a_refusal_becomes_its_class(
    status: int, code: str, message: str, read: type[Exception], write: type[Exception]
) -> None:
    assert type(faults.classify(status, code, message, written=False)) is read
    error = faults.classify(status, code, message, written=True, sobject="Account")
    assert type(error) is write
    assert (error.fact("sobject"), error.fact("status")) == ("Account", status)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b'[{"errorCode":"A","message":"m"}]', "A", "m"),
        (b'[{"statusCode":"A","message":"m"}]', "A", "m"),
        (b'{"error":"invalid_grant","error_description":"d"}', "invalid_grant", "d"),
        (b"error=unsupported_token_type&error_description=x", "unsupported_token_type", "error="),
        (b"<x><exceptionCode>InvalidSessionId</exceptionCode></x>", "InvalidSessionId", ""),
        (
            b"<s:Fault><faultcode>sf:INVALID_LOGIN</faultcode>"
            b"<faultstring>INVALID_LOGIN: Bad</faultstring></s:Fault>",
            "INVALID_LOGIN",
            "Bad",
        ),
        (b"<html><title>Down</title><body>secret</body></html>", "", "Down"),
        (b"", "", ""),
        (b"null", "", "None"),
    ],
)
def test_every_dialect_of_a_refusal_is_read(body: bytes, code: str, words: str) -> None:
    found, message, _ = faults.error_parts(body)

    assert found == code
    assert words in message


@pytest.mark.parametrize(
    ("code", "message", "advice"),
    [
        ("UNABLE_TO_LOCK_ROW", "", RowAdvice.LOCKED),
        ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "System.LimitException: …", RowAdvice.SMALLER),
        ("APEX_ERROR", "Apex CPU time limit exceeded", RowAdvice.SMALLER),
        ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "T: caused by: no", RowAdvice.REJECT),
        ("ALL_OR_NONE_OPERATION_ROLLED_BACK", "", RowAdvice.VICTIM),
        ("STORAGE_LIMIT_EXCEEDED", "", RowAdvice.STOP),
        ("UNKNOWN_EXCEPTION", "", RowAdvice.AGAIN),
        ("REQUIRED_FIELD_MISSING", "", RowAdvice.REJECT),
    ],
)
def test_a_refused_record_gets_its_advice(code: str, message: str, advice: RowAdvice) -> None:
    assert faults.row_advice(code, message) is advice


def test_only_transient_errors_are_sent_again_and_not_for_ever() -> None:
    policy = RetryPolicy(attempts=3, lock_attempts=5)

    assert policy.allows(TransientError("x"), 2) and not policy.allows(TransientError("x"), 3)
    assert policy.allows(LockedRowError("x"), 4) and not policy.allows(LockedRowError("x"), 5)
    for error in (LostError("x"), RefusedError("x"), RowError("x"), BugError("x")):
        assert not policy.allows(error, 1)


def test_a_first_sending_that_took_long_is_the_last_one_while_a_person_waits() -> None:
    policy = OF_A_PERSON.policy

    assert policy.allows(TransientError("x"), 1, spent_s=0.1)
    assert not policy.allows(TransientError("x"), 1, spent_s=OF_A_PERSON.timeouts.connect_s)
    assert OF_A_RUN.policy.allows(TransientError("x"), 1, spent_s=600)


def test_waits_double_to_a_bound_and_are_spread() -> None:
    policy = RetryPolicy(first_delay_s=1, max_delay_s=5, jitter=0.5)
    longest = policy.delays(lambda: 0.0)
    shortest = policy.delays(lambda: 1.0)

    assert [next(longest) for _ in range(5)] == [1, 2, 4, 5, 5]
    assert [next(shortest) for _ in range(3)] == [0.5, 1, 2]


@pytest.mark.parametrize(
    ("job_s", "late_s", "looks"), [(1, 0.38, 6), (12, 0.48, 36), (60, 2.4, 76), (600, 5, 190)]
)
def test_the_end_of_a_job_is_noticed_soon_with_few_looks(
    job_s: float, late_s: float, looks: int
) -> None:
    times = list(accumulate(islice(PollPolicy().delays(), 500)))
    before = [at for at in times if at < job_s]

    gaps = [later - at for at, later in pairwise(times) if at < job_s]
    assert times[0] == 0.1
    assert max(gaps) <= late_s
    assert len(before) + 1 <= looks


def test_what_bulk_refuses_is_told_from_what_nobody_takes() -> None:
    refused = faults.classify(400, "INVALIDENTITY", "Entity 'X' is not supported", written=False)
    wrong = faults.classify(400, "INVALID_FIELD", "No such column 'Foo'", written=False)

    assert faults.is_not_for_bulk(refused)
    assert not faults.is_not_for_bulk(wrong)
