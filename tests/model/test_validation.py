from typing import Any

import pytest
from pydantic import ValidationError

from rayserve_operator.model.problems import parse_problems
from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.model.rayservice import RayServiceSpec
from rayserve_operator.model.validation import validate_cluster, validate_service

TEMPLATE = {"spec": {"containers": [{"name": "ray", "image": "ray"}]}}


def group(name: str = "cpu", **fields: Any) -> dict[str, Any]:
    return {"groupName": name, "template": TEMPLATE, **fields}


def cluster(*groups: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"headGroupSpec": {"template": TEMPLATE}, "workerGroupSpecs": list(groups), **fields}


def problems_of(spec: dict[str, Any], name: str = "my-app") -> list[tuple[str, str]]:
    found = validate_service(name, "default", RayServiceSpec.model_validate(spec))
    assert all(problem.mend for problem in found)
    return [(problem.path, problem.problem) for problem in found]


def test_a_good_service_has_no_problems() -> None:
    assert problems_of({"rayClusterConfig": cluster(group(), group("gpu", minReplicas=1, maxReplicas=1))}) == []


@pytest.mark.parametrize(
    ("config", "path"),
    [
        (cluster(group(minReplicas=3, maxReplicas=2)), "workerGroupSpecs[0].maxReplicas"),
        (cluster(group(), group()), "workerGroupSpecs[1].groupName"),
        (cluster(group(template={"spec": {"containers": []}})), "workerGroupSpecs[0].template.spec.containers"),
        ({"headGroupSpec": {"template": {}}}, "headGroupSpec.template.spec.containers"),
        ({"headGroupSpec": {"template": {"spec": "x"}}}, "headGroupSpec.template.spec.containers"),
        ({"headGroupSpec": {"template": {"spec": {"containers": "x"}}}}, "headGroupSpec.template.spec.containers"),
        ({"headGroupSpec": {"template": {"spec": {"containers": [1]}}}}, "headGroupSpec.template.spec.containers"),
        (
            {"headGroupSpec": {"template": TEMPLATE, "headService": {"metadata": 5}}},
            "headGroupSpec.headService.metadata",
        ),
        ({"headGroupSpec": {"template": TEMPLATE, "headService": {"spec": "x"}}}, "headGroupSpec.headService.spec"),
        (cluster(historyServerOptions={}), "historyServerOptions"),
        (
            {"headGroupSpec": {"template": TEMPLATE, "headService": {"metadata": {"name": "mine"}}}},
            "headGroupSpec.headService.metadata.name",
        ),
        (
            {"headGroupSpec": {"template": TEMPLATE, "headService": {"metadata": {"namespace": "other"}}}},
            "headGroupSpec.headService.metadata.namespace",
        ),
    ],
)
def test_a_bad_cluster_is_named_by_its_path(config: dict[str, Any], path: str) -> None:
    assert [found for found, _ in problems_of({"rayClusterConfig": config})] == [f"spec.rayClusterConfig.{path}"]


@pytest.mark.parametrize("name", ["My-App", "1app", "app-", "a" * 48])
def test_a_name_that_children_cannot_bear_is_refused(name: str) -> None:
    assert [path for path, _ in problems_of({"rayClusterConfig": cluster()}, name)] == ["metadata.name"]


def test_a_raycluster_may_have_a_longer_name_than_a_rayservice() -> None:
    spec = RayClusterSpec.model_validate(cluster(group()))
    assert validate_cluster("a" * 53, "default", spec) == []
    assert validate_cluster("a" * 54, "default", spec) != []


def test_a_service_in_another_namespace_is_refused() -> None:
    found = problems_of({"rayClusterConfig": cluster(), "serveService": {"metadata": {"namespace": "other"}}})
    assert found == [("spec.serveService.metadata.namespace", "is other")]


@pytest.mark.parametrize("path", ["elsewhere.invalid/", "@elsewhere.invalid/", "http://elsewhere.invalid/", ":80/"])
def test_no_address_comes_from_the_spec(path: str) -> None:
    strategy = {"analysis": {"smokeRequests": [{"path": path}]}}
    with pytest.raises(ValidationError) as error:
        RayServiceSpec.model_validate({"rayClusterConfig": cluster(group()), "upgradeStrategy": strategy})
    assert [problem.path for problem in parse_problems(error.value)] == [
        "spec.upgradeStrategy.analysis.smokeRequests[0].path"
    ]


def test_a_bad_serve_config_is_found_with_all_the_rest() -> None:
    spec = {"rayClusterConfig": cluster(group(), group()), "serveConfigV2": "applications: {}"}
    assert [path for path, _ in problems_of(spec)] == [
        "spec.rayClusterConfig.workerGroupSpecs[1].groupName",
        "spec.serveConfigV2:applications",
    ]


def test_however_much_is_wrong_it_fits_a_condition() -> None:
    groups = [group("g" * 10_000, minReplicas=2, maxReplicas=1) for _ in range(1000)]
    spec = RayServiceSpec.model_validate({"rayClusterConfig": cluster(*groups)})
    found = validate_service("my-app", "default", spec)
    assert found[-1].problem == "has 1979 more problems"
    assert len("; ".join(map(str, found))) < 32768


def test_a_missing_field_is_called_missing() -> None:
    with pytest.raises(ValidationError) as error:
        RayServiceSpec.model_validate({"rayClusterConfig": {"workerGroupSpecs": [{"groupName": "a"}]}})
    assert [str(problem) for problem in parse_problems(error.value)] == [
        "spec.rayClusterConfig.headGroupSpec is missing; add it",
        "spec.rayClusterConfig.workerGroupSpecs[0].template is missing; add it",
    ]


def test_what_pydantic_finds_is_told_in_the_words_of_manifests() -> None:
    with pytest.raises(ValidationError) as error:
        RayServiceSpec.model_validate({"rayClusterConfig": cluster(group(maxReplicas="many"))})
    [problem] = parse_problems(error.value)
    assert problem.path == "spec.rayClusterConfig.workerGroupSpecs[0].maxReplicas"
