"""Tells what an image holds, in CycloneDX' JSON: `sbom.py FOLDER…`, with the folders of Python's packages."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import distributions
from urllib.parse import quote

_FORMAT = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n"
_INSTALLED = "ii"
"""Others have left no more than their configuration."""


def document(components: Iterable[Mapping[str, str]]) -> str:
    """The components as a CycloneDX document, which is the same for the same components."""
    found = sorted(components, key=lambda component: component["purl"])
    head = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1}
    return json.dumps(head | {"components": found}, indent=1) + "\n"


def python_packages(folders: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """The Python packages in these folders."""
    for found in distributions(path=[*folders]):
        name = found.metadata["Name"].lower().replace("_", "-").replace(".", "-")
        yield _component(name, found.version, f"pkg:pypi/{name}@{quote(found.version)}")


def system_packages(told: str, system: str) -> Iterator[Mapping[str, str]]:
    """The packages of a Debian, or one like it, from what dpkg-query tells of them."""
    for line in told.splitlines():
        state, name, version, architecture = line.split("\t")
        if state.strip() == _INSTALLED:
            url = f"pkg:deb/{system}/{quote(name)}@{quote(version)}?arch={architecture}"
            yield _component(name, version, url)


def _component(name: str, version: str, url: str) -> Mapping[str, str]:
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


def _told_by_dpkg() -> str:
    """Nothing where the base has no dpkg."""
    program = shutil.which("dpkg-query")
    if program is None:
        return ""
    return subprocess.check_output([program, "--show", f"--showformat={_FORMAT}"], text=True)  # noqa: S603 - a constant


if __name__ == "__main__":
    system = platform.freedesktop_os_release()["ID"]
    sys.stdout.write(document([*python_packages(sys.argv[1:]), *system_packages(_told_by_dpkg(), system)]))
