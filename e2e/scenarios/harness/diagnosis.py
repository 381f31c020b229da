"""What a person would look at first where a scenario has failed."""

from collections.abc import Iterator

from scenarios.harness import release
from scenarios.harness.kube import KubectlError, kubectl

_KINDS = "rayservices,rayclusters,controllerrevisions,pods,services,endpointslices"


def sections(namespace: str) -> Iterator[tuple[str, str]]:
    """Titles and texts about a namespace and the operator."""
    yield "objects", _told("get", _KINDS, f"--namespace={namespace}", "--output=wide")
    yield (
        "status",
        _told(
            "get", "rayservices", f"--namespace={namespace}", "--output=jsonpath={.items[*].status}"
        ),
    )
    yield (
        "events",
        _told("get", "events", f"--namespace={namespace}", "--sort-by=.metadata.creationTimestamp"),
    )
    yield (
        "operator",
        _told(
            "logs",
            f"--namespace={release.NAMESPACE}",
            f"--selector=app.kubernetes.io/instance={release.RELEASE}",
            "--tail=150",
        ),
    )


def _told(*arguments: str) -> str:
    try:
        return kubectl(*arguments)
    except KubectlError as error:
        return str(error)
