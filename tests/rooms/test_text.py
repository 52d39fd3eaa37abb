"""What the project's texts say: its own words, and nothing of the machine they were written on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.rooms.sources import PROJECT

TEXT = {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".html", ".ini", ".mako", ".lock", ".mk"}
FOLDERS = ("*", "core/**/*", "pages/**/*", "orgsim/**/*", "terminal/*", "tests/**/*", "docs/**/*")
#: (pattern, why it has no place here)
FOREIGN = (
    (re.compile(r"/work/(main|shared)\b"), "a path of one machine"),
    (re.compile(r"/root/|/home/(?!ann\b|user\b)\w+/"), "a path of one machine"),
    (re.compile(r"--(extra-)?index-url|--find-links|--trusted-host"), "a package index"),
)


def tracked() -> list[Path]:
    """Files that belong to the project; without git, all that look like it."""
    try:
        listed = subprocess.run(
            ["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True
        ).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        listed = [str(path.relative_to(PROJECT)) for root in FOLDERS for path in PROJECT.glob(root)]
        listed = [name for name in listed if "node_modules" not in name]  # laid there by npm
    found = [PROJECT / name for name in listed]
    return [path for path in found if path.is_file() and (path.suffix in TEXT or not path.suffix)]


def test_texts_speak_of_the_product_alone() -> None:
    wrong = []
    for path in tracked():
        if path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for pattern, why in FOREIGN:
            wrong += [
                f"{path.relative_to(PROJECT)}: {m.group()}: {why}" for m in pattern.finditer(text)
            ]

    assert not wrong, "\n".join(wrong)


def test_lock_file_has_a_hash_for_every_package() -> None:
    text = (PROJECT / "requirements.lock").read_text()
    entries = re.findall(r"^[a-z0-9][\w.\[\]-]*==\S+", text, re.MULTILINE | re.IGNORECASE)

    assert len(entries) > 50
    assert text.count("--hash=sha256:") >= len(entries)


def test_every_direct_dependency_says_why() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (PROJECT / name).read_text().splitlines():
            is_package = line and not line.startswith(("#", "-r"))
            if is_package and not line.startswith(("types-", "pandas-stubs")):
                assert "#" in line or name.endswith("dev.txt"), line


def test_words_of_the_product_are_all_explained() -> None:
    words = (PROJECT / "docs" / "words.md").read_text()
    for word in ("org", "plan", "object mapping", "field mapping", "key", "ledger", "object book",
                 "run", "wave", "step", "chunk", "row failure", "job failure", "operation",
                 "practice org"):  # fmt: skip
        assert re.search(rf"^\| \*{{0,2}}[^|]*\b{word}\b", words, re.MULTILINE), word


def readme_commands() -> list[str]:
    """Commands in the README's code blocks."""
    text = (PROJECT / "README.md").read_text()
    blocks = re.findall(r"```(?:sh|bash|console)?\n(.*?)```", text, re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("verb", ["run", "test"])
def test_readme_names_the_two_commands(verb: str) -> None:
    assert f"make {verb}" in [line.split("#")[0].strip() for line in readme_commands()]


def test_commands_of_the_readme_exist() -> None:
    import cli

    named = {
        match.group(1)
        for line in readme_commands()
        if (match := re.search(r"cli\.py (?:--\S+ \S+ )?([a-z-]+)", line))
    }

    assert named
    assert named <= set(cli.COMMANDS)


def test_links_and_pictures_of_the_readme_are_there() -> None:
    text = (PROJECT / "README.md").read_text()
    linked = [name for name in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in name]

    assert [name for name in linked if not (PROJECT / name).exists()] == []
