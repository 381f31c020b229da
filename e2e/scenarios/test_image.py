"""What the operator's image holds, and how soon it is at work.

The prints tell what no assertion should: sizes, counts and the time of a start.
"""

import json
import re
from collections import Counter
from typing import Any

import pytest

from localcluster import images
from scenarios.harness.release import LANE, OperatorRelease

LOCK = images.PROJECT_ROOT / "requirements" / "operator.txt"
_PIN = re.compile(r"^([a-z0-9-]+)==([^\s;]+)", re.MULTILINE)
_LOOK = """
import importlib.util, json, os, shutil
asked = "cc gcc c++ g++ clang tcc rustc go make pip pip3 uv".split()
modules = "pip setuptools hatchling".split()
print(json.dumps({
    "user": os.getuid(),
    "root is read-only": bool(os.statvfs("/").f_flag & os.ST_RDONLY),
    "tools": [name for name in asked if shutil.which(name)]
    + [name for name in modules if importlib.util.find_spec(name)],
    "components": json.load(open("/opt/sbom.cdx.json"))["components"],
}))
"""
"""Is run in the operator's container, by its own Python."""
_USER = 65532
"""Of the Dockerfile."""


@pytest.fixture(scope="module")
def found(operator: OperatorRelease) -> dict[str, Any]:
    """What is found in the running container."""
    answer: dict[str, Any] = json.loads(operator.run("python3", "-c", _LOOK))
    return answer


def test_it_runs_without_root_and_writes_nothing_to_its_image(found: dict[str, Any]) -> None:
    """As its pod is, and not only as the chart asks for it."""
    assert found["user"] == _USER
    assert found["root is read-only"]


def test_nothing_is_built_or_installed_in_it(found: dict[str, Any]) -> None:
    """Neither a compiler nor an installer of packages is on its paths."""
    assert not found["tools"]


def test_its_bill_of_materials_names_what_is_locked(found: dict[str, Any]) -> None:
    """Every package from PyPI is at the version of the lock, and Debian's are told too."""
    ecosystems = Counter(one["purl"].split("/")[0] for one in found["components"])
    print("packages:", ", ".join(f"{number} {name}" for name, number in ecosystems.items()))
    told = {
        one["name"]: one["version"]
        for one in found["components"]
        if one["purl"].startswith("pkg:pypi/") and one["name"] != "rayserve-operator"
    }
    assert {"kopf", "aiohttp"} <= told.keys()
    assert told.items() <= dict(_PIN.findall(LOCK.read_text())).items()
    assert ecosystems["pkg:deb"]


def test_most_of_it_is_its_base() -> None:
    """What is ours comes in layers of its own, so that nodes keep the base from one to the next."""
    [image] = images.select(["operator"])
    assert image.parent is not None
    base, whole = images.layers(image.parent.archive), images.layers(image.archive)
    ours = {layer: size for layer, size in whole.items() if layer not in base}
    print(f"pulled: {_megabytes(whole)} MB, of which {_megabytes(ours)} MB are ours")
    assert base.items() <= whole.items()
    assert sum(ours.values()) < sum(base.values())


@pytest.mark.skipif(bool(LANE), reason="others would be measured with it")
def test_it_starts(operator: OperatorRelease) -> None:
    """From the start of its process until it knows what there is."""
    print(f"start: {operator.start_up():.1f} s")


def _megabytes(layers: dict[str, int]) -> str:
    return f"{sum(layers.values()) / 1e6:.1f}"
