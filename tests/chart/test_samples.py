"""The samples: they parse, name applications that exist, and the guide's keeps the guide's structure."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rayserve_operator.model.rayservice import RayServiceSpec

SAMPLES = ("minimal.yaml", "pipeline-cpu-gpu.yaml", "guide.yaml")

GUIDE_MAY_DIFFER = re.compile(r"rayVersion$|\.image$|\.requests\.(cpu|memory)$|runtime_env\.pip")

GUIDE = """
apiVersion: ray.io/v1
kind: RayService
metadata:
  name: my-app
spec:
  serveConfigV2: |
    proxy_location: EveryNode
    applications:
      - name: my_app
        import_path: mymodule:app
        runtime_env:
          pip: ["torch==2.3.0"]
        deployments:
          - name: MyModel
            autoscaling_config:
              min_replicas: 1
              max_replicas: 10
              target_ongoing_requests: 5
            ray_actor_options:
              num_gpus: 1
  rayClusterConfig:
    rayVersion: "2.40.0"
    autoscalerOptions:
      idleTimeoutSeconds: 60
    headGroupSpec:
      template:
        spec:
          containers:
            - name: ray-head
              image: rayproject/ray:2.40.0
              resources:
                requests: { cpu: "4", memory: "8Gi" }
    workerGroupSpecs:
      - groupName: gpu-workers
        minReplicas: 1
        maxReplicas: 4
        template:
          spec:
            containers:
              - name: ray-worker
                image: rayproject/ray-ml:2.40.0-gpu
                resources:
                  requests: { cpu: "8", memory: "24Gi", nvidia.com/gpu: "1" }
"""


def _read(text: str) -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load(text)
    manifest["spec"]["serveConfigV2"] = yaml.safe_load(manifest["spec"]["serveConfigV2"])
    return manifest


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}[{index}]")
    else:
        yield path, value


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest, root: Path) -> dict[str, Any]:
    return _read((root / "manifests" / "samples" / request.param).read_text())


def test_these_are_all_samples(root: Path) -> None:
    assert {path.name for path in (root / "manifests" / "samples").iterdir()} == set(SAMPLES)


def test_a_sample_meets_the_model(sample: dict[str, Any]) -> None:
    config = yaml.safe_dump(sample["spec"]["serveConfigV2"])
    spec = RayServiceSpec.model_validate({**sample["spec"], "serveConfigV2": config})
    assert spec.ray_cluster_config.worker_group_specs


def test_a_sample_names_an_application_that_exists(sample: dict[str, Any], root: Path) -> None:
    apps = root / "e2e" / "images" / "ray" / "apps"
    for application in sample["spec"]["serveConfigV2"]["applications"]:
        module, variable = application["import_path"].split(":")
        code = (apps / f"{module}.py").read_text()
        assert re.search(rf"^{variable} = ", code, re.MULTILINE)
        for deployment in application["deployments"]:
            assert f"class {deployment['name']}:" in code


def test_a_samples_groups_have_one_image_of_rays_version(sample: dict[str, Any]) -> None:
    cluster = sample["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    images = {group["template"]["spec"]["containers"][0]["image"] for group in groups}
    assert images == {f"localhost/ray:{cluster['rayVersion']}"}


def test_the_guides_sample_differs_only_in_images_code_and_sizes(root: Path) -> None:
    original = dict(_flat(_read(GUIDE)))
    ours = dict(_flat(_read((root / "manifests" / "samples" / "guide.yaml").read_text())))
    differing = {path for path in original.keys() | ours.keys() if original.get(path) != ours.get(path)}
    assert differing
    assert not [path for path in differing if not GUIDE_MAY_DIFFER.search(path)]
