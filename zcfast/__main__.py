"""The command `zcfast`, also as `python -m zcfast`."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C may come while it is imported."""
    try:
        from zcfast import cli
    except KeyboardInterrupt:
        print("zcfast: interrupted", file=sys.stderr)
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
