"""`python -m zcfast`: the command line without its script on the PATH."""

from zcfast.cli import main

main()
