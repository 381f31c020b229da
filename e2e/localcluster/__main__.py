"""The command ``localcluster``, also as ``python -m localcluster``."""

import sys


def main() -> None:
    """Run the command line."""
    # `run` passes its arguments on untouched and is called often: it does without the rest.
    if sys.argv[1:2] == ["run"] and "--help" not in sys.argv[2:3]:
        from localcluster import box

        sys.exit(box.main(sys.argv[2:]))
    from localcluster.cli import app

    app()


if __name__ == "__main__":
    main()
