"""The API server's audit log: who asked it for what."""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_ANSWERED = "ResponseComplete"


@dataclass(frozen=True)
class AuditLog:
    """Counts requests from a position on."""

    path: Path

    def position(self) -> int:
        """Where the log ends now."""
        return self.path.stat().st_size

    def requests(self, since: int, user_agent: str = "") -> Iterator[dict[str, Any]]:
        """The requests completed since a position by clients whose user agent begins so."""
        with self.path.open("rb") as log:
            log.seek(since)
            for line in log:
                # The last line may be half written.
                if line.endswith(b"\n"):
                    event: dict[str, Any] = json.loads(line)
                    if event.get("userAgent", "").startswith(user_agent):
                        yield event

    def writes(self, since: int, user_agent: str) -> Counter[str]:
        """Their writes, Leases aside, counted by verb and resource."""
        return Counter(
            f"{event['verb']} {_resource(event)}"
            for event in self.requests(since, user_agent)
            if event["verb"] in WRITES and _resource(event) != "leases"
        )

    def tally(self, since: int, *, user: str = "", about: Collection[str] = ()) -> Counter[str]:
        """All requests, by verb and resource: of one user, or about these namespaces, where told.

        A watch counts when it begins, everything else when it is answered.
        """
        return Counter(
            f"{event['verb']} {_resource(event)}"
            for event in self.requests(since)
            if event["stage"] == ("ResponseStarted" if event["verb"] == "watch" else _ANSWERED)
            and (not user or event["user"]["username"] == user)
            and (not about or event.get("objectRef", {}).get("namespace") in about)
        )

    def writers(self, since: int, resource: str, namespace: str) -> Counter[str]:
        """The users who have written objects of this kind, or a subresource, and how often."""
        return Counter(
            event["user"]["username"]
            for event in self.requests(since)
            if event["verb"] in WRITES
            and _resource(event) == resource
            and event["objectRef"].get("namespace") == namespace
        )


def _resource(event: dict[str, Any]) -> str:
    about = event.get("objectRef", {})
    return "/".join(part for part in (about.get("resource"), about.get("subresource")) if part)
