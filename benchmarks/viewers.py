"""People who look at a page, without their browsers: what each makes the server do, and no more.

    socket ─▶ the page's script, once ─▶ fragments that ask to be drawn again, each at its pace

Twenty browsers on the machine that is measured take more of it than the server does (seen: 6 % of
a core each while a run moves, the server 1 %). These clients speak as Streamlit 1.67's page does:
they open the socket with the session's cookie, ask for the page, and ask for a fragment again as
often as the server told them to.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from core.api.cookies import SESSION_COOKIE

DRAWN_WITHIN_S = 120


@contextmanager
def viewers(url: str, token: str, *, page: str, query: str, number: int) -> Iterator[None]:
    """So many people look at a page until the block ends; it begins when all have seen it.

    Args:
        url: of the server.
        token: of the session in which they look.
    """
    begun: Future[asyncio.AbstractEventLoop] = Future()
    with ThreadPoolExecutor(1, thread_name_prefix="viewers") as pool:
        turning = pool.submit(_turn, begun)
        loop, looking = begun.result(), list[Future[None]]()
        try:
            for _ in range(number):
                viewer = _Viewer(url, token, page=page, query=query)
                looking.append(asyncio.run_coroutine_threadsafe(viewer.look(), loop))
                looking[-1].add_done_callback(viewer.ended)
                assert viewer.drawn.wait(DRAWN_WITHIN_S), "the page was not drawn"
                assert not looking[-1].done(), looking[-1].exception()
            yield
            assert not any(one.done() for one in looking), "the server let go of somebody"
        finally:
            loop.call_soon_threadsafe(loop.stop)
            turning.result()


def _turn(begun: Future[asyncio.AbstractEventLoop]) -> None:
    """Turns a loop until it is stopped; what is under way then ends with it."""
    with asyncio.Runner() as runner:
        begun.set_result(runner.get_loop())
        runner.get_loop().run_forever()


class _Viewer:
    """One of them."""

    def __init__(self, url: str, token: str, *, page: str, query: str) -> None:
        self._url = url
        self._token = token
        self._page = page
        self._query = query
        #: the page was drawn, or cannot be
        self.drawn = threading.Event()
        self._script = ""
        self._socket: ClientConnection
        self._ticking: dict[str, asyncio.Task[None]] = {}

    async def look(self) -> None:
        """Asks for the page and keeps it as fresh as it wants to be."""
        socket = connect(
            self._url.replace("http", "ws", 1) + "/_stcore/stream",
            subprotocols=[Subprotocol("streamlit")],
            origin=Origin(self._url),
            additional_headers={"Cookie": f"{SESSION_COOKIE}={self._token}"},
            max_size=None,
        )
        async with socket as self._socket:
            await self._ask(ClientState(page_name=self._page))
            try:
                async for message in self._socket:
                    assert isinstance(message, bytes)
                    self._take(ForwardMsg.FromString(message))
            finally:
                for task in self._ticking.values():
                    task.cancel()

    def ended(self, _: object) -> None:
        """Nobody need wait for the page any more."""
        self.drawn.set()

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._script = message.new_session.page_script_hash
        elif kind == "auto_rerun" and message.auto_rerun.fragment_id not in self._ticking:
            wanted = message.auto_rerun
            ticks = self._tick(wanted.fragment_id, wanted.interval)
            self._ticking[wanted.fragment_id] = asyncio.ensure_future(ticks)
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                if fragment in self._ticking:
                    self._ticking.pop(fragment).cancel()
        elif kind == "script_finished":
            self.drawn.set()

    async def _tick(self, fragment: str, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            state = ClientState(fragment_id=fragment, is_auto_rerun=True)
            state.page_script_hash = self._script
            await self._ask(state)

    async def _ask(self, state: ClientState) -> None:
        state.query_string = self._query
        await self._socket.send(BackMsg(rerun_script=state).SerializeToString())
