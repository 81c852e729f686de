"""``python -m refdiff`` is the same as ``refdiff``."""

import sys

from refdiff.cli import main

if __name__ == "__main__":
    sys.exit(main())
