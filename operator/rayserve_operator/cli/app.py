"""The command as a whole."""

from __future__ import annotations

import sys

try:
    import typer

    from rayserve_operator.cli.rollout import rollout
except ModuleNotFoundError as missing:
    sys.exit(f"rayserve needs {missing.name}: install it by `pip install 'rayserve-operator[cli]'`")

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Rollouts of RayServices, for people.")
app.add_typer(rollout, name="rollout")
