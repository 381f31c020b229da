"""What the API server's answer to a pod that was only tried means for the manifest that it is made from.

Only what is wrong with the manifest itself refuses it: a pod that cannot be read (400) or is not valid (422) can never
be made. Whatever else keeps a pod out may be otherwise a moment later: a quota, a policy, or an account that GitOps is
about to create. That is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from rayserve_operator.advice.inspection import MOST_SOUGHT
from rayserve_operator.model.problems import Problem, dotted
from rayserve_operator.planning.dry_run.drafts import Draft, Location
from rayserve_operator.planning.dry_run.origins import is_made, origin

REFUSED = "RS404"
UNTRIED = "RS405"

_BAD_REQUEST, _FORBIDDEN, _INVALID = 400, 403, 422
_POLICY = re.compile(r"admission webhook \"[^\"]*\" (?!does not support dry run)|.*ValidatingAdmissionPolicy '")
"""What others think of a pod, with whatever code they say it (the API server's admission)."""
_UNREADABLE = re.compile(r"cannot be handled as a Pod: (?P<why>.*)", re.DOTALL)
"""Kubernetes' words for what it cannot decode, be it for a type or, strictly, for a field that it does not know."""
_UNKNOWN = re.compile(r"unknown field \"([^\"]*)\"")
_TYPES = {"number": (int, float), "string": (str,), "bool": (bool,), "object": (Mapping,), "array": (list,)}
"""Go's words for what stands in JSON."""
_WRONG_TYPE = re.compile(rf"json: cannot unmarshal ({'|'.join(_TYPES)}) into Go struct field \w+\.(\S+) of type (\S+)")
_FORBIDDEN_POD = re.compile(r"\Apods(?: \"[^\"]*\")? is forbidden: ")
_MENDS = {
    "FieldValueRequired": "add it",
    "FieldValueNotSupported": "write one of these",
    "FieldValueNotFound": "name what is there, or add it",
    "FieldValueDuplicate": "leave one of them out",
    "FieldValueForbidden": "leave it out",
    "FieldValueTooLong": "shorten it",
    "FieldValueTooMany": "leave some out",
}
"""What to do, by the reason of a cause (the API conventions of Kubernetes)."""
_OF_OURS = "change what it clashes with in the template"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server said."""

    code: int | None
    """The status of HTTP; None where no answer came."""
    status: Mapping[str, Any] = field(default_factory=dict)
    """The Status that came with a refusal."""

    @property
    def message(self) -> str:
        """Why not, in the API server's words."""
        return str(self.status.get("message") or "")


def judge(draft: Draft, answer: Answer) -> tuple[Problem, ...]:
    """The problems of the manifest, or the one reason why the pod could not be tried or would not be let in now."""
    if answer.code is not None and answer.code < _BAD_REQUEST:
        return ()
    faults = () if _POLICY.match(answer.message) else islice(_faults(draft, answer), MOST_SOUGHT)
    return tuple(dict.fromkeys(faults)) or (_obstacle(draft, answer),)


def judged(drafts: Iterable[Draft], answers: Iterable[Answer]) -> tuple[Problem, ...]:
    """The problems of all pods; to each its answer."""
    return tuple(chain.from_iterable(judge(*tried) for tried in zip(drafts, answers, strict=True)))


def _faults(draft: Draft, answer: Answer) -> Iterator[Problem]:
    unreadable = _UNREADABLE.search(answer.message)
    if answer.code == _INVALID:
        yield from _invalid(draft, answer.status)
    elif answer.code == _BAD_REQUEST and unreadable is not None:
        yield from _unreadable(draft, unreadable["why"])


def _invalid(draft: Draft, status: Mapping[str, Any]) -> Iterator[Problem]:
    """The causes that name a field which was sent. Others are no validation of Kubernetes, or of what others added."""
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, Mapping) else None
    for cause in causes if isinstance(causes, list) else ():
        at = str(cause.get("field") or "") if isinstance(cause, Mapping) else ""
        if at and is_made(draft, at):
            mend = _MENDS.get(str(cause.get("reason")), "correct it")
            yield _fault(draft, at, f"is refused by Kubernetes: {cause.get('message')}", mend)


def _unreadable(draft: Draft, why: str) -> Iterator[Problem]:
    wrong, unknown = _WRONG_TYPE.search(why), _UNKNOWN.findall(why)
    if wrong is not None:
        kind, names, wanted = wrong.groups()
        places = _typed(draft.manifest, tuple(names.split(".")), kind)
        at = next((dotted(place).removeprefix(".") for place in places), names)
        yield _fault(draft, at, f"is of type {kind}, and Kubernetes takes type {wanted}", _retyped(kind, wanted))
    for at in unknown:
        parent = re.sub(r"\[[^\]]*\]", "", f"pod.{at}".rpartition(".")[0])
        mend = f"correct it: `kubectl explain {parent}` lists the fields"
        yield _fault(draft, at, "is no field of Kubernetes", mend)
    if wrong is None and not unknown:
        yield Problem(draft.path, f"is refused by Kubernetes: {why}", "correct it", REFUSED)


def _retyped(kind: str, wanted: str) -> str:
    return "put it in quotes" if wanted == "string" and kind in ("number", "bool") else "write a value of that type"


def _typed(value: Any, names: Location, kind: str) -> Iterator[Location]:
    """Where in a pod values of a type stand under these names, which tell of no place in a list."""
    if isinstance(value, list) and (names or kind != "array"):
        for index, item in enumerate(value):
            yield from ((index, *below) for below in _typed(item, names, kind))
    elif not names:
        is_it = isinstance(value, _TYPES[kind]) and (kind == "bool" or not isinstance(value, bool))
        yield from [()] if is_it else []
    elif isinstance(value, Mapping) and names[0] in value:
        yield from ((names[0], *below) for below in _typed(value[names[0]], names[1:], kind))


def _fault(draft: Draft, at: str, words: str, mend: str) -> Problem:
    path = origin(draft, at)
    if path is None:
        return Problem(draft.path, f"makes a pod whose {at}, which the operator adds, {words}", _OF_OURS, REFUSED)
    return Problem(path, words, mend, REFUSED)


def _obstacle(draft: Draft, answer: Answer) -> Problem:
    words = _FORBIDDEN_POD.sub("", answer.message)
    if _POLICY.match(answer.message):
        return Problem(
            draft.path, f"makes pods that a policy refuses: {words}", "meet the policy, or have it changed", UNTRIED
        )
    if answer.code == _FORBIDDEN:
        mend = "see to that before its pods are made"
        return Problem(draft.path, f"makes pods that are not let in as things are: {words}", mend, UNTRIED)
    mend = "watch the events of its cluster, if no pods come"
    return Problem(draft.path, f"could not be tried: {_told(answer, words)}", mend, UNTRIED)


def _told(answer: Answer, words: str) -> str:
    answered = "" if answer.code is None else f"the API server answers {answer.code}"
    return ": ".join(filter(None, (answered, words)))
