"""Text of others as a service draws it: names of plans, orgs and rows stay what they are.

Telegram reads HTML; Teams, Webex, Rocket.Chat and Google Chat read Markdown, and so do Discord and
Mattermost, whatever they are told; Teams reads it in the title as well. Apprise escapes for some of
them and not everywhere (2.2.0, seen: nothing of Telegram's, no title of Teams, nothing of Discord
and Mattermost), so it is given text that is escaped already. Teams on a telephone ignores some
backslashes (microsoft/AdaptiveCards 5590); a joiner without width keeps links and mentions from
being made there as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from apprise import NotifyFormat
    from apprise.plugins import NotifyBase

_JOINER = "\u2060"
#: words that call everybody of a channel
_CALLS = re.compile(r"(?<![\w.])@(?=(everyone|here|channel|all)\b)", re.IGNORECASE)
#: where links, mentions and tags are made: [words](address), [words]: address, <at>, <@U1>, bare
#: addresses
_MADE = re.compile(r"(?<=\])(?=[(\[:])|(?<=<)(?=\S)|(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
#: they say that they take plain text, and draw Markdown
_MARKDOWN_ANYWAY = frozenset({"NotifyDiscord", "NotifyMattermost"})
#: their title is apart from the body, and drawn as Markdown like it
_MARKDOWN_TITLE = frozenset({"NotifyWorkflows"})


def uncalled(text: str) -> str:
    """The text with nobody called by it.

    >>> uncalled("ann@x.org, @everyone").replace(_JOINER, "^")
    'ann@x.org, @^everyone'
    """
    return _CALLS.sub(f"@{_JOINER}", text)


def unmarked(text: str) -> str:
    r"""The text with nothing made of it.

    >>> unmarked("[pay](http://x.example) <at>ann</at>").replace(_JOINER, "^")
    '[pay]^(http:^//x.example) <^at>ann<^/at>'
    """
    return _MADE.sub(_JOINER, text)


def rendered(service: NotifyBase, *, title: str, body: str) -> tuple[str, str, NotifyFormat]:
    """Title and body in the format that the service draws, and that format's name."""
    from apprise import NotifyFormat, conversion

    # the library says no types of these
    convert: Callable[[NotifyFormat, NotifyFormat, str], str] = conversion.convert_between
    escaped: Callable[[str], str] = conversion.text_to_markdown
    drawn = service.resolve_format(NotifyFormat.TEXT)
    kind = type(service).__name__
    title, body = uncalled(title), uncalled(body)
    if drawn is NotifyFormat.TEXT and kind not in _MARKDOWN_ANYWAY:
        return title, body, drawn
    title, body = unmarked(title), unmarked(body)
    if kind in _MARKDOWN_ANYWAY:
        return escaped(title), escaped(body), drawn
    if service.title_maxlen <= 0:  # it becomes the body's first line
        title = convert(NotifyFormat.TEXT, drawn, title)
    elif kind in _MARKDOWN_TITLE:
        title = escaped(title)
    return title, convert(NotifyFormat.TEXT, drawn, body), drawn
