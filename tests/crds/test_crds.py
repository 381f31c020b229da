from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from rayserve_operator.crdgen import definitions, files, main

ROOT = Path(__file__).parents[2]
CLIENT_SIDE_APPLY_LIMIT = 256 * 1024
FIELDS = (Path(__file__).parent / "kuberay_fields.txt").read_text().split()


def schemas() -> dict[str, Any]:
    return {
        crd["spec"]["names"]["plural"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for crd in definitions().values()
    }


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for child in schema.get("properties", {}).values():
        yield from nodes(child)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key])


@pytest.mark.parametrize("folder", ["crds", "charts/rayserve-operator/files/crds"])
def test_what_is_committed_is_what_the_models_say(folder: str) -> None:
    assert {path.name: path.read_text() for path in (ROOT / folder).glob("*.yaml")} == files()


def test_the_check_tells_what_is_stale(tmp_path: Path) -> None:
    assert main(["--check", str(tmp_path)]) == 1
    assert main([str(tmp_path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0


@pytest.mark.parametrize("text", files().values(), ids=files().keys())
def test_client_side_apply_can_store_it(text: str) -> None:
    assert len(text) < CLIENT_SIDE_APPLY_LIMIT / 2


@pytest.mark.parametrize("schema", schemas().values(), ids=schemas().keys())
def test_it_is_structural(schema: dict[str, Any]) -> None:
    for node in nodes(schema):
        assert "type" in node
        assert not node.keys() & {"$ref", "anyOf", "oneOf", "title", "const", "exclusiveMinimum"}
        assert node.get("default", 0) is not None


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_kuberay_is_there(field: str) -> None:
    kind, *path = field.split(".")
    node = schemas()[kind]
    for part in path:
        if node.get("x-kubernetes-preserve-unknown-fields") and part not in node.get("properties", {}):
            return
        node = node["properties"][part.removesuffix("[]")]
        if part.endswith("[]"):
            node = node["items"]


def defaults(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    if "default" in schema:
        yield path, schema["default"]
    for name, child in schema.get("properties", {}).items():
        yield from defaults(child, f"{path}.{name}".removeprefix("."))
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from defaults(schema[key], f"{path}[]")


CLUSTER_DEFAULTS = {
    "workerGroupSpecs[].replicas": 0,
    "workerGroupSpecs[].minReplicas": 0,
    "workerGroupSpecs[].maxReplicas": 2147483647,
    "workerGroupSpecs[].numOfHosts": 1,
    "workerGroupSpecs[].priority": 0,
    "networkPolicy.mode": "DenyAll",
}


def test_the_defaults_are_kuberays_and_no_others() -> None:
    assert dict(defaults(schemas()["rayclusters"])) == {
        f"spec.{path}": value for path, value in CLUSTER_DEFAULTS.items()
    }
    assert dict(defaults(schemas()["rayservices"])) == {
        "spec.upgradeStrategy.clusterUpgradeOptions.maxSurgePercent": 100,
        **{f"spec.rayClusterConfig.{path}": value for path, value in CLUSTER_DEFAULTS.items()},
    }


def test_both_versions_have_one_schema_and_only_the_old_one_warns() -> None:
    for crd in definitions().values():
        new, old = crd["spec"]["versions"]
        assert new["schema"] == old["schema"]
        assert (new["name"], new["storage"], "deprecated" in new) == ("v1", True, False)
        assert (old["name"], old["storage"], old["deprecated"]) == ("v1alpha1", False, True)
        assert "ray.io/v1" in old["deprecationWarning"]


def test_groups_and_conditions_are_told_apart_by_their_names() -> None:
    for path, key in (
        (("rayclusters", "spec", "workerGroupSpecs"), "groupName"),
        (("rayclusters", "status", "conditions"), "type"),
        (("rayservices", "status", "conditions"), "type"),
    ):
        kind, part, field = path
        node = schemas()[kind]["properties"][part]["properties"][field]
        assert (node["x-kubernetes-list-type"], node["x-kubernetes-list-map-keys"]) == ("map", [key])
        assert key in node["items"]["required"]


@pytest.mark.parametrize("schema", schemas().values(), ids=schemas().keys())
def test_each_rule_names_what_is_wrong_and_the_mend(schema: dict[str, Any]) -> None:
    found = [found for node in nodes(schema) for found in node.get("x-kubernetes-validations", ())]
    assert found
    for one in found:
        assert one["message"]
        assert one["rule"].count("(") == one["rule"].count(")")


TEMPLATE = {"spec": {"containers": [{"name": "ray"}]}}


def a_service(**fields: Any) -> dict[str, Any]:
    config = {"headGroupSpec": {"template": TEMPLATE}}
    spec = {"rayClusterConfig": config, **fields}
    return {"apiVersion": "ray.io/v1", "kind": "RayService", "metadata": {"name": "a"}, "spec": spec}


def with_template(template: Any) -> dict[str, Any]:
    return a_service(rayClusterConfig={"headGroupSpec": {"template": template}})


@pytest.mark.parametrize(
    "manifest",
    [
        a_service(),
        a_service(serveService={"metadata": {"labels": {"a": "b"}}, "spec": {"type": "NodePort"}}),
        with_template({"metadata": {"creationTimestamp": None}, "spec": {**TEMPLATE["spec"], "volumes": [{}]}}),
    ],
    ids=["bare", "own Service", "opaque parts"],
)
def test_what_kuberay_takes_is_taken(manifest: dict[str, Any]) -> None:
    jsonschema.validate(manifest, schemas()["rayservices"])


@pytest.mark.parametrize(
    "manifest",
    [
        with_template({}),
        with_template({"spec": {}}),
        with_template({"spec": {"containers": []}}),
        with_template({"spec": {"containers": [{"image": "no name"}]}}),
        with_template({"metadata": 5, **TEMPLATE}),
        a_service(serveService={"metadata": 5}),
        a_service(serveService={"spec": {"ports": [{"name": "no number"}]}}),
    ],
    ids=["no spec", "no containers", "empty", "no name", "metadata", "Service's metadata", "Service's port"],
)
def test_what_we_could_not_render_is_refused(manifest: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(manifest, schemas()["rayservices"])


@pytest.mark.parametrize("sample", sorted((ROOT / "manifests/samples").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_samples_fit(sample: Path) -> None:
    for manifest in yaml.safe_load_all(sample.read_text()):
        jsonschema.validate(manifest, schemas()[f"{manifest['kind'].lower()}s"])
