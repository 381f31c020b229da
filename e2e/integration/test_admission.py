"""The admission webhook on a real API server: its verdicts, and its certificate."""

import copy
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.lint.cases import CASES, GOOD

from scenarios.harness import manifests, reviews
from scenarios.harness.kube import ApiError, Kube, Manifest
from scenarios.harness.process import OperatorProcess
from scenarios.harness.waiting import until

WEBHOOK = "validate.rayserve.ray.io"
TOLD = {case.code for case in CASES if case.code == "RS012" or case.code >= "RS2"}
"""Rules that only warn."""


@pytest.fixture
def reviewed(kube: Kube, namespace: str, tmp_path: Path) -> Iterator[str]:
    """A namespace in which everything is reviewed, by an operator that runs."""
    kubeconfig = Path(os.environ["KUBECONFIG"])
    process = OperatorProcess(
        namespace, kubeconfig, tmp_path / "operator.log", reviews.settings(namespace)
    )
    with reviews.reviewed(kube, namespace, process):
        yield namespace
    print(process.log)


def _named(manifest: Manifest, namespace: str) -> Manifest:
    metadata = {**manifest.get("metadata", {}), "namespace": namespace}
    return {**manifest, "metadata": metadata}


def test_bad_manifests_are_refused_with_the_place(kube: Kube, reviewed: str) -> None:
    """Each of the corpus, by the CRD or by the webhook, which names the place as the rule does."""
    wrong = []
    for case in CASES:
        words = reviews.refusal(kube, _named(case.manifest, reviewed))
        by = "nobody" if words is None else "webhook" if WEBHOOK in words else "API server"
        print(f"{case.code}  {by:10}  {case.place}")
        is_right = by == "nobody" if case.code in TOLD else by != "nobody"
        if by == "webhook":
            is_right = f"{case.code} {case.place}" in (words or "")
        if not is_right:
            wrong.append((case.code, case.place, words))
    assert wrong == []


def test_good_manifests_are_let_through(kube: Kube, reviewed: str) -> None:
    """The one of the corpus, and all samples."""
    samples = [yaml.safe_load(path.read_text()) for path in manifests.SAMPLES.glob("*.yaml")]
    for manifest in (GOOD, *samples):
        assert reviews.refusal(kube, _named(manifest, reviewed)) is None


def test_what_is_unwise_is_told_to_who_applies(reviewed: str) -> None:
    """kubectl shows it as a warning."""
    case = next(case for case in CASES if case.code == "RS201")
    text = yaml.safe_dump(_named(case.manifest, reviewed))
    done = subprocess.run(
        ["kubectl", "apply", "--dry-run=server", "-f", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"Warning: {case.code} {case.place}" in done.stderr


def test_an_object_that_was_bad_before_can_be_mended(kube: Kube, namespace: str) -> None:
    """Only what an update brings refuses it."""
    bad = copy.deepcopy(GOOD)
    config = yaml.safe_load(bad["spec"]["serveConfigV2"])
    config["applications"][0]["numReplicas"] = 1
    bad["spec"]["serveConfigV2"] = yaml.safe_dump(config)
    name = kube.create("rayservices", _named(bad, namespace))["metadata"]["name"]
    process = OperatorProcess(
        namespace,
        Path(os.environ["KUBECONFIG"]),
        Path(os.devnull),
        reviews.settings(namespace),
    )
    with reviews.reviewed(kube, namespace, process):
        change = {"spec": {"rayClusterDeletionDelaySeconds": 7}}
        kube.merge("rayservices", namespace, name, change)
        config["applications"][0]["routePrefix"] = "/"
        worse = {"spec": {"serveConfigV2": yaml.safe_dump(config)}}
        with pytest.raises(ApiError, match="routePrefix"):
            kube.merge("rayservices", namespace, name, worse)
        good = {"spec": {"serveConfigV2": GOOD["spec"]["serveConfigV2"]}}
        kube.merge("rayservices", namespace, name, good)


def test_a_certificate_that_is_taken_away_is_made_anew(kube: Kube, reviewed: str) -> None:
    """The API server is told of it, and answered again."""
    before = reviews.trusted(kube, reviewed)
    kube.merge("secrets", reviewed, reviews.NAME, {"data": None})
    until(lambda: reviews.trusted(kube, reviewed) != before, "another authority is trusted", 90)
    until(lambda: reviews.is_answered(kube, reviewed), "the API server is answered", 30)
