"""``python -m mien``: the command line."""

from mien.cli import main

main()
