"""Which locked packages have a known vulnerability, asked of a folder of advisories, offline.

    python -m benchmarks.advisories FOLDER [LOCK …]

FOLDER is a copy of PyPA's advisory database (OSV documents as YAML, a folder for each package); the
answer is as good as the copy is new, so its newest date is printed. Without LOCK all of ours.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

PROJECT = Path(__file__).resolve().parents[1]
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)")


@dataclass(frozen=True, slots=True)
class Found:
    """One locked package that an advisory speaks of."""

    package: str
    version: str
    advisory: str
    aliases: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when nothing was found, 1 when something was, 2 when there is nothing to ask."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or not Path(given[0]).is_dir():
        sys.stderr.write("A folder of advisories is needed: a copy of PyPA's advisory database.\n")
        return 2
    locks = [Path(each) for each in given[1:]] or sorted(PROJECT.glob("requirements*.lock"))
    pins = {pin for lock in locks for pin in pinned(lock.read_text(encoding="utf-8"))}
    newest = ""
    asked, found = 0, []
    for name, version in sorted(pins):
        for document in advisories(Path(given[0]), name):
            asked += 1
            newest = max(newest, str(document.get("modified", "")))
            if is_affected(document, name, version):
                aliases = tuple(document.get("aliases") or ())
                found.append(Found(name, version, str(document["id"]), aliases))
    for one in found:
        known_as = ", ".join((one.advisory, *one.aliases))
        sys.stdout.write(f"{one.package} {one.version}: {known_as}\n")
    sys.stdout.write(
        f"{len(pins)} packages, {asked} advisories, the newest of {newest[:10] or 'never'}:"
        f" {len(found)} found\n"
    )
    return 1 if found else 0


def pinned(lock: str) -> Iterator[tuple[str, str]]:
    """Names and versions of a lock file."""
    for line in lock.splitlines():
        pin = _PIN.match(line)
        if pin is not None:
            yield str(canonicalize_name(pin[1])), pin[2]


def advisories(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """What is known of a package; withdrawn advisories are left out."""
    home = folder / "vulns" if (folder / "vulns").is_dir() else folder
    for path in sorted((home / name).glob("*.y*ml")):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not document.get("withdrawn"):
            yield document


def is_affected(document: Mapping[str, Any], name: str, version: str) -> bool:
    """The version is listed, or within one of the ranges."""
    for part in document.get("affected") or ():
        if canonicalize_name(part["package"]["name"]) != name:
            continue
        if version in (part.get("versions") or ()):
            return True
        ranges = [one for one in part.get("ranges") or () if one["type"] == "ECOSYSTEM"]
        if any(_is_within(one["events"], Version(version)) for one in ranges):
            return True
    return False


def _is_within(events: Sequence[Mapping[str, str]], version: Version) -> bool:
    """Events in the order of their versions: each opens the range or closes it."""
    inside = False
    for kind, at in sorted(_places(events), key=lambda one: (one[1], one[0] != "introduced")):
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


def _places(events: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, Version]]:
    for event in events:
        for kind, at in event.items():
            try:
                yield kind, Version(str(at))
            except InvalidVersion:  # a limit that no version of ours can be compared with
                continue


if __name__ == "__main__":
    sys.exit(main())
