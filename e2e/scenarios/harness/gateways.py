"""What of the Gateway API the operator writes."""

from scenarios.harness.published import GATEWAYS

API_VERSION = f"{GATEWAYS.group}/v1"
PLURALS = ("gateways", "httproutes")
CRDS = tuple(f"{plural}.{GATEWAYS.group}" for plural in PLURALS)
