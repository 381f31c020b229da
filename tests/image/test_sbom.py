from __future__ import annotations

import json
import sysconfig
from importlib.metadata import version

from image.sbom import document, python_packages, system_packages


def test_every_python_package_is_told_with_its_version() -> None:
    told = {component["purl"] for component in python_packages([sysconfig.get_paths()["purelib"]])}
    assert {f"pkg:pypi/{name}@{version(name)}" for name in ("kopf", "prometheus-client", "typing-extensions")} <= told


def test_packages_of_the_base_bear_epochs_and_architectures() -> None:
    [found] = system_packages("ii \tlibstdc++6\t1:12.2.0-14\tamd64\nrc \tgone\t1\tall\n", "debian")
    assert found["name"] == "libstdc++6"
    assert found["purl"] == "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14?arch=amd64"


def test_the_order_of_what_is_found_changes_nothing() -> None:
    both = [*system_packages("ii \tb\t1\tall\nii \ta\t2\tall\n", "debian")]
    assert document(both) == document(reversed(both))
    assert [component["name"] for component in json.loads(document(both))["components"]] == ["a", "b"]
