"""``python -m eqmodels``: the command line."""

from eqmodels.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
