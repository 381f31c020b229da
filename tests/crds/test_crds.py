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


def test_the_defaults_are_kuberays() -> None:
    spec = schemas()["rayclusters"]["properties"]["spec"]["properties"]
    group = spec["workerGroupSpecs"]["items"]["properties"]
    found = {name: schema["default"] for name, schema in group.items() if "default" in schema}
    assert found == {"replicas": 0, "minReplicas": 0, "maxReplicas": 2147483647, "numOfHosts": 1, "priority": 0}
    assert spec["networkPolicy"]["properties"]["mode"]["default"] == "DenyAll"


@pytest.mark.parametrize("sample", sorted((ROOT / "manifests/samples").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_samples_fit(sample: Path) -> None:
    for manifest in yaml.safe_load_all(sample.read_text()):
        jsonschema.validate(manifest, schemas()[f"{manifest['kind'].lower()}s"])
