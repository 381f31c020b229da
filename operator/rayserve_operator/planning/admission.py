"""What is answered to an AdmissionReview: what is wrong refuses, what is unwise is told."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rayserve_operator.advice.findings import Door, Finding, Level
from rayserve_operator.advice.inspection import findings_of, is_ours, weigh
from rayserve_operator.advice.rules import BY_CODE, Stops
from rayserve_operator.advice.structure import Manifest, below
from rayserve_operator.advice.subject import Subject
from rayserve_operator.model.objects import GROUP
from rayserve_operator.model.problems import MOST, short
from rayserve_operator.planning.custody import Custody
from rayserve_operator.planning.dry_run.drafts import Draft, of_subject
from rayserve_operator.planning.dry_run.verdicts import Answer, judged
from rayserve_operator.render.options import RenderOptions

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"

LONGEST_WARNING = 256
"""Characters of one warning; the API server cuts what is longer (Kubernetes, Dynamic Admission Control)."""
MOST_WARNINGS = 3500
"""Characters of all warnings; the API server takes 4096 of all webhooks together."""
_MORE = "and more, which rayserve lint tells"

Identity: TypeAlias = tuple[str, ...]


class NotAReview(ValueError):
    """What was sent is no AdmissionReview that can be answered."""


@dataclass(frozen=True, slots=True)
class Review:
    """A question that is answered once the pods have been tried."""

    uid: str
    manifest: Manifest = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    before: tuple[Finding, ...] = ()
    """What was to be said of the object that an update replaces; nothing where no finding is an error."""
    drafts: tuple[Draft, ...] = ()
    """The pods that would be made; of an update those that it changes."""
    drafts_before: tuple[Draft, ...] = ()
    """The pods that were made in their place."""

    @property
    def to_be_tried(self) -> tuple[Draft, ...]:
        """All pods that an answer is needed for."""
        return (*self.drafts, *self.drafts_before)

    def answer(self, tried: Sequence[Answer]) -> dict[str, Any]:
        """The AdmissionReview that answers, by what the API server said to each of the pods."""
        errors, warnings = self._outcome(tried)
        told = _warnings(warnings)
        response: dict[str, Any] = {"uid": self.uid, "allowed": not errors}
        if errors:
            response["status"] = _refusal(self.manifest, errors)
        if told:
            response["warnings"] = told
        return {"apiVersion": API_VERSION, "kind": KIND, "response": response}

    def _outcome(self, tried: Sequence[Answer]) -> tuple[list[Finding], list[Finding]]:
        count = len(self.drafts)
        of_pods = weigh(self.manifest, judged(self.drafts, tried[:count]), Door.ADMISSION)
        of_pods_before = weigh(self.manifest, judged(self.drafts_before, tried[count:]), Door.ADMISSION)
        findings = [*self.findings, *of_pods]
        errors = _new(findings, [*self.before, *of_pods_before])
        return errors, [finding for finding in findings if finding not in errors]


def review(asked: Any, custody: Custody, options: RenderOptions) -> Review:
    """What an AdmissionReview asks. What is not looked after here is let through without a word.

    An update is refused only for what the old object did not have, so that one which was stored before a rule was
    there can still be scaled, and be mended step by step. What stays wrong is told as a warning; pods that stay the
    same are not tried again.

    Raises:
        NotAReview: if it is none.
    """
    request = below(asked, "request") if isinstance(asked, Mapping) else {}
    uid = request.get("uid")
    if not isinstance(uid, str) or (asked.get("apiVersion"), asked.get("kind")) != (API_VERSION, KIND):
        raise NotAReview(f"this is no {KIND} of {API_VERSION}")
    manifest: Any = request.get("object")
    before: Any = request.get("oldObject")
    if not is_ours(manifest) or not _is_covered(manifest, custody):
        return Review(uid)
    subject = Subject.of(manifest)
    findings = tuple(findings_of(subject, Door.ADMISSION))
    can_be_made = not any(BY_CODE[finding.problem.code].stops is Stops.ALWAYS for finding in findings)
    drafts = of_subject(subject, options) if can_be_made else ()
    if not is_ours(before):
        return Review(uid, manifest, findings, drafts=drafts)
    was = Subject.of(before)
    drafts_before = of_subject(was, options) if drafts else ()
    # The old object excuses errors; where there are none, which is nearly always, it need not be thought about.
    has_errors = any(finding.level is Level.ERROR for finding in findings)
    return Review(
        uid,
        manifest,
        findings,
        tuple(findings_of(was, Door.ADMISSION)) if has_errors else (),
        _without(drafts, drafts_before),
        _without(drafts_before, drafts),
    )


def _without(some: Iterable[Draft], others: Iterable[Draft]) -> tuple[Draft, ...]:
    known = [draft.manifest for draft in others]
    return tuple(draft for draft in some if draft.manifest not in known)


def _is_covered(manifest: Manifest, custody: Custody) -> bool:
    managed_by = below(manifest, "spec").get("managedBy")
    return custody.covers_cluster(managed_by, below(manifest, "metadata", "labels"))


def _new(findings: Iterable[Finding], before: Iterable[Finding]) -> list[Finding]:
    """The errors that were not there before, wherever in its list an item stands now."""
    known = Counter(map(_identity, before))
    found = []
    for finding in findings:
        if known[_identity(finding)] > 0:
            known[_identity(finding)] -= 1
        elif finding.level is Level.ERROR:
            found.append(finding)
    return found


def _identity(finding: Finding) -> Identity:
    problem = finding.problem
    return problem.code, problem.problem, *re.split(r"\[\d+\]", problem.path)


def _refusal(manifest: Manifest, errors: Sequence[Finding]) -> dict[str, Any]:
    """A Status as the API server gives one for an invalid object: kubectl shows its causes one by one."""
    told = [finding.problem for finding in errors[:MOST]]
    words = [f"{problem.code} {problem}" for problem in told]
    if len(errors) > MOST:
        words.append(f"and {len(errors) - MOST} more; correct these first")
    causes = [{"reason": one.code, "field": short(one.path), "message": f"{one.words} ({one.code})"} for one in told]
    name = short(str(below(manifest, "metadata").get("name") or ""))
    details = {"group": GROUP, "kind": manifest["kind"], "name": name, "causes": causes}
    message = "\n".join(words)
    return {"status": "Failure", "code": 422, "reason": "Invalid", "message": message, "details": details}


def _warnings(findings: Iterable[Finding]) -> list[str]:
    found: list[str] = []
    room = MOST_WARNINGS
    for finding in findings:
        words = textwrap.shorten(f"{finding.problem.code} {finding.problem}", LONGEST_WARNING, placeholder=" …")
        room -= len(words)
        if room < 0:
            return [*found, _MORE]
        found.append(words)
    return found
