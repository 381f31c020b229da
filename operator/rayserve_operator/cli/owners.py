"""Whether a RayService is kept by a tool that would write back what is changed by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_KEYS = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
}
"""Labels and annotations by which a tool knows what it keeps."""
_MANAGERS = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
}
"""Field managers under which a tool writes."""


def gitops_tool(manifest: Mapping[str, Any]) -> str | None:
    """The tool that keeps the object as it stands in Git, by its marks or by what it wrote; None for no such tool."""
    return next(_tools(manifest["metadata"]), None)


def _tools(metadata: Mapping[str, Any]) -> Iterator[str]:
    marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    yield from (tool for key, tool in _KEYS.items() if key in marks)
    for entry in metadata.get("managedFields") or ():
        if entry.get("manager") in _MANAGERS and "f:spec" in (entry.get("fieldsV1") or {}):
            yield _MANAGERS[entry["manager"]]
