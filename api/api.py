"""Start the service: ``python api/api.py`` is ``mien serve``, with the same options."""

import sys

from mien.cli import main

if __name__ == "__main__":
    main(["serve", *sys.argv[1:]])
