"""Every sample in manifests/samples does what its comments say."""

import pytest

from scenarios.harness import manifests
from scenarios.harness.asking import OF_SAMPLE
from scenarios.harness.kube import Kube
from scenarios.harness.namespaces import fresh_namespace
from scenarios.harness.rayservice import RayService

IN_OTHER_CI_SCENARIOS = {"minimal", "pipeline-cpu-gpu"}


def _samples() -> list[object]:
    names = sorted(path.stem for path in manifests.SAMPLES.glob("*.yaml"))
    return [
        pytest.param(name, marks=[] if name in IN_OTHER_CI_SCENARIOS else [pytest.mark.ci])
        for name in names
    ]


@pytest.mark.parametrize("name", _samples())
def test_sample_answers(name: str, kube: Kube) -> None:
    """Applied as it stands, it answers its question through its Service."""
    manifest = manifests.sample(name)
    with fresh_namespace(kube, f"sample-{name}") as namespace:
        service = RayService(kube, namespace, manifest["metadata"]["name"])
        service.apply(manifest)
        answer = service.wait_answer(OF_SAMPLE[name])
        assert answer["cluster"] == service.active_cluster
        service.wait_ready()
