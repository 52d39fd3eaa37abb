"""How a command gets the product and says who acts: ``terminal:<os user>`` in one workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from importlib import import_module

from core import bootstrap, practice
from core.bootstrap import MAIN_WORKSPACE, Orgbridge
from core.config import load_settings, os_user
from core.domain.roles import Actor, Role

#: set by cli.py from ``--workspace``
workspace: ContextVar[str] = ContextVar("workspace", default=MAIN_WORKSPACE)


@contextmanager
def opened(*, service: str = "") -> Iterator[tuple[Orgbridge, Actor]]:
    """The product and the actor of this command.

    Whoever may read the data folder and the key may do everything: the terminal acts as admin, and
    every act is in the audit trail under the account's name.

    Args:
        service: module of `core.services` that is imported while the embedded database starts.
    Raises:
        ConfigError: the database, a folder or a key is not as it must be.
        NotFoundError: no such workspace.
    """
    imports = partial(import_module, f"core.services{service and '.'}{service}")
    with bootstrap.build(load_settings(), meanwhile=imports) as bridge:
        practice.keep_up(bridge.settings.home)  # one that was killed since the last command
        yield bridge, actor(bridge)


def actor(bridge: Orgbridge) -> Actor:
    """Who acts in a terminal."""
    workspace_id = bridge.workspace_id(workspace.get())
    return Actor(workspace_id, None, f"terminal:{os_user()}", Role.ADMIN, "terminal")
