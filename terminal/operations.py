"""``count``, ``duplicates``, ``fields``, ``extra-children``, ``export``: analyses of orgs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from terminal.exits import Exit
from terminal.output import note, say, show_json, show_table

app = typer.Typer(no_args_is_help=True, add_completion=False)

Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]
Where = Annotated[str, typer.Option(help="SOQL condition without WHERE.")]


@app.command()
def count(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE TARGET OBJECT[=TARGET_OBJECT]...", show_default=False),
    ] = None,
    plan: Annotated[str, typer.Option(help="Count the objects of a plan, with its filters.")] = "",
    all_rows: Annotated[bool, typer.Option("--all", help="All rows, without filters.")] = False,
    explain: Annotated[str, typer.Option(help="Mappings whose missing rows to explain.")] = "",
    strict: Annotated[bool, typer.Option(help="Exit 2 when a count differs.")] = False,
    as_json: Json = False,
) -> int:
    """Compare record counts of two orgs, exactly."""
    given: dict[str, Any] = {"baseline": "all" if all_rows else "filter"}
    if plan:
        given |= {"plan": plan, "explain": _list(explain)}
    else:
        names = [*(words or []), "", ""]
        given |= {"source": names[0], "target": names[1], "objects": (words or [])[2:]}
    entry = _launched("record_counts", given)
    result = entry.result
    if as_json:
        show_json(result)
    else:
        head = ("Object", "Verdict", result["source"], result["target"], "Missing", "Extra")
        show_table(head, map(_count_row, result["objects"]), empty="Nothing was counted.")
        for name, told in result.get("missing", {}).items():
            show_table((f"Missing in {name}", "Rows"), told["reasons"].items(), empty="None.")
        note(entry.message)
    differs = strict and any(row["verdict"] != "match" for row in result["objects"])
    return Exit.LEFT_ROWS if differs or entry.status == "partial" else Exit.OK


@app.command()
def duplicates(
    org: Annotated[str, typer.Argument(help="Registered org.")],
    sobject: Annotated[str, typer.Argument(metavar="OBJECT", help="Object to search.")],
    fields: Annotated[str, typer.Option(help="Fields to compare, separated by commas.")] = "",
    exact: Annotated[bool, typer.Option("--exact", help="All fields must agree.")] = False,
    trained: Annotated[bool, typer.Option("--trained", help="By Splink, an extra.")] = False,
    across: Annotated[str, typer.Option(help="Compare with the records of this org.")] = "",
    where: Where = "",
    as_json: Json = False,
) -> int:
    """Find records that are likely the same, and say why."""
    given = {
        "org": org,
        "object": sobject,
        "fields": _list(fields),
        "method": "exact" if exact else "trained" if trained else "fuzzy",
        "across": across or None,
        "where": where or None,
    }
    entry = _launched("duplicates", given)
    if as_json:
        show_json(entry.result)
        return Exit.OK
    compared = entry.result["fields"]  # a stored document forgets the order of its members' values
    for number, cluster in enumerate(entry.result["clusters"], start=1):
        likely = cluster["probability"]
        say(f"Group {number}" + (f", {likely:.1%} likely" if likely is not None else ""))
        rows = [
            (one["id"], *(one["values"].get(name) for name in compared))
            for one in cluster["members"]
        ]
        show_table(("Id", *compared), rows, empty="")
        say()
    note(entry.message)
    return Exit.OK


@app.command()
def fields(
    source: Annotated[str, typer.Argument(help="Registered org.")],
    target: Annotated[str, typer.Argument(help="Registered org.")],
    objects: Annotated[
        list[str] | None, typer.Argument(metavar="OBJECT[=TARGET_OBJECT]...")
    ] = None,
    plan: Annotated[str, typer.Option(help="Only the objects and fields of a plan.")] = "",
    custom_only: Annotated[bool, typer.Option("--custom-only", help="Custom fields only.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Describe both orgs anew.")] = False,
    as_json: Json = False,
) -> int:
    """Compare fields of two orgs and say what each difference does to data."""
    given = {
        "source": source,
        "target": target,
        "objects": objects or [],
        "plan": plan or None,
        "custom_only": custom_only,
        "refresh": refresh,
    }
    entry = _launched("field_differences", given)
    if as_json:
        show_json(entry.result)
        return Exit.OK
    rows = [row for item in entry.result["objects"] for row in _difference_rows(item)]
    head = ("Object", "Field", "Where", "Severity", "What", "Effect", "Rows")
    show_table(head, rows, empty="No differences.")
    note(entry.message)
    return Exit.OK


@app.command("extra-children")
def extra_children(
    plan: Annotated[str, typer.Argument(help="Plan that migrated the parents.")],
    parents: Annotated[str, typer.Option(help="Mappings of parents, by commas.")] = "",
    only: Annotated[str, typer.Option(metavar="CHILD.LOOKUP", help="Those of one lookup.")] = "",
    csv: Annotated[str, typer.Option(help="Write their ids to a file; - is output.")] = "",
    delete: Annotated[bool, typer.Option("--delete", help="Delete those of --only.")] = False,
    tag: Annotated[str, typer.Option(metavar="FIELD=VALUE", help="Write to those.")] = "",
    count: Annotated[int, typer.Option(help="How many there are, for --delete and --tag.")] = -1,
    confirm: Annotated[str, typer.Option(help="Name of the target org.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> int:
    """Find child records that only the target has; write, tag or delete those of one lookup."""
    if only or csv or delete or tag:
        act = {"count": count, "confirm": confirm, "reason": reason}
        return _with_children(plan, only, csv=csv, delete=delete, tag=tag, **act)
    entry = _launched("extra_child_records", {"plan": plan, "parents": _list(parents)})
    if as_json:
        show_json(entry.result)
        return Exit.OK
    rows = [
        (one["parent"], one["child_object"], one["lookup"], one["rows"], one["newest"])
        for one in entry.result["children"]
    ]
    show_table(("Parent", "Child", "Lookup", "Rows", "Newest"), rows, empty="No extra children.")
    note(entry.message)
    return Exit.OK


@app.command()
def export(
    org: Annotated[str, typer.Argument(help="Registered org.")],
    what: Annotated[str, typer.Argument(metavar="OBJECT|SOQL", help="Object, or a query.")],
    csv: Annotated[str, typer.Option(help="File to write; - is standard output.")] = "-",
    fields: Annotated[str, typer.Option(help="Fields, separated by commas.")] = "",
    where: Where = "",
    all_rows: Annotated[bool, typer.Option("--all-rows", help="Deleted rows too.")] = False,
    for_people: Annotated[
        bool, typer.Option("--for-people", help="Guard cells for spreadsheets.")
    ] = False,
) -> int:
    """Write records of an org to a CSV file, exactly as the org holds them."""
    from core.services import exporting
    from terminal.session import opened

    is_query = what.strip().lower().startswith("select ")
    asked = exporting.request(
        org=org,
        sobject="" if is_query else what,
        soql=what if is_query else "",
        fields=tuple(_list(fields)),
        where=where,
        all_rows=all_rows,
        for_people=for_people,
    )
    with opened() as (bridge, actor):
        size = written(csv, exporting.export(bridge, actor, asked))
    note(f"{size:,} bytes written.")
    return Exit.OK


def _with_children(plan: str, only: str, *, csv: str, delete: bool, tag: str, **act: Any) -> int:
    """Files, tags or deletes the children of one lookup; waits for the run's end."""
    from core.errors import UserError
    from core.services import extra_children
    from terminal.run import carried
    from terminal.session import opened

    child, _, lookup = only.partition(".")
    if not lookup:
        raise UserError("Name the lookup: --only CHILD.LOOKUP.", state="Nothing was done.")
    place = extra_children.Place(plan, child, lookup)
    field, sign, value = tag.partition("=")
    if tag and not sign:
        raise UserError(f"{tag!r} is not FIELD=VALUE.", state="Nothing was done.")
    with opened() as (bridge, actor):
        if csv:
            size = written(csv, extra_children.records_csv(bridge, actor, place))
            note(f"{size:,} bytes written.")
        if not (delete or tag):
            return Exit.OK
        wanted = extra_children.Act(**act, field=field if tag else "", value=value)
        name = extra_children.launch(bridge, actor, place, wanted, enqueue=False)
        return carried(bridge, actor, name, as_json=False)


def _launched(kind: str, given: Mapping[str, Any]) -> Any:
    from core.services import operations
    from terminal.session import opened

    with opened() as (bridge, actor):
        return operations.launch(bridge, actor, kind, given=given)


def written(place: str, pieces: Iterable[bytes]) -> int:
    """Writes a file piece by piece, or standard output for -; its size in bytes."""
    if place == "-":
        written = sum(sys.stdout.buffer.write(piece) for piece in pieces)
        sys.stdout.buffer.flush()
        return written
    try:
        with Path(place).open("wb") as sink:
            return sum(sink.write(piece) for piece in pieces)
    except OSError as error:
        from core.errors import UserError

        raise UserError(f"{place} cannot be written: {error.strerror}.") from error


def _count_row(row: Mapping[str, Any]) -> tuple[object, ...]:
    name = row["name"]
    if row["source_object"] != row["target_object"]:
        name = f"{row['source_object']} → {row['target_object']}"
    return name, row["verdict"], row["source"], row["target"], row["missing"], row["extra"]


def _difference_rows(item: Mapping[str, Any]) -> Iterable[tuple[object, ...]]:
    name = item["source_object"] or item["target_object"]
    if not item["fields"] and item["kind"] in ("only_source", "only_target"):
        yield name, "", item["kind"].replace("_", " "), item["severity"], "", "", None
    for field in item["fields"]:
        where = field["kind"].replace("_", " ")
        for one in field["properties"] or [{"name": "", "effect": ""}]:
            severity = one.get("severity", field["severity"])
            what = one["name"]
            if what and one.get("source", "") + one.get("target", ""):
                what = f"{what}: {one['source'] or '–'} → {one['target'] or '–'}"
            yield (
                name,
                field["field"],
                where,
                severity,
                what,
                one["effect"],
                field["rows_concerned"],
            )


def _list(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
