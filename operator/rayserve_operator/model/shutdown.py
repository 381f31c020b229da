"""How long the end of a pod takes (Ray's contract).

On SIGTERM `ray start` drains its node for a time and then stops what is left, for which it needs up to 15 seconds more.
A Serve proxy drains for at least 30, looked at every 5, and a replica for as long as its graceful shutdown allows.
"""

DRAIN_SECONDS = 50
"""How long Ray may drain, where nobody says otherwise."""
STOP_SECONDS = 15
"""What Ray needs after that."""
PROXY_DRAIN_SECONDS = 35
"""What a Serve proxy needs to drain, however few requests it has."""
