"""The command as a whole."""

from __future__ import annotations

import sys

try:
    import typer

    from rayserve_operator.cli.bundle import support_bundle
    from rayserve_operator.cli.lint import lint
    from rayserve_operator.cli.plan import plan
    from rayserve_operator.cli.rollout import rollout
    from rayserve_operator.cli.status import status
    from rayserve_operator.cli.top import top
except ModuleNotFoundError as missing:
    sys.exit(f"rayserve needs {missing.name}: install it by `pip install 'rayserve-operator[cli]'`")

app = typer.Typer(no_args_is_help=True, add_completion=False, help="RayServices, for people.")
app.command()(lint)
app.command()(plan)
app.command()(status)
app.command()(top)
app.command()(support_bundle)
app.add_typer(rollout, name="rollout")
