"""What a person did is taken up whatever they do next; in Streamlit's own runtime, no browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime import Runtime, RuntimeConfig, app_session
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import RerunData, ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType

from pages.parts import kept_input

SCRIPT = """
import streamlit as st
from tests.pages.test_kept_input import DESK

def act(name):
    DESK.entered.release()
    assert DESK.may_go_on.acquire(timeout=60)
    st.session_state["last"] = name  # where Streamlit looks for something newer
    DESK.done.append(name)

for name in ("one", "two"):
    st.button(name, key=name, on_click=act, args=(name,))
DESK.drawn.release()
"""


class Desk:
    """Where the script above and the test meet."""

    def __init__(self) -> None:
        self.entered, self.may_go_on, self.drawn = (threading.Semaphore(0) for _ in range(3))
        self.done: list[str] = []


DESK = Desk()


class Window:
    """A browser's end of a session."""

    def __init__(self) -> None:
        self.widgets: dict[str, str] = {}

    def write_forward_msg(self, msg: ForwardMsg) -> None:
        element = msg.delta.new_element
        if element.HasField("button"):
            self.widgets[element.button.label] = element.button.id

    @property
    def client_context(self) -> None:
        return None


@pytest.fixture
def keeps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sessions with our runner, on a desk of their own."""
    monkeypatch.setattr(app_session, "ScriptRunner", ScriptRunner)  # put back afterwards
    monkeypatch.setattr(f"{__name__}.DESK", Desk())
    kept_input.install()
    yield


def click(runtime: Runtime, session_id: str, widget_id: str) -> None:
    """What the browser sends for a click."""
    told = BackMsg()
    told.rerun_script.widget_states.widgets.append(WidgetState(id=widget_id, trigger_value=True))
    runtime.handle_backmsg(session_id, told)


async def signalled(semaphore: threading.Semaphore) -> None:
    assert await asyncio.to_thread(semaphore.acquire, True, 60)


def in_a_session(script: Path, act: Callable[[Runtime, str, Window], Awaitable[None]]) -> None:
    """A runtime with one open, drawn window."""

    async def whole() -> None:
        runtime = Runtime(
            RuntimeConfig(
                str(script), MemoryMediaFileStorage("/m"), MemoryUploadedFileManager("/u")
            )
        )
        try:
            await runtime.start()
            window = Window()
            session_id = runtime.connect_session(window, user_info={})
            runtime.handle_backmsg(session_id, _opened())
            await signalled(DESK.drawn)
            while "two" not in window.widgets:
                await asyncio.sleep(0.01)
            await act(runtime, session_id, window)
        finally:
            await _ended(runtime)
            Runtime._instance = None  # the only way to have a second one

    with ThreadPoolExecutor(1) as pool:  # a browser of other tests may have a loop in this thread
        pool.submit(asyncio.run, whole()).result(timeout=120)


async def _ended(runtime: Runtime) -> None:
    """Stops it; a script that still runs closes its session's loop when it is through, and a loop
    that nobody closes is told at whichever test the garbage is collected in."""
    loops = [known.session._script_event_loop for known in runtime._session_mgr.list_sessions()]
    runtime.stop()
    await runtime.stopped
    async with asyncio.timeout(60):
        while not all(loop.is_closed() for loop in loops):
            await asyncio.sleep(0.01)


def _opened() -> BackMsg:
    told = BackMsg()
    told.rerun_script.widget_states.SetInParent()
    return told


@pytest.fixture
def script(tmp_path: Path) -> Path:
    written = tmp_path / "frame.py"
    written.write_text(SCRIPT, encoding="utf-8")
    return written


async def _all_done(*names: str) -> None:
    async with asyncio.timeout(60):
        while DESK.done != list(names):
            await asyncio.sleep(0.01)


def test_a_window_that_closes_during_a_callback_does_not_stop_it(keeps: None, script: Path) -> None:
    async def act(runtime: Runtime, session_id: str, window: Window) -> None:
        click(runtime, session_id, window.widgets["one"])
        await signalled(DESK.entered)
        runtime.disconnect_session(session_id)
        DESK.may_go_on.release()
        await _all_done("one")

    in_a_session(script, act)


def test_clicks_during_a_callback_wait_for_it_and_survive_the_window(
    keeps: None, script: Path
) -> None:
    async def act(runtime: Runtime, session_id: str, window: Window) -> None:
        click(runtime, session_id, window.widgets["one"])
        await signalled(DESK.entered)
        click(runtime, session_id, window.widgets["two"])
        runtime.disconnect_session(session_id)
        DESK.may_go_on.release(2)
        await _all_done("one", "two")

    in_a_session(script, act)


def test_two_clicks_that_come_at_once_both_count(keeps: None, script: Path) -> None:
    """The second comes before the script of the first has started."""

    async def act(runtime: Runtime, session_id: str, window: Window) -> None:
        DESK.may_go_on.release(2)
        click(runtime, session_id, window.widgets["one"])
        click(runtime, session_id, window.widgets["two"])
        async with asyncio.timeout(60):
            while sorted(DESK.done) != ["one", "two"]:
                await asyncio.sleep(0.01)

    in_a_session(script, act)


def asked(**more: Any) -> RerunData:
    return RerunData(widget_states=_opened().rerun_script.widget_states, **more)


def test_a_stop_lets_waiting_input_be_taken_and_comes_after_it() -> None:
    requests = kept_input.KeepingRequests()
    requests.request_rerun(asked())

    requests.request_stop()

    assert requests.on_scriptrunner_ready().type is ScriptRequestType.RERUN
    stopped = requests.on_scriptrunner_yield()
    assert stopped is not None
    assert stopped.type is ScriptRequestType.STOP


def test_somebody_who_comes_back_takes_a_stop_back() -> None:
    requests = kept_input.KeepingRequests()
    requests.request_rerun(asked())
    requests.request_stop()

    assert requests.request_rerun(asked(query_string="show=review"))

    taken = requests.on_scriptrunner_ready()
    assert taken.rerun_data.query_string == "show=review"
    assert requests.on_scriptrunner_yield() is None


def test_a_body_is_stopped_for_something_newer_as_ever() -> None:
    """Only input is waited for: who goes to another page need not wait for a slow one."""
    requests = kept_input.KeepingRequests()
    requests.request_rerun(asked())
    requests.on_scriptrunner_ready()
    requests.is_taking_input = False  # its callbacks are through

    requests.request_stop()

    assert requests.on_scriptrunner_ready().type is ScriptRequestType.STOP
