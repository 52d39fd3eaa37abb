"""Wrong and hostile input on every form of the pages that verify and observe: a sentence, no trace.

Every text input of a page gets each of the words below; the page may show a box with what is wrong,
and never an exception or the box for defects. What orgs hold is as hostile as what people type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from streamlit.testing.v1 import AppTest

from core.bootstrap import Orgbridge
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.services import files, operations, plans
from core.services.files import Upload
from tests.org.scripted_data import ScriptedData, described

Opened = Callable[..., AppTest]
WORDS = (
    "' OR '1'='1",
    "Id != null LIMIT 1; DELETE FROM app_user",
    "<script>alert(1)</script>[x](javascript:1) :material/home: **b** $x$",
    '=HYPERLINK("http://e.example";"x")',
    "\u202e\u0000%s{0}" + "\U0001f600" * 300,
)
PLAN = "orgbridge: 1\nname: p\nsource: Legacy\ntarget: New\nobjects:\n  - source: Contact\n"
DEFECT = "Something went wrong on our side"


@pytest.fixture
def hostile(bridge: Orgbridge, actor: Actor) -> Iterator[None]:
    """Two orgs whose records, labels and names are hostile themselves, a plan, files, results."""
    orgs = [ScriptedData("00D000000000001EAA"), ScriptedData("00D000000000002EAA")]
    for org, name in zip(orgs, ("Legacy", "New"), strict=True):
        org.register(bridge, actor, name)
        label = {"name": "LastName", "type": "string", "length": 80, "label": WORDS[2]}
        org.describes = {"Contact": described("Contact", label)}
        org.rows = {
            "Contact": [
                {"Id": f"00300000000000{n}AAA", "LastName": WORDS[2 + n // 2]} for n in range(4)
            ]
        }
    plans.create(bridge, actor, parse_plan(PLAN))
    content = "Code,<b>Name</b>\n1,=1+1\n2,**x**\n"
    files.keep(bridge, actor, name="<b>files</b>", uploads=[Upload("a*b_.csv", [content.encode()])])
    launches = {
        "record_counts": {"plan": "p"},
        "field_differences": {"source": "Legacy", "target": "New"},
        "duplicates": {"org": "Legacy", "object": "Contact", "method": "exact",
                       "fields": ["LastName"]},
        "extra_child_records": {"plan": "p"},
    }  # fmt: skip
    for kind, given in launches.items():
        operations.launch(bridge, actor, kind, given=given)
    yield
    for org in orgs:
        org.http.stop()


PAGES: tuple[tuple[str, dict[str, str]], ...] = (
    ("verify/counts.py", {}),
    ("verify/differences.py", {"a": "Legacy", "b": "New"}),
    ("verify/duplicates.py", {"org": "Legacy", "object": "Contact"}),
    ("verify/extra_children.py", {}),
    ("observe/logs.py", {}),
    ("observe/errors.py", {}),
    ("observe/audit.py", {}),
    ("migrate/csv_files.py", {}),
    ("migrate/csv_files.py", {"half": "export"}),
    ("migrate/csv_files.py", {"files": "<b>files</b>"}),
    ("migrate/csv_files.py", {"files": "' OR 1=1"}),
)


#: elements whose text Streamlit draws as markdown, and which attributes of theirs
DRAWN = {
    "markdown": ("value",), "caption": ("value",), "title": ("value",), "header": ("value",),
    "subheader": ("value",), "error": ("value",), "warning": ("value",), "info": ("value",),
    "success": ("value",), "toast": ("value",), "metric": ("label", "value"), "tabs": ("label",),
    "expander": ("label",), "button": ("label",), "checkbox": ("label",), "toggle": ("label",),
    "radio": ("label", "options"), "button_group": ("options",), "text_input": ("label",),
    "selectbox": ("label",), "multiselect": ("label",),
}  # fmt: skip
#: part of what orgs and people say; drawn as markdown it would be a link
LINK = "[x](javascript:1)"


def drawn_as_markdown(page: AppTest) -> list[str]:
    """Every text of the page that may become links, pictures or icons."""
    texts = [
        str(getattr(one, attribute, ""))
        for kind, attributes in DRAWN.items()
        for one in page.get(kind)
        for attribute in attributes
    ]
    texts += [
        f"{one.proto.title}" for kind in ("error", "warning", "info") for one in page.get(kind)
    ]
    return texts + [str(cell) for one in page.table for cell in one.value.to_numpy().flatten()]


def sound(page: AppTest, what: str) -> None:
    """Nothing but our own words: no exception, no defect box, nothing of others' drawn as ours."""
    assert [one for one in drawn_as_markdown(page) if LINK in one] == [], what
    assert not page.exception, (what, [one.value for one in page.exception])
    told = [f"{one.proto.title} {one.value}" for one in page.error]
    assert not any(DEFECT in one for one in told), (what, told)


@pytest.mark.parametrize(("file", "params"), PAGES, ids=[f"{f} {'-'.join(p)}" for f, p in PAGES])
def test_every_input_of_a_page_takes_hostile_words(
    opened: Opened, hostile: None, file: str, params: dict[str, str]
) -> None:
    page = opened(file, role=Role.ADMIN, **params)
    sound(page, file)
    boxes = (*page.text_input, *page.text_area)
    keys = [one.key for one in boxes if one.key and not one.disabled]
    for word in WORDS:
        for key in keys:
            now = {one.key: one for one in (*page.text_input, *page.text_area)}
            if key in now:
                page = now[key].set_value(word).run()
                sound(page, f"{file} {key} {word[:20]}")
    for button in list(page.button):
        label = button.label
        if label.startswith(("Find", "Count", "Compare", "Look", "Read", "Make", "Save")):
            page = button.click().run()
            sound(page, f"{file} {label}")
            break


@pytest.mark.parametrize("kind", ["record_counts", "field_differences", "duplicates"])
def test_the_form_of_an_operation_takes_hostile_words(
    drawn: Opened, hostile: None, kind: str
) -> None:
    script = f"from pages.parts import operation_form\noperation_form.drawer({kind!r}, {{}})"
    page = drawn(script)
    for word in WORDS:
        for box in page.text_input:
            box.set_value(word)
        page = next(one for one in page.button if one.label == "Launch").click().run()
        told = [f"{one.proto.title} {one.value}" for one in page.error]
        assert not page.exception
        assert not any(DEFECT in one for one in told), told


def test_the_form_of_a_schedule_takes_hostile_words(drawn: Opened, hostile: None) -> None:
    page = drawn("from pages.parts import schedule_form\nschedule_form.drawer(())")
    for word in WORDS:
        for box in page.text_input:
            box.set_value(word)
        page = next(one for one in page.button if one.label == "Save schedule").click().run()
        assert page.error
        sound(page, f"schedule {word[:20]}")
