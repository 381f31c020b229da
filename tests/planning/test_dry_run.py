"""Pods that are only tried: that they are those which are made, and what each answer of the API server means."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from rayserve_operator.advice.inspection import MOST_SOUGHT
from rayserve_operator.advice.subject import Subject
from rayserve_operator.model.objects import Meta, RayCluster
from rayserve_operator.model.problems import Problem
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.planning.actions import Create, Kind
from rayserve_operator.planning.cluster.planner import plan_cluster
from rayserve_operator.planning.dry_run import drafts
from rayserve_operator.planning.dry_run.drafts import MOST, Draft, Source
from rayserve_operator.planning.dry_run.origins import origin
from rayserve_operator.planning.dry_run.verdicts import REFUSED, UNTRIED, Answer, judge, judged
from rayserve_operator.planning.observed import ObservedRayCluster
from rayserve_operator.render.options import RenderOptions

from ..builders import NOW, actions_of, cluster_config, group, service_spec

OPTIONS = RenderOptions()
HEAD = "spec.rayClusterConfig.headGroupSpec"
WORKER = "spec.rayClusterConfig.workerGroupSpecs[1]"
USERS: dict[str, Any] = {
    "metadata": {"annotations": {"team": "search"}},
    "spec": {
        "nodeSelector": {"cloud.example/pool": "a b"},
        "terminationGracePeriodSeconds": 1,
        "initContainers": [{"name": "fetch", "image": "fetch", "env": [{"name": "A", "value": 1}]}],
        "containers": [
            {
                "name": "ray",
                "image": "ray:1",
                "resources": {"requests": {"cpu": 1, "example.com/card": 1}},
                "env": [{"name": "ONE", "value": "1"}, {"name": "TWO", "value": 2}],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            },
            {"name": "beside", "image": "beside", "ports": [{"name": "web", "containerPort": 80}]},
        ],
        "volumes": [{"name": "data", "emptyDir": {"sizeLimit": "1Gi"}}],
    },
}
CONFIG = cluster_config(
    group(),
    {**group("gpu"), "template": USERS, "labels": {"zone": "a b"}},
    enableInTreeAutoscaling=True,
    autoscalerOptions={"resources": {"limits": {"cpus": 1}}, "env": [{"name": "OF", "value": "the autoscaler"}]},
    tlsOptions={"enabled": True},
)
CONFIG["headGroupSpec"]["labels"] = {"zone": "c"}


def service(config: Any = CONFIG) -> dict[str, Any]:
    metadata = {"name": "demo", "namespace": "default", "uid": "u"}
    return {"kind": "RayService", "metadata": metadata, "spec": service_spec(config)}


def drafted(manifest: Any) -> tuple[Draft, ...]:
    return drafts.of_subject(Subject.of(manifest), OPTIONS)


def head_pod() -> Draft:
    return drafted(service())[0]


def worker_pod() -> Draft:
    return drafted(service())[2]


def as_written(spec: Any) -> Draft:
    """A pod to which the operator adds nothing."""
    return Draft({"spec": spec}, (Source("template", {"spec": spec}),))


def invalid(*causes: tuple[str, str, str]) -> Answer:
    told = [{"field": field, "reason": reason, "message": message} for field, reason, message in causes]
    return Answer(422, {"message": "Pod is invalid", "details": {"causes": told}})


def unreadable(why: str) -> Answer:
    return Answer(400, {"message": f'Pod in version "v1" cannot be handled as a Pod: {why}'})


def of_wrong_type(kind: str, field: str, wanted: str) -> Answer:
    return unreadable(f"json: cannot unmarshal {kind} into Go struct field {field} of type {wanted}")


@pytest.mark.parametrize("config", [CONFIG, cluster_config(), cluster_config(group(numOfHosts=1), group("b"))])
def test_what_is_tried_is_what_is_made(config: Any) -> None:
    meta = Meta.parse({"metadata": {"name": "demo", "namespace": "default", "uid": "u"}})
    cluster = RayCluster(meta, RayClusterSpec.model_validate(config), RayClusterStatus())
    tried = drafts.of_cluster(cluster, "spec", OPTIONS)
    plan = plan_cluster(ObservedRayCluster(cluster, pods=(), services={}), OPTIONS, NOW)
    made = [action for action in actions_of(plan) if isinstance(action, Create) and action.kind is Kind.POD]
    assert [draft.manifest for draft in tried] == [_to_be_named(action) for action in made]


def _to_be_named(action: Create) -> dict[str, Any]:
    metadata = {key: value for key, value in action.manifest["metadata"].items() if value}
    spec = {key: value for key, value in action.manifest["spec"].items() if key != "serviceAccountName"}
    return {**action.manifest, "metadata": {**metadata, "generateName": action.name_prefix}, "spec": spec}


def test_an_account_is_named_only_where_the_operator_does_not_make_it() -> None:
    config = copy.deepcopy(CONFIG)
    config["headGroupSpec"]["template"]["spec"]["serviceAccountName"] = "mine"
    assert drafted(service(config))[0].manifest["spec"]["serviceAccountName"] == "mine"
    assert "serviceAccountName" not in head_pod().manifest["spec"]


def test_a_cluster_of_a_service_inherits_what_it_will_have() -> None:
    manifest = service()
    manifest["metadata"]["annotations"] = {"ray.io/ft-enabled": "true"}
    head, *_ = drafted(manifest)
    assert head.manifest["metadata"]["annotations"]["ray.io/ft-enabled"] == "true"
    assert head.manifest["metadata"]["ownerReferences"][0]["uid"] == drafts.NO_UID


def test_a_pod_listens_where_its_serve_config_says() -> None:
    manifest = service()
    manifest["spec"]["serveConfigV2"] = "http_options: {port: 9000}\n" + manifest["spec"]["serveConfigV2"]
    *_, worker = drafted(manifest)
    assert worker.manifest["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"] == 9000


def test_a_label_of_the_manifest_shows_in_its_pods() -> None:
    manifest = service()
    manifest["metadata"]["labels"] = {"volcano.sh/queue-name": "search"}
    head, *_ = drafts.of_subject(Subject.of(manifest), RenderOptions(batch_scheduler="volcano"))
    assert head.manifest["metadata"]["labels"]["volcano.sh/queue-name"] == "search"


def test_of_several_hosts_the_first_is_tried() -> None:
    _, worker = drafted(service(cluster_config(group(numOfHosts=2))))
    found = worker.manifest["metadata"]["labels"]
    assert found["ray.io/replica-host-index"] == found["ray.io/worker-group-replica-index"] == "0"
    assert found["ray.io/worker-group-replica-name"].startswith("cpu-")


def test_a_pod_is_of_a_cluster_that_is_named_after_the_service() -> None:
    assert all(
        draft.manifest["metadata"]["labels"]["ray.io/cluster"].startswith("demo-") for draft in drafted(service())
    )


def of_raycluster(**metadata: Any) -> tuple[Draft, ...]:
    return drafted({"kind": "RayCluster", "metadata": {"name": "demo", **metadata}, "spec": CONFIG})


def test_the_pods_of_a_cluster_of_its_own_are_tried() -> None:
    head, *workers = of_raycluster(uid="mine", namespace="there", labels={"ray.io/originated-from-crd": "RayJob"})
    assert [draft.path for draft in (head, *workers)] == [
        "spec.headGroupSpec.template",
        "spec.workerGroupSpecs[0].template",
        "spec.workerGroupSpecs[1].template",
    ]
    metadata = head.manifest["metadata"]
    assert metadata["namespace"] == "there"
    assert metadata["labels"]["ray.io/cluster"] == "demo"
    assert metadata["ownerReferences"][0]["uid"] == "mine"


@pytest.mark.parametrize("metadata", [{}, {"uid": None, "namespace": None}, {"uid": "", "namespace": ""}])
def test_a_cluster_that_is_not_there_yet_has_a_uid_all_the_same(metadata: dict[str, Any]) -> None:
    head, *_ = of_raycluster(**metadata)
    assert UUID(head.manifest["metadata"]["ownerReferences"][0]["uid"]).int == 0
    assert head.manifest["metadata"]["namespace"] == "default"


def test_only_so_many_pods_are_tried() -> None:
    groups = [group(f"g{index}") for index in range(2 * MOST)]
    assert len(drafted(service(cluster_config(*groups)))) == MOST


@pytest.mark.parametrize("spec", [None, 5, {}, {"rayClusterConfig": {"workerGroupSpecs": 5}}])
def test_of_a_spec_that_cannot_be_read_no_pod_is_tried(spec: Any) -> None:
    assert drafted({**service(), "spec": spec}) == ()


RAY = {"name": "ray", "image": "ray:1"}


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": [RAY], "volumes": 5},
        {"containers": [{**RAY, "env": [5]}]},
        {"containers": [{**RAY, "resources": {"requests": {"cpu": "1e999999999"}}}]},
        {"containers": [{**RAY, "resources": {"requests": {"cpu": "much"}}}]},
        {"containers": [5]},
        {"container": [RAY]},
        {},
        "none",
    ],
    ids=["a-type", "an-entry", "a-quantity", "no-quantity", "a-container", "no-containers", "nothing", "no-mapping"],
)
def test_no_template_is_too_odd_to_be_tried(spec: Any) -> None:
    config = copy.deepcopy(CONFIG)
    config["headGroupSpec"]["template"]["spec"] = spec
    head, *workers = drafted(service(config))
    assert head.manifest["spec"] == spec
    assert (head.manifest["apiVersion"], head.manifest["kind"]) == ("v1", "Pod")
    assert len(workers) == 2


def test_a_template_that_has_no_form_of_a_pod_is_tried_as_it_stands() -> None:
    config = copy.deepcopy(CONFIG)
    config["headGroupSpec"]["template"]["spec"]["volumes"] = "none"
    head, *workers = drafted(service(config))
    assert head.manifest["spec"] == config["headGroupSpec"]["template"]["spec"]
    assert head.manifest["metadata"] == {
        "namespace": "default",
        "generateName": head_pod().manifest["metadata"]["generateName"],
    }
    [problem] = judge(head, of_wrong_type("string", "PodSpec.spec.volumes", "[]v1.Volume"))
    assert problem.path == f"{HEAD}.template.spec.volumes"
    assert len(workers) == 2


@pytest.mark.parametrize(
    ("draft", "field", "path"),
    [
        (worker_pod, "spec.containers[0].image", f"{WORKER}.template.spec.containers[0].image"),
        (worker_pod, "spec.containers[1].ports[0].name", f"{WORKER}.template.spec.containers[1].ports[0].name"),
        (worker_pod, "spec.initContainers[1].image", f"{WORKER}.template.spec.initContainers[0].image"),
        (worker_pod, "spec.initContainers[0].image", None),
        (worker_pod, "spec.initContainers[2].image", None),
        (worker_pod, "spec.nodeSelector[cloud.example/pool]",
         f"{WORKER}.template.spec.nodeSelector.cloud.example/pool"),
        (worker_pod, "spec.volumes[0].emptyDir.sizeLimit", f"{WORKER}.template.spec.volumes[0].emptyDir.sizeLimit"),
        (worker_pod, "spec.volumes[1].name", None),
        (worker_pod, "spec.containers[0].volumeMounts[0].name",
         f"{WORKER}.template.spec.containers[0].volumeMounts[0].name"),
        (worker_pod, "spec.containers[0].resources.requests[example.com/card]",
         f"{WORKER}.template.spec.containers[0].resources.requests.example.com/card"),
        (worker_pod, "spec.containers[0].resources.limits[example.com/card]", None),
        (worker_pod, "spec.terminationGracePeriodSeconds", f"{WORKER}.template.spec.terminationGracePeriodSeconds"),
        (worker_pod, "spec.restartPolicy", None),
        (worker_pod, "spec.containers[0].command[0]", None),
        (worker_pod, "spec.priority", f"{WORKER}.template.spec.priority"),
        (worker_pod, "metadata.annotations[team]", f"{WORKER}.template.metadata.annotations.team"),
        (worker_pod, "metadata.labels", f"{WORKER}.labels"),
        (worker_pod, "metadata.generateName", None),
        (head_pod, "metadata.labels[zone]", f"{HEAD}.labels.zone"),
        (head_pod, "metadata.labels[ray.io/cluster]", None),
        (head_pod, "spec.containers[0].env", None),
        (head_pod, "spec.containers[1].resources.limits[cpus]",
         "spec.rayClusterConfig.autoscalerOptions.resources.limits.cpus"),
        (head_pod, "spec.containers[1].command", None),
    ],
)  # fmt: skip
def test_a_field_of_a_pod_leads_back_to_what_the_user_wrote(
    draft: Callable[[], Draft], field: str, path: str | None
) -> None:
    assert origin(draft(), field) == path


def test_all_causes_are_told_and_the_same_one_once() -> None:
    wrong = ("spec.containers[0].image", "FieldValueInvalid", "Invalid value")
    other = ("spec.containers[1].name", "FieldValueDuplicate", "Duplicate value")
    first, second = judge(worker_pod(), invalid(wrong, wrong, other))
    assert (first.path, second.path) == (
        f"{WORKER}.template.spec.containers[0].image",
        f"{WORKER}.template.spec.containers[1].name",
    )


@pytest.mark.parametrize(
    ("reason", "message", "mend"),
    [
        ("FieldValueRequired", "Required value", "add it"),
        ("FieldValueNotSupported", 'Unsupported value: "A": supported values: "B"', "write one of these"),
        ("FieldValueNotFound", 'Not found: "models"', "name what is there, or add it"),
        ("FieldValueDuplicate", 'Duplicate value: "A"', "leave one of them out"),
        ("FieldValueForbidden", "Forbidden: may not be set", "leave it out"),
        ("FieldValueTooLong", "Too long: may not be more than 63 bytes", "shorten it"),
        ("FieldValueTooMany", "Too many: 9: must have at most 8 items", "leave some out"),
        ("FieldValueInvalid", 'Invalid value: "A": must be lower case', "correct it"),
    ],
)
def test_a_cause_is_told_in_kubernetes_words_with_what_to_do(reason: str, message: str, mend: str) -> None:
    answer = invalid(("spec.volumes[0].name", reason, message))
    assert judge(as_written({"volumes": [{"name": "A"}]}), answer) == (
        Problem("template.spec.volumes[0].name", f"is refused by Kubernetes: {message}", mend, REFUSED),
    )


def test_so_many_problems_of_a_pod_are_sought() -> None:
    """More than are told, so that whoever tells them knows of the rest."""
    causes = ((f"spec.volumes[{index}]", "FieldValueRequired", "Required value") for index in range(2 * MOST_SOUGHT))
    assert len(judge(as_written({"volumes": []}), invalid(*causes))) == MOST_SOUGHT


@pytest.mark.parametrize(
    ("answer", "field", "words"),
    [
        (
            invalid(("spec.initContainers[2].name", "FieldValueDuplicate", "Duplicate value")),
            "spec.initContainers[2].name",
            "is refused by Kubernetes: Duplicate value",
        ),
        (
            of_wrong_type("string", "PodSpec.spec.restartPolicy", "int32"),
            "spec.restartPolicy",
            "is of type string, and Kubernetes takes type int32",
        ),
    ],
    ids=["a-cause", "a-type"],
)
def test_what_the_operator_adds_is_called_so(answer: Answer, field: str, words: str) -> None:
    told = f"makes a pod whose {field}, which the operator adds, {words}"
    mend = "change what it clashes with in the template"
    assert judge(worker_pod(), answer) == (Problem(f"{WORKER}.template", told, mend, REFUSED),)


def test_several_unknown_fields_are_told_each() -> None:
    fields = ("spec.containers[0].imagePullPolice", "spec.nodeSelectors")
    why = ", ".join(f'unknown field "{field}"' for field in fields)
    first, second = judge(worker_pod(), unreadable(f"strict decoding error: {why}"))
    assert (first.path, second.path) == tuple(f"{WORKER}.template.{field}" for field in fields)
    explained = "is no field of Kubernetes; correct it: `kubectl explain {}` lists the fields"
    assert (first.words, second.words) == (explained.format("pod.spec.containers"), explained.format("pod.spec"))


@pytest.mark.parametrize(
    ("kind", "field", "path"),
    [
        ("number", "EnvVar.spec.containers.env.value", "spec.containers[0].env[1].value"),
        ("number", "EnvVar.spec.initContainers.env.value", "spec.initContainers[0].env[0].value"),
        ("array", "PodSpec.spec.volumes", "spec.volumes"),
        ("object", "Container.spec.containers.args", "spec.containers.args"),
    ],
    ids=["of-several", "moved", "a-list", "nowhere"],
)
def test_a_value_of_a_wrong_type_leads_back_to_what_the_user_wrote(kind: str, field: str, path: str) -> None:
    [problem] = judge(worker_pod(), of_wrong_type(kind, field, "string"))
    assert (problem.code, problem.path) == (REFUSED, f"{WORKER}.template.{path}")


@pytest.mark.parametrize(
    ("containers", "answer", "path", "words"),
    [
        ([{"env": None}, {"env": [{"value": "a"}, {"value": 1.5}]}],
         of_wrong_type("number", "EnvVar.spec.containers.env.value", "string"), "[1].env[1].value",
         "is of type number, and Kubernetes takes type string; put it in quotes"),
        ([{"env": [{"value": "a"}, {"value": True}]}],
         of_wrong_type("bool", "EnvVar.spec.containers.env.value", "string"), "[0].env[1].value",
         "is of type bool, and Kubernetes takes type string; put it in quotes"),
        ([{"args": ["a", 5]}],
         of_wrong_type("number", "Container.spec.containers.args", "string"), "[0].args[1]",
         "is of type number, and Kubernetes takes type string; put it in quotes"),
        ([{"image": "a"}, {"image": ["a"]}],
         of_wrong_type("array", "Container.spec.containers.image", "string"), "[1].image",
         "is of type array, and Kubernetes takes type string; write a value of that type"),
        ([{"image": "a"}, {"image": {"a": 1}}],
         of_wrong_type("object", "Container.spec.containers.image", "string"), "[1].image",
         "is of type object, and Kubernetes takes type string; write a value of that type"),
        ([{"stdin": True}, {"stdin": 1}],
         of_wrong_type("number", "Container.spec.containers.stdin", "bool"), "[1].stdin",
         "is of type number, and Kubernetes takes type bool; write a value of that type"),
        ([{"stdin": True}, {"stdin": "yes"}],
         of_wrong_type("string", "Container.spec.containers.stdin", "bool"), "[1].stdin",
         "is of type string, and Kubernetes takes type bool; write a value of that type"),
    ],
)  # fmt: skip
def test_a_value_of_a_wrong_type_is_found(containers: Any, answer: Answer, path: str, words: str) -> None:
    [problem] = judge(as_written({"containers": containers}), answer)
    assert (problem.path, problem.words) == (f"template.spec.containers{path}", words)


@pytest.mark.parametrize(
    "why",
    [
        "quantities must match the regular expression",
        "a reason\nof two lines",
        "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32",
    ],
)
def test_a_pod_that_cannot_be_read_for_another_reason_is_refused_in_kubernetes_words(why: str) -> None:
    told = f"is refused by Kubernetes: {why}"
    assert judge(worker_pod(), unreadable(why)) == (Problem(f"{WORKER}.template", told, "correct it", REFUSED),)


def test_a_pod_that_is_taken_is_not_spoken_of() -> None:
    assert judge(head_pod(), Answer(201)) == ()


def test_each_pod_has_an_answer() -> None:
    with pytest.raises(ValueError, match="shorter"):
        judged(drafted(service()), [Answer(201)])


AGAINST_A_POLICY = "makes pods that a policy refuses: {}; meet the policy, or have it changed"
NOT_NOW = "makes pods that are not let in as things are: {}; see to that before its pods are made"
UNKNOWN = "could not be tried: {}; watch the events of its cluster, if no pods come"
LATEST = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no latest"
ELSEWHERE = {"field": "spec.containers[7].image", "message": "injected"}


@pytest.mark.parametrize(
    ("code", "message", "told", "words"),
    [
        (None, "no answer within 2 s", UNKNOWN, "no answer within 2 s"),
        (403, 'pods "demo-x" is forbidden: exceeded quota: q', NOT_NOW, "exceeded quota: q"),
        (403, "pods is forbidden: User cannot create", NOT_NOW, "User cannot create"),
        (400, 'admission webhook "w" does not support dry run', UNKNOWN,
         'the API server answers 400: admission webhook "w" does not support dry run'),
        (400, 'admission webhook "w" denied the request: cannot be handled as a Pod: x', AGAINST_A_POLICY,
         'admission webhook "w" denied the request: cannot be handled as a Pod: x'),
        (403, 'admission webhook "w" denied the request: pods is forbidden: User cannot list', AGAINST_A_POLICY,
         'admission webhook "w" denied the request: pods is forbidden: User cannot list'),
        (400, "the object is unrecognized", UNKNOWN, "the API server answers 400: the object is unrecognized"),
        (404, 'namespaces "n" not found', UNKNOWN, 'the API server answers 404: namespaces "n" not found'),
        (409, "exists", UNKNOWN, "the API server answers 409: exists"),
        (422, f'pods "d" is forbidden: {LATEST}', AGAINST_A_POLICY, LATEST),
        (429, "later", UNKNOWN, "the API server answers 429: later"),
        (500, 'failed calling webhook "w": cannot be handled as a Pod: x', UNKNOWN,
         'the API server answers 500: failed calling webhook "w": cannot be handled as a Pod: x'),
        (504, "", UNKNOWN, "the API server answers 504"),
    ],
)  # fmt: skip
def test_what_is_not_the_manifests_own_fault_is_a_warning_that_names_it(
    code: int | None, message: str, told: str, words: str
) -> None:
    [problem] = judge(head_pod(), Answer(code, {"message": message}) if message else Answer(code))
    assert (problem.code, problem.path) == (UNTRIED, f"{HEAD}.template")
    assert problem.words == told.format(words)


@pytest.mark.parametrize("details", [None, {}, {"causes": "none"}, {"causes": ["none", {"message": "no"}, ELSEWHERE]}])
def test_what_names_no_field_that_was_sent_is_no_fault_of_the_manifest(details: Any) -> None:
    [problem] = judge(head_pod(), Answer(422, {"message": "odd", "details": details}))
    assert problem.code == UNTRIED
    assert problem.words == UNKNOWN.format("the API server answers 422: odd")


def test_a_webhooks_own_validation_is_a_policy() -> None:
    causes = [{"field": "spec.containers[0].image", "reason": "FieldValueInvalid", "message": "no tag"}]
    message = 'admission webhook "w" denied the request: images'
    [problem] = judge(head_pod(), Answer(422, {"message": message, "details": {"causes": causes}}))
    assert problem.code == UNTRIED


def test_a_cluster_of_its_own_has_its_paths() -> None:
    meta = Meta.parse({"metadata": {"name": "demo", "namespace": "default"}})
    cluster = RayCluster(meta, RayClusterSpec.model_validate(cluster_config()), RayClusterStatus())
    named = replace(cluster, meta=replace(meta, uid="mine"))
    assert [draft.path for draft in drafts.of_cluster(cluster, "spec", OPTIONS)] == [
        "spec.headGroupSpec.template",
        "spec.workerGroupSpecs[0].template",
    ]
    assert drafts.of_cluster(named, "spec", OPTIONS)[0].manifest["metadata"]["ownerReferences"][0]["uid"] == "mine"
