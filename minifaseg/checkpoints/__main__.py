"""python -m minifaseg.checkpoints: what weights.py does, without that file."""
import sys

from .command import main

if __name__ == "__main__":
    sys.exit(main())
