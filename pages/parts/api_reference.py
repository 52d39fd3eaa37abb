"""What a key opens: every address of the REST door with its parameters and a command to try it.

Drawn from the OpenAPI document that scripts fetch, so that neither tells what the other does not.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.api import rest
from core.services import operations
from pages.parts import figures, tables, visit
from pages.parts.boxes import escaped

METHODS = {
    "method": st.column_config.TextColumn("Method", pinned=True, width=80),
    "path": st.column_config.TextColumn("Address", width=420),
    "what": st.column_config.TextColumn("What it does", width=460),
}
PARAMETERS = {
    "name": st.column_config.TextColumn("Parameter", pinned=True, width=160),
    "type": st.column_config.TextColumn("Type", width=100),
    "needed": st.column_config.CheckboxColumn("Required", width=80),
    "default": st.column_config.TextColumn("Unless given", width=180),
    "values": st.column_config.TextColumn("One of", width=260),
}


def draw() -> None:
    """All addresses; the chosen one with its parameters and a command."""
    document = rest.document(operations.offered(visit.actor()))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("What a key opens", anchor=False)
        st.download_button(
            "OpenAPI",
            json.dumps(document, ensure_ascii=False, indent=1),
            file_name="openapi.json",
            mime="application/json",
            on_click="ignore",
            icon=":material/download:",
            key="api.openapi",
            help="The same as a document, as scripts fetch it from /api/v1/openapi.json",
        )
    found = [
        (method, path, told)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]
    lines = [
        {"method": method.upper(), "path": path, "what": told["summary"]}
        for method, path, told in found
    ]
    chosen = tables.show(
        tables.frame(lines, list(METHODS)),
        METHODS,
        key="api.paths",
        alt="Addresses of the REST door",
        on_select="rerun",
        selection_mode="single-row-required",
    )
    method, path, told = found[tables.picked(chosen) or 0]
    _told(method, path, told)


def _told(method: str, path: str, told: Mapping[str, Any]) -> None:
    st.markdown(f"**{method.upper()} {escaped(path)}** :gray[{escaped(told['summary'])}]")
    bodies = told.get("requestBody", {}).get("content", {})
    schema = bodies.get("application/json", {}).get("schema")
    if schema is not None:
        tables.show(
            tables.frame(_parameters(schema), list(PARAMETERS)),
            PARAMETERS,
            key=f"api.parameters.{path}",
            alt=f"Parameters of {path}",
        )
    told = command(method, path, schema=schema, is_file=bool(bodies) and schema is None)
    st.code(told, language=None)  # Streamlit's colours of a shell are too pale on white (axe)


def _parameters(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    required = set(schema.get("required", ()))
    return [
        {
            "name": name,
            "type": operations.type_of(one),
            "needed": name in required,
            "default": figures.MISSING if one.get("default") is None else str(one["default"]),
            "values": ", ".join(map(str, one.get("enum", ()))),
        }
        for name, one in schema["properties"].items()
    ]


def command(
    method: str, path: str, *, schema: Mapping[str, Any] | None = None, is_file: bool = False
) -> str:
    """The call as one types it; the key and the address of this app stand in two variables.

    >>> print(command("get", "/api/v1/operations"))
    curl -H "Authorization: Bearer $KEY" "$ORGBRIDGE/api/v1/operations"
    """
    words = ["curl"]
    if method != "get":
        words += ["-X", method.upper()]
    words.append('-H "Authorization: Bearer $KEY"')
    if schema is not None:
        needed = {name: f"<{name}>" for name in schema.get("required", ())}
        words += ["-H", "'Content-Type: application/json'", "-d", shlex.quote(json.dumps(needed))]
    if is_file:
        words += ["--data-binary", "@FILE"]
    return " ".join([*words, f'"$ORGBRIDGE{path}"'])
