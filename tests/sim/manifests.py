"""What an API server does to manifests: copies, merge patches, server-side apply, selectors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]
Path = tuple[str, ...]


def copied(value: Any) -> Any:
    """A copy of what JSON can say."""
    return json.loads(json.dumps(value))


def image_of(pod: Json) -> str:
    """What its image does: `missing`, `crashing`, `huge`, `cramped` and `refused` make trouble, all others work."""
    return str(pod["spec"]["containers"][0]["image"]).partition(":")[2]


def merged(base: Any, patch: Any) -> Any:
    """A JSON merge patch, applied."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(base) if isinstance(base, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def fields(value: Any, path: Path = ()) -> dict[Path, Any]:
    """A manifest as its fields by path, the ports of a Service by number as Kubernetes tells them apart."""
    if path == ("spec", "ports") and all("port" in port for port in value):
        return {
            field: found
            for port in value
            for field, found in fields(port, (*path, f"{port['port']}/{port.get('protocol', 'TCP')}")).items()
        }
    if isinstance(value, Mapping) and value:
        return {field: found for key, child in value.items() for field, found in fields(child, (*path, key)).items()}
    return {path: value}


def from_fields(found: Mapping[Path, Any]) -> Json:
    """The manifest that has these fields."""
    manifest: Json = {}
    for path, value in found.items():
        at = manifest
        for key in path[:-1]:
            at = at.setdefault(key, {})
        at[path[-1]] = value
    if isinstance(manifest.get("spec", {}).get("ports"), dict):
        manifest["spec"]["ports"] = list(manifest["spec"]["ports"].values())
    return manifest


def is_selected(manifest: Json, selector: str | None) -> bool:
    """Whether a label selector (`key=value` or `key in (a,b)`) finds an object; None finds everything."""
    if selector is None:
        return True
    match = re.fullmatch(r"(?P<key>\S+?)(=(?P<value>\S+)| in \((?P<values>.*)\))", selector)
    if match is None:
        raise ValueError(f"a selector of another form: {selector}")
    wanted = [match["value"]] if match["value"] else match["values"].split(",")
    return (manifest["metadata"].get("labels") or {}).get(match["key"]) in wanted


def uid_of(manifest: Json) -> str:
    """The uid of an object."""
    return str(manifest["metadata"]["uid"])


def name_of(manifest: Json) -> str:
    """The name of an object."""
    return str(manifest["metadata"]["name"])


def is_leaving(manifest: Json) -> bool:
    """Whether the deletion of an object was asked for."""
    return "deletionTimestamp" in manifest["metadata"]


def owner_of(manifest: Json) -> str:
    """Name of the first owner; for a pod the cluster that it was made for, whatever its labels say later."""
    return str(manifest["metadata"]["ownerReferences"][0]["name"])


def name_twice(named: Sequence[Json]) -> bool:
    """Whether a name occurs twice in a list."""
    names = [entry.get("name") for entry in named]
    return len(set(names)) < len(names)
