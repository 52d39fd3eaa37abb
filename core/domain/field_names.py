"""How alike two field names are: words of names and labels, weighed by what they tell.

``npsp__Account1_Zip_Postal_Code__c`` becomes *account 1 zip postal code*; words that merely say to
which record a column belongs weigh little, words that tell fields apart weigh much.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.domain.describe import Field, SObject

CONTEXT_WEIGHT = 0.08
#: a first word shared by this many fields says where a column belongs, not what it holds
CONTEXT_FIELDS_MIN = 6
FUZZY_MIN = 84

_SUFFIX = re.compile(r"__(?:c|pc|r|s)$", re.IGNORECASE)
_NAMESPACE = re.compile(r"^[A-Za-z][A-Za-z0-9]{0,14}__(?=.+__(?:c|pc|r)$)", re.IGNORECASE)
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")

#: words that mean the same in business data, to one of them
_SAME: Mapping[str, tuple[str, ...]] = {
    "zip": ("postal", "code"),
    "zipcode": ("postal", "code"),
    "postcode": ("postal", "code"),
    "postalcode": ("postal", "code"),
    "province": ("state",),
    "region": ("state",),
    "town": ("city",),
    "firstname": ("first", "name"),
    "lastname": ("last", "name"),
    "surname": ("last", "name"),
    "forename": ("first", "name"),
    "birthday": ("birthdate",),
    "birth": ("birthdate",),
    "dob": ("birthdate",),
    "tel": ("phone",),
    "telephone": ("phone",),
    "cell": ("mobile",),
    "url": ("website",),
    "web": ("website",),
    "homepage": ("website",),
    "mail": ("email",),
    "personal": ("home",),
    "private": ("home",),
    "company": ("account",),
    "organization": ("account",),
    "organisation": ("account",),
    "info": ("information",),
    "desc": ("description",),
    "notes": ("description",),
    "comments": ("description",),
    "qty": ("quantity",),
    "amt": ("amount",),
    "num": ("number",),
    "no": ("number",),
    "nr": ("number",),
    "employees": ("employee",),
    "addr": ("street",),
    "address": ("street",),
    "turnover": ("revenue",),
    "sector": ("industry",),
}
#: other names under which people keep the records of an object
_OBJECT_WORDS: Mapping[str, tuple[str, ...]] = {
    "opportunity": ("opportunity", "donation", "deal", "gift", "opp"),
    "account": ("account", "company", "organization", "organisation", "household", "customer"),
    "contact": ("contact", "person", "donor"),
    "lead": ("lead", "prospect"),
    "product2": ("product", "item"),
    "case": ("case", "ticket"),
}
#: words that say little by themselves
_WEAK: Mapping[str, float] = {
    "id": 0.2,
    "name": 0.6,
    "of": 0.1,
    "the": 0.1,
    "is": 0.3,
    "number": 0.6,
    "code": 0.7,
    "source": 0.6,
    "value": 0.5,
    "field": 0.2,
    "close": 0.5,
}
#: the address that is meant when nobody says which
_DEFAULT_ADDRESS: Mapping[str, str] = {"account": "billing", "contact": "mailing"}


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one field: of its API name and of its label, with weights."""

    name: Mapping[str, float]
    label: Mapping[str, float]


def name_words(name: str) -> tuple[str, ...]:
    """The words of an API name, a column or a label, in small letters.

    >>> name_words("npsp__Account1_Zip_Code__c")
    ('account', '1', 'postal', 'code')
    """
    bare = _SUFFIX.sub("", _NAMESPACE.sub("", name))
    words: list[str] = []
    for word in _WORDS.findall(bare):
        words.extend(_SAME.get(word.lower(), (word.lower(),)))
    # "zip/postal code" says it twice
    return tuple(dict.fromkeys(words))


def bare_name(name: str) -> str:
    """An API name without namespace, suffix, case and signs: equal for `annual_revenue` and
    `AnnualRevenue`.

    >>> bare_name("npe01__Work_Email__c")
    'workemail'
    """
    stripped = _SUFFIX.sub("", _NAMESPACE.sub("", name))
    return re.sub(r"[^a-z0-9]", "", stripped.lower())


def context_words(fields: Iterable[Field], target_object: str) -> frozenset[str]:
    """Words of source names that say to which record a column belongs."""
    firsts = Counter(words[0] for field in fields if (words := name_words(field.name)))
    common = {word for word, count in firsts.items() if count >= CONTEXT_FIELDS_MIN}
    lowered = target_object.lower()
    known = set(_OBJECT_WORDS.get(lowered, name_words(target_object)))
    return frozenset((common - {"is", "has", "last", "other"}) | known)


def weighed(field: Field, context: frozenset[str], *, object_name: str = "") -> Words:
    """The words of a field with their weights.

    Args:
        context: words that weigh little.
        object_name: of a target, whose default address needs no word.
    """
    light = _DEFAULT_ADDRESS.get(object_name.lower(), "")

    def weigh(text: str) -> dict[str, float]:
        words = name_words(text)
        weights = {word: _weight(word, context, light) for word in words}
        telling = [word for word in words if weights[word] > CONTEXT_WEIGHT]
        # a name that is all context ("Account") means just that word
        return weights if telling else dict.fromkeys(words, 1.0)

    return Words(weigh(field.name), weigh(field.label or field.name))


def similarity(source: Words, target: Words) -> float:
    """0–1: how much of what the two names say they say both (the best of names and labels)."""
    return max(
        _dice(one, other)
        for one in (source.name, source.label)
        for other in (target.name, target.label)
    )


def is_same_label(source: Field, target: Field) -> bool:
    """Whether the labels are equal but for case, spaces and signs."""
    one, other = (re.sub(r"[\W_]+", "", field.label.lower()) for field in (source, target))
    return bool(one) and one == other


def names_field(help_text: str | None, target: SObject, field: Field) -> bool:
    """Whether a description names the target field (``Account1.BillingCity``)."""
    if not help_text or len(field.name) < 2:
        return False
    for prefix, named in re.findall(r"\b([A-Za-z]\w*)\.(\w+)\b", help_text):
        if named.lower() == field.name.lower() and prefix.lower().rstrip("0123456789") == (
            target.name.lower()
        ):
            return True
    return False


def _weight(word: str, context: frozenset[str], light: str) -> float:
    if word in context or word.isdigit():
        return CONTEXT_WEIGHT
    if word == light:
        return 0.3
    return _WEAK.get(word, 1.0)


def _dice(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    total = sum(one.values()) + sum(other.values())
    if not total:
        return 0.0
    left = dict(other)
    shared = 0.0
    for word, weight in one.items():
        partner = word if word in left else _near(word, left)
        if partner is not None:
            likeness = 1.0 if partner == word else _likeness(word, partner) / 100
            shared += likeness * (weight + left.pop(partner))
    return shared / total


def _likeness(one: str, other: str) -> float:
    # imported where names are compared: a run whose fields are all named needs none of it
    from rapidfuzz import fuzz

    return fuzz.ratio(one, other)


def _near(word: str, others: Iterable[str]) -> str | None:
    if len(word) < 4:
        return None
    near = [(_likeness(word, other), other) for other in others if len(other) >= 4]
    best = max(near, default=(0.0, ""))
    return best[1] if best[0] >= FUZZY_MIN else None
