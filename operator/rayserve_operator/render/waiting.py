"""The init container in which a worker waits for its head."""

from typing import Any

from rayserve_operator.model.resources import without_extended
from rayserve_operator.render import ports
from rayserve_operator.render.containers import without_empty
from rayserve_operator.render.node import Node

_SCRIPT = """\
quiet_until=60
until timeout 2 bash -c ': < "/dev/tcp/$0/$1"' "$0" "$1" 2> /dev/null; do
  if (( SECONDS >= quiet_until )); then
    echo "The head's control store at $0:$1 has not answered for $SECONDS s. Is the head pod running?"
    (( quiet_until += 30 ))
  fi
  sleep 0.5
done
echo "The head's control store at $0:$1 answers after $SECONDS s."
"""
"""Opens a TCP connection with the shell's own means, for a few milliseconds of CPU; Ray itself checks the rest."""


def container(node: Node) -> dict[str, Any]:
    """Waits until the head's control store accepts connections.

    It has the Ray container's own requests and limits but for devices. That adds nothing to the pod, which needs the
    larger of the two and not their sum; whatever quota or limit range admits the one admits the other; and a pod that
    is Guaranteed stays so.
    """
    ray = node.container
    return {
        "name": "wait-gcs-ready",
        "command": ["/bin/bash", "-c", _SCRIPT, node.head_address, str(ports.gcs_port(node.cluster))],
        **without_empty(
            {
                "image": ray.get("image"),
                "imagePullPolicy": ray.get("imagePullPolicy"),
                "securityContext": ray.get("securityContext"),
                "resources": without_extended(ray),
            }
        ),
    }
