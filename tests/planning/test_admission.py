"""Reviews, from what the API server asks to what it is answered."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
import yaml

from rayserve_operator.advice.findings import Door, Finding, Level
from rayserve_operator.advice.inspection import MOST_PAIRS, MOST_SOUGHT, findings_of, inspect
from rayserve_operator.advice.rules import BY_CODE
from rayserve_operator.advice.subject import Subject
from rayserve_operator.model import documents, serve_parsing
from rayserve_operator.model.problems import MOST, Problem
from rayserve_operator.planning import admission
from rayserve_operator.planning.admission import LONGEST_WARNING, MOST_WARNINGS, NotAReview, Review, review
from rayserve_operator.planning.custody import Custody
from rayserve_operator.planning.dry_run.drafts import Draft
from rayserve_operator.planning.dry_run.verdicts import Answer
from rayserve_operator.render.options import RenderOptions
from tests.lint.cases import CASES, GOOD, SERVE, TRIED, Case, Tried

ALL = Custody()
REFUSING = [case for case in CASES if Level.ERROR in BY_CODE[case.code].levels.values() and case.code != "RS002"]
TELLING = [case for case in CASES if case not in REFUSING and case.code != "RS002"]


Try: TypeAlias = Callable[[Draft], Answer]


def taken(_: Draft) -> Answer:
    return Answer(201)


def asked(manifest: Any, before: Any = None) -> dict[str, Any]:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "operation": "CREATE" if before is None else "UPDATE",
            "object": manifest,
            "oldObject": before,
        },
    }


def verdict(manifest: Any, before: Any = None, custody: Custody = ALL, tried: Try = taken) -> dict[str, Any]:
    question = review(asked(manifest, before), custody, RenderOptions())
    answer = question.answer([tried(draft) for draft in question.to_be_tried])
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert answer["response"].pop("uid") == "u-1"
    found: dict[str, Any] = answer["response"]
    return found


def causes(found: dict[str, Any]) -> list[tuple[str, str]]:
    assert not found["allowed"]
    assert (found["status"]["code"], found["status"]["reason"]) == (422, "Invalid")
    return [(cause["reason"], cause["field"]) for cause in found["status"]["details"]["causes"]]


def named(case: Case) -> str:
    return f"{case.code}:{case.place}"


def with_groups(*groups: dict[str, Any], **changes: Any) -> dict[str, Any]:
    manifest = copy.deepcopy(GOOD)
    [worker] = manifest["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    manifest["spec"]["rayClusterConfig"]["workerGroupSpecs"] = [{**worker, **group} for group in groups]
    manifest["spec"].update(changes)
    return manifest


def bad_group(name: str) -> dict[str, Any]:
    return {"groupName": name, "minReplicas": 5, "maxReplicas": 1}


def test_a_good_manifest_is_let_through_without_a_word() -> None:
    assert verdict(GOOD) == {"allowed": True}


@pytest.mark.parametrize("case", REFUSING, ids=named)
def test_what_is_wrong_is_refused_with_its_place_and_mend(case: Case) -> None:
    found = verdict(case.manifest)
    assert (case.code, case.place) in causes(found)
    for cause in found["status"]["details"]["causes"]:
        assert cause["field"] in found["status"]["message"]
        assert "; " in cause["message"]


@pytest.mark.parametrize("case", TELLING, ids=named)
def test_what_is_unwise_is_told_and_let_through(case: Case) -> None:
    found = verdict(case.manifest)
    assert found["allowed"]
    assert any(warning.startswith(f"{case.code} {case.place}") for warning in found["warnings"])


@pytest.mark.parametrize("case", REFUSING, ids=named)
def test_an_update_is_not_refused_for_what_was_there_before(case: Case) -> None:
    after = copy.deepcopy(case.manifest)
    after.setdefault("metadata", {})["labels"] = {"new": "label"}
    found = verdict(after, case.manifest)
    assert found["allowed"]
    assert any(warning.startswith(case.code) for warning in found["warnings"])


def test_an_update_is_refused_for_what_it_brings() -> None:
    before = with_groups(bad_group("a"))
    assert causes(verdict(with_groups(bad_group("a"), bad_group("b")), before)) != []
    assert verdict(GOOD, before)["allowed"]


def test_what_is_refused_is_not_told_a_second_time() -> None:
    assert "warnings" not in verdict(with_groups(bad_group("a")))


def test_what_was_wrong_may_move_in_its_list() -> None:
    before = with_groups(bad_group("a"))
    assert verdict(with_groups({"groupName": "new", "minReplicas": 0}, bad_group("a")), before)["allowed"]


def error(**changes: str) -> Finding:
    return Finding(replace(Problem("spec.items[1].size", "is wrong", "mend it", "RS101"), **changes), Level.ERROR)


def answered(findings: Iterable[Finding], before: Iterable[Finding] = (), manifest: Any = GOOD) -> dict[str, Any]:
    found: dict[str, Any] = Review("u-1", manifest, tuple(findings), tuple(before)).answer([])["response"]
    return found


@pytest.mark.parametrize(
    "changes",
    [{"code": "RS102"}, {"problem": "is worse"}, {"path": "spec.items[1].length"}, {"path": "spec.parts[1].size"}],
)
def test_something_else_is_new(changes: dict[str, str]) -> None:
    assert not answered([error(**changes)], [error()])["allowed"]


def test_the_same_is_new_as_often_as_it_is_more() -> None:
    moved = [error(path=f"spec.items[{index}].size") for index in (7, 8, 9)]
    assert answered(moved[:2], [error()] * 2)["allowed"]
    assert causes(answered(moved, [error()] * 2)) == [("RS101", "spec.items[9].size")]


def test_the_old_object_is_not_thought_about_where_nothing_needs_an_excuse(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def noted(subject: Subject, door: Door) -> Any:
        seen.append(subject.manifest)
        return findings_of(subject, door)

    monkeypatch.setattr(admission, "findings_of", noted)
    scaled = with_groups({"groupName": "cpu", "replicas": 2})
    assert verdict(scaled, GOOD)["allowed"]
    assert seen == [scaled]


@pytest.mark.parametrize("text", [GOOD["spec"]["serveConfigV2"], "applications: [", "applications: 5"])
def test_a_serve_config_is_read_once(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    seen: list[str] = []

    def noted(given: str) -> Any:
        seen.append(given)
        return documents.read(given)

    monkeypatch.setattr(serve_parsing, "read", noted)
    before = f"{text} # before"
    verdict(with_groups({}, serveConfigV2=text), with_groups({}, serveConfigV2=before))
    assert seen.count(text) == 1
    assert seen.count(before) <= 1


def test_all_errors_are_told_at_once() -> None:
    manifest = with_groups(bad_group("a"), bad_group("b"), serveConfigV2="applications: [")
    assert {code for code, _ in causes(verdict(manifest))} == {"RS008", "RS101"}


@pytest.mark.parametrize(
    ("more", "last"), [(0, f"spec.items[{MOST - 1}].size is wrong; mend it"), (3, "and 3 more; correct these first")]
)
def test_of_very_many_errors_the_first_are_told(more: int, last: str) -> None:
    found = answered(error(path=f"spec.items[{index}].size") for index in range(MOST + more))
    assert len(causes(found)) == MOST
    lines = found["status"]["message"].splitlines()
    assert lines[0] == "RS101 spec.items[0].size is wrong; mend it"
    assert lines[-1].removeprefix("RS101 ") == last


def test_a_refusal_is_the_status_of_an_invalid_object() -> None:
    status = answered([error()])["status"]
    assert status.pop("message") == "RS101 spec.items[1].size is wrong; mend it"
    assert status == {
        "status": "Failure",
        "code": 422,
        "reason": "Invalid",
        "details": {
            "group": "ray.io",
            "kind": "RayService",
            "name": GOOD["metadata"]["name"],
            "causes": [{"reason": "RS101", "field": "spec.items[1].size", "message": "is wrong; mend it (RS101)"}],
        },
    }


@pytest.mark.parametrize("metadata", [None, {}, {"name": None}])
def test_what_has_no_name_is_refused_without_one(metadata: Any) -> None:
    refused = answered([error()], manifest={"kind": "RayService", "metadata": metadata})
    assert refused["status"]["details"]["name"] == ""


def advice(length: int) -> Finding:
    told = len("RS101 spec ; mend it")
    return Finding(Problem("spec", "x" * (length - told), "mend it", "RS101"), Level.ADVICE)


def test_all_that_is_told_fits_into_what_the_api_server_takes() -> None:
    assert LONGEST_WARNING == 256, "the API server cuts what is longer"
    assert MOST_WARNINGS + LONGEST_WARNING < 4096, "the API server's limit for the warnings of all webhooks"


def test_a_warning_that_is_too_long_ends_early() -> None:
    [whole, cut] = answered([advice(LONGEST_WARNING), advice(LONGEST_WARNING + 1)])["warnings"]
    assert whole.endswith("x; mend it")
    assert cut.endswith("mend …")


def test_warnings_are_as_many_as_the_api_server_takes() -> None:
    fitting = [advice(250)] * (MOST_WARNINGS // 250)
    assert answered(fitting)["warnings"] == [f"RS101 {one.problem}" for one in fitting]
    *told, more = answered([*fitting, advice(20)])["warnings"]
    assert told == [f"RS101 {one.problem}" for one in fitting]
    assert more == "and more, which rayserve lint tells"


def test_unknown_fields_are_left_to_the_api_servers_own_validation() -> None:
    manifest = copy.deepcopy(GOOD)
    manifest["spec"]["serveConfig"] = ""
    assert verdict(manifest) == {"allowed": True}


def with_applications(count: int) -> dict[str, Any]:
    serve = copy.deepcopy(SERVE)
    [first, *_] = serve["applications"]
    serve["applications"] = [{**first, "name": f"a{index}", "route_prefix": f"/{index}"} for index in range(count)]
    return with_groups({}, serveConfigV2=yaml.safe_dump(serve))


def test_what_has_no_end_of_problems_is_answered_in_few_words() -> None:
    manifest = with_applications(2)
    manifest["metadata"]["name"] = "n" * 100_000
    keys = "".join(f"max_ongoing_request{index}: 1\n" for index in range(10_000))
    manifest["spec"]["serveConfigV2"] += keys
    assert len(inspect(manifest, Door.ADMISSION)) <= 3 * MOST_SOUGHT
    assert len(json.dumps(verdict(manifest))) < 100_000


def test_advice_that_takes_long_is_left_to_lint() -> None:
    manifest = with_applications(MOST_PAIRS)
    assert inspect(manifest, Door.LINT)
    assert verdict(manifest) == {"allowed": True}


class Watch:
    """Notes what the interpreter does to the world; an audit hook is never taken off."""

    def __init__(self) -> None:
        self.is_on = False
        self.seen: list[str] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, _: Any) -> None:
        if self.is_on and event.partition(".")[0] in {"import", "open", "os", "socket", "subprocess", "exec", "ctypes"}:
            self.seen.append(event)


def whole(question: Any) -> None:
    found = review(question, ALL, RenderOptions())
    found.answer([taken(draft) for draft in found.to_be_tried])


def test_nothing_that_a_manifest_names_is_imported_run_or_fetched() -> None:
    questions = [asked(case.manifest) for case in CASES]
    for question in questions:
        whole(question)  # What the rules themselves import when they are first asked.
    watch = Watch()
    watch.is_on = True
    for question in questions:
        whole(question)
    watch.is_on = False
    assert watch.seen == []


def of_worker(answer: Answer) -> Try:
    """An API server that has this to say to workers."""
    return lambda draft: answer if "workerGroupSpecs" in draft.path else taken(draft)


@pytest.mark.parametrize("case", TRIED, ids=named)
def test_what_the_api_server_finds_in_a_pod_weighs_as_its_rule_says(case: Tried) -> None:
    found = verdict(case.manifest, tried=of_worker(case.said))
    if BY_CODE[case.code].levels[Door.ADMISSION] is Level.ERROR:
        assert causes(found) == [(case.code, case.place)]
    else:
        assert found["allowed"]
        assert any(warning.startswith(f"{case.code} {case.place}") for warning in found["warnings"])


TYPO = next(case for case in TRIED if case.path == "imagePullPolice")


def finds_typos(draft: Draft) -> Answer:
    return TYPO.said if "imagePullPolice" in str(draft.manifest) else taken(draft)


def test_an_update_is_refused_for_the_pod_that_it_spoils() -> None:
    assert causes(verdict(TYPO.manifest, GOOD, tried=finds_typos)) == [(TYPO.code, TYPO.place)]
    assert verdict(GOOD, TYPO.manifest, tried=finds_typos) == {"allowed": True}


def test_an_update_is_not_refused_for_a_pod_that_was_as_bad_before() -> None:
    after = copy.deepcopy(TYPO.manifest)
    [group] = after["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    group["template"]["spec"]["containers"][0]["image"] = "ray:2"
    found = verdict(after, TYPO.manifest, tried=finds_typos)
    assert found["allowed"]
    assert any(warning.startswith(f"{TYPO.code} {TYPO.place}") for warning in found["warnings"])


def test_pods_that_an_update_leaves_alone_are_not_tried() -> None:
    changed = with_groups(
        {"replicas": 2}, {"groupName": "more"}, serveConfigV2=GOOD["spec"]["serveConfigV2"] + "# new\n"
    )
    assert [draft.path for draft in review(asked(changed, GOOD), ALL, RenderOptions()).to_be_tried] == [
        "spec.rayClusterConfig.workerGroupSpecs[1].template"
    ]


@pytest.mark.parametrize("before", [None, GOOD], ids=["created", "updated"])
def test_a_spec_that_cannot_be_followed_is_refused_without_a_try(before: Any) -> None:
    assert review(asked(with_groups(bad_group("a")), before), ALL, RenderOptions()).to_be_tried == ()


def test_what_could_not_be_tried_is_silenced_by_its_code() -> None:
    manifest = copy.deepcopy(GOOD)
    manifest["metadata"]["annotations"] = {"rayserve.ray.io/silence": "RS405"}
    assert verdict(manifest, tried=lambda _: Answer(None, {"message": "no answer"})) == {"allowed": True}
    assert len(verdict(GOOD, tried=lambda _: Answer(None, {"message": "no answer"}))["warnings"]) == 2


BAD = with_groups(bad_group("a"))


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        {**BAD, "kind": "RayJob"},
        {**BAD, "apiVersion": "v1"},
        {**BAD, "spec": {**BAD["spec"], "managedBy": "kueue.x-k8s.io/multikueue"}},
        {**BAD, "metadata": {"name": "job", "labels": {"ray.io/originated-from-crd": "RayJob"}}},
    ],
    ids=["deleted", "another-kind", "another-group", "anothers", "of-a-rayjob"],
)
def test_what_is_not_looked_after_is_let_through(manifest: Any) -> None:
    assert verdict(manifest) == {"allowed": True}


def test_what_is_kuberays_now_is_let_through() -> None:
    standing_by = Custody(stands_by=True)
    assert verdict(BAD, custody=standing_by) == {"allowed": True}
    marked = {**BAD, "spec": {**BAD["spec"], "managedBy": "ray.io/rayserve-operator"}}
    assert not verdict(marked, custody=standing_by)["allowed"]


@pytest.mark.parametrize(
    "nonsense",
    [None, [], {}, {"request": {}}, {"request": {"uid": 5}}, {**asked(GOOD), "apiVersion": "admission.k8s.io/v1beta1"}],
)
def test_what_is_no_review_is_not_answered(nonsense: Any) -> None:
    with pytest.raises(NotAReview, match=r"no AdmissionReview of admission\.k8s\.io/v1"):
        review(nonsense, ALL, RenderOptions())


@pytest.mark.parametrize("nonsense", [5, "text", [], {"labels": 5, "annotations": [], "name": {}}])
def test_nonsense_in_an_object_is_a_verdict_and_no_failure(nonsense: Any) -> None:
    for key in ("metadata", "spec"):
        assert "allowed" in verdict({**GOOD, key: nonsense}, {**GOOD, key: nonsense})
