"""The samples as values, and the edits that the scenarios make to them."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from localcluster.images import PROJECT_ROOT
from scenarios.harness.kube import Manifest

SAMPLES = PROJECT_ROOT / "manifests" / "samples"
CHART = PROJECT_ROOT / "charts" / "rayserve-operator"
CRDS = PROJECT_ROOT / "crds"


def sample(name: str) -> Manifest:
    """The RayService in `manifests/samples/NAME.yaml`."""
    return load(SAMPLES / f"{name}.yaml")


def load(path: Path) -> Manifest:
    """The one object in a file."""
    manifest: Manifest = yaml.safe_load(path.read_text())
    return manifest


def serve_config(manifest: Manifest) -> dict[str, Any]:
    """The Serve config of a RayService."""
    config: dict[str, Any] = yaml.safe_load(manifest["spec"]["serveConfigV2"])
    return config


def with_serve_config(manifest: Manifest, config: dict[str, Any] | str) -> Manifest:
    """The RayService with another Serve config."""
    text = config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False)
    return with_spec(manifest, serveConfigV2=text)


def with_user_config(manifest: Manifest, deployment: str, **user_config: Any) -> Manifest:
    """The RayService with values in one deployment's user_config changed."""
    config = serve_config(manifest)
    for application in config["applications"]:
        for entry in application.get("deployments", []):
            if entry["name"] == deployment:
                entry["user_config"] = {**entry.get("user_config", {}), **user_config}
    return with_serve_config(manifest, config)


def with_deployment(manifest: Manifest, deployment: str, **fields: Any) -> Manifest:
    """The RayService with fields of one deployment in its Serve config replaced."""
    config = serve_config(manifest)
    for application in config["applications"]:
        for entry in application.get("deployments", []):
            if entry["name"] == deployment:
                entry.update(fields)
    return with_serve_config(manifest, config)


def with_import_path(manifest: Manifest, import_path: str) -> Manifest:
    """The RayService with other code for its applications, and no overrides of deployments."""
    config = serve_config(manifest)
    for application in config["applications"]:
        application.pop("deployments", None)
        application["import_path"] = import_path
    return with_serve_config(manifest, config)


def with_strategy(manifest: Manifest, **fields: Any) -> Manifest:
    """The RayService with fields of its upgradeStrategy replaced."""
    strategy = manifest["spec"].get("upgradeStrategy", {})
    return with_spec(manifest, upgradeStrategy={**strategy, **fields})


def with_head(manifest: Manifest, **fields: Any) -> Manifest:
    """The RayService with fields of its headGroupSpec replaced."""
    changed = copy.deepcopy(manifest)
    changed["spec"]["rayClusterConfig"]["headGroupSpec"].update(fields)
    return changed


def with_workers(manifest: Manifest, **fields: Any) -> Manifest:
    """The RayService with fields of its worker groups replaced."""
    changed = copy.deepcopy(manifest)
    for group in changed["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
        group.update(fields)
    return changed


def reformatted(manifest: Manifest) -> Manifest:
    """The RayService with its Serve config written differently, and meaning the same."""
    config = serve_config(manifest)
    text = "# Written anew, in another order.\n" + yaml.safe_dump(
        config, sort_keys=True, indent=4, width=40
    )
    return with_serve_config(manifest, text)


def with_env(manifest: Manifest, name: str, value: str) -> Manifest:
    """The RayService with an environment variable in all pod templates: a new cluster."""
    changed = copy.deepcopy(manifest)
    for template in pod_templates(changed):
        container = template["spec"]["containers"][0]
        others = [entry for entry in container.get("env", []) if entry["name"] != name]
        container["env"] = [*others, {"name": name, "value": value}]
    return changed


def with_cpu_request(manifest: Manifest, cpu: str) -> Manifest:
    """The RayService with another request for CPU by each of Ray's containers."""
    changed = copy.deepcopy(manifest)
    for template in pod_templates(changed):
        template["spec"]["containers"][0]["resources"]["requests"]["cpu"] = cpu
    return changed


def with_spec(manifest: Manifest, **fields: Any) -> Manifest:
    """The RayService with fields of its spec replaced."""
    return {**manifest, "spec": {**manifest["spec"], **fields}}


def in_namespace(manifest: Manifest, namespace: str) -> Manifest:
    """The object in a namespace."""
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


def pod_templates(manifest: Manifest) -> Iterator[Manifest]:
    """The pod templates of a RayService: the head's, then each worker group's."""
    cluster = manifest["spec"]["rayClusterConfig"]
    yield cluster["headGroupSpec"]["template"]
    for group in cluster.get("workerGroupSpecs", []):
        yield group["template"]
