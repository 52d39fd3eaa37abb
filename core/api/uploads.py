"""Files by REST: uploaded piece by piece, listed, given to a plan as its next delivery.

    PUT    /api/v1/files/{name}?file_name=x.zip   the body is the file; 201 with its tables
    GET    /api/v1/files                           all sets
    POST   /api/v1/files/{name}/plan               {"plan": NAME} reads from this set from now on

Reading is the operation ``read_files``. A body is sealed as it arrives and never lies in memory
as a whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from anyio import from_thread
from starlette.requests import Request

from core.bootstrap import Orgbridge
from core.domain.roles import Actor
from core.errors import UserError
from core.services import files, importing
from core.services.files import FileSetRow, Upload

Answer = tuple[int, Any]


def listed(bridge: Orgbridge, actor: Actor, request: Request, body: Any) -> Answer:
    """All sets."""
    return 200, {"files": [_shown(row) for row in files.file_sets(bridge, actor)]}


def kept(bridge: Orgbridge, actor: Actor, request: Request, body: Any) -> Answer:
    """Keeps the body as a set of one file; called in a thread, beside the request's loop."""
    name = str(request.path_params["name"])
    file_name = request.query_params.get("file_name", f"{name}.csv")
    upload = Upload(file_name, _blocks(request.stream()))
    row = files.keep(bridge, actor, name=name, uploads=[upload])
    return 201, _shown(row)


def delivered(bridge: Orgbridge, actor: Actor, request: Request, body: Any) -> Answer:
    """Lets a plan read from a set."""
    if not isinstance(body, dict) or not isinstance(body.get("plan"), str):
        raise UserError('The body is no {"plan": NAME}.', state="The plan is unchanged.")
    row = files.file_set(bridge, actor, str(request.path_params["name"]))
    plan_id = importing.deliver(bridge, actor, row, plan=body["plan"])
    return 200, {"plan": body["plan"], "id": plan_id, "files": row.name}


def _blocks(stream: AsyncIterator[bytes]) -> Iterator[bytes]:
    async def following() -> bytes | None:
        return await anext(stream, None)

    while (block := from_thread.run(following)) is not None:
        yield block


def _shown(row: FileSetRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "status": row.status,
        "rows": row.rows,
        "bytes": row.bytes,
        "tables": [spec.model_dump(mode="json") for spec in files.tables(row)],
    }
