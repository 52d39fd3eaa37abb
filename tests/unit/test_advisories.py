"""Locked packages against advisories: listed versions, open and closed ranges, withdrawn ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmarks import advisories

LOCK = "Zope.Thing==1.4 \\\n    --hash=sha256:00\nquiet==2.0 \\\n    --hash=sha256:00\n"


def told(folder: Path, number: int, *, withdrawn: bool = False, **affected: object) -> None:
    """One advisory on zope-thing."""
    part = {"package": {"name": "zope.thing", "ecosystem": "PyPI"}, **affected}
    document = {"id": f"PYSEC-{number}", "affected": [part], "modified": "2026-01-02T00:00:00Z"}
    if withdrawn:
        document["withdrawn"] = "2026-01-02T00:00:00Z"
    home = folder / "vulns" / "zope-thing"
    home.mkdir(parents=True, exist_ok=True)
    (home / f"PYSEC-{number}.yaml").write_text(yaml.safe_dump(document))


def ranged(*events: tuple[str, str]) -> list[dict[str, object]]:
    return [{"type": "ECOSYSTEM", "events": [{kind: at} for kind, at in events]}]


def test_what_is_known_of_locked_versions_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text(LOCK)
    told(tmp_path, 1, versions=["1.3", "1.4"])
    told(tmp_path, 2, ranges=ranged(("introduced", "1.2"), ("fixed", "1.10")))
    told(tmp_path, 3, ranges=ranged(("introduced", "0"), ("fixed", "1.4")))
    told(tmp_path, 4, ranges=ranged(("introduced", "1.5")))
    told(tmp_path, 5, ranges=ranged(("introduced", "0"), ("last_affected", "1.4")))
    told(tmp_path, 6, versions=["1.4"], withdrawn=True)

    status = advisories.main([str(tmp_path), str(lock)])

    said = capsys.readouterr().out.splitlines()
    assert status == 1
    assert said[:3] == [f"zope-thing 1.4: PYSEC-{number}" for number in (1, 2, 5)]
    assert said[3] == "2 packages, 5 advisories, the newest of 2026-01-02: 3 found"


def test_without_advisories_there_is_no_answer(tmp_path: Path) -> None:
    assert advisories.main([str(tmp_path / "nowhere")]) == 2
