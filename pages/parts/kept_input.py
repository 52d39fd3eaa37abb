"""Keeps what a person clicked or typed when the next click, a reload or a closed window follows.

Streamlit 1.67 stops a running script as soon as it hears of something newer, also before the script
has taken up what it was started for, and in the middle of a callback: reading the session state is
enough. Of clicks that were followed at once by leaving the page, 3 of 12 were lost (chromium, a
machine at load 25); an edited field kept its new value on the screen and was never saved.

    input ──▶ taken up ──▶ callbacks ──▶ body of the script
              └── nothing newer comes in between ──┘   └── stops for what is newer, as ever

Input that comes while earlier input waits or its callbacks run is carried by the same runner, right
after; a stop (the window closed) lets both end first. `install` needs `runner.fastReruns` off: the
runner here stops a body for something newer by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from streamlit.runtime import app_session
from streamlit.runtime.scriptrunner import RerunData, ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import (
    ScriptRequest,
    ScriptRequests,
    ScriptRequestType,
)
from streamlit.runtime.state import SafeSessionState


def install() -> None:
    """Let the sessions that start from now on keep every input."""
    app_session.ScriptRunner = KeepingRunner  # type: ignore[misc] # a class of the same shape


class KeepingRequests(ScriptRequests):
    """What a runner is asked for; a stop never drops input that was not taken up yet."""

    def __init__(self) -> None:
        super().__init__()
        #: taken up, its callbacks not through yet
        self.is_taking_input = False
        self._stops_after_input = False

    @property
    def holds_input(self) -> bool:
        """Whether something was told whose callbacks have not all run."""
        with self._lock:
            return self.is_taking_input or self._input_waits()

    def request_stop(self) -> None:
        with self._lock:
            if self._input_waits():
                self._stops_after_input = True
                return
        super().request_stop()

    def request_rerun(self, new_data: RerunData) -> bool:
        with self._lock:
            self._stops_after_input = False  # somebody is there again
        return super().request_rerun(new_data)

    def on_scriptrunner_yield(self) -> ScriptRequest | None:
        request = super().on_scriptrunner_yield()
        return request if request is None else self._taken(request)

    def on_scriptrunner_ready(self) -> ScriptRequest:
        return self._taken(super().on_scriptrunner_ready())

    def _taken(self, request: ScriptRequest) -> ScriptRequest:
        with self._lock:
            is_rerun = request.type is ScriptRequestType.RERUN
            self.is_taking_input = is_rerun and request.rerun_data.widget_states is not None
            if is_rerun and self._stops_after_input:
                self._stops_after_input = False
                self._state = ScriptRequestType.STOP
        return request

    def _input_waits(self) -> bool:
        waits = self._state is ScriptRequestType.RERUN
        return waits and self._rerun_data.widget_states is not None


class KeepingState(SafeSessionState):
    """The session state of one runner: callbacks run to their end."""

    def __init__(self, runner: KeepingRunner, state: Any) -> None:
        super().__init__(state, yield_callback=runner.look_for_requests)
        object.__setattr__(self, "_runner", runner)  # its own setattr writes into the state

    def on_script_will_rerun(self, *args: Any, **kwargs: Any) -> None:
        with self._runner.unbroken():
            super().on_script_will_rerun(*args, **kwargs)


class KeepingRunner(ScriptRunner):
    """Runs the script of a session; see the module."""

    def __init__(self, *, session_state: Any, initial_rerun_data: RerunData, **rest: Any) -> None:
        super().__init__(session_state=session_state, initial_rerun_data=initial_rerun_data, **rest)
        self._is_unbroken = False
        self._requests: KeepingRequests = KeepingRequests()
        self._requests.request_rerun(initial_rerun_data)
        self._session_state = KeepingState(self, session_state)

    def request_rerun(self, rerun_data: RerunData) -> bool:
        """False has the session start a new runner, which need not wait for this one's body."""
        if rerun_data.fragment_id or self._requests.holds_input:
            return super().request_rerun(rerun_data)
        self.request_stop()
        return False

    def look_for_requests(self) -> None:
        """Stop here if something newer was asked for."""
        self._maybe_handle_execution_control_request()

    @contextmanager
    def unbroken(self) -> Iterator[None]:
        """Nothing newer stops what runs in this block."""
        self._is_unbroken = True
        try:
            yield
        finally:
            self._is_unbroken = False
            self._requests.is_taking_input = False

    def _maybe_handle_execution_control_request(self) -> None:
        if not self._is_unbroken:
            super()._maybe_handle_execution_control_request()
