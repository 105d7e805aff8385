"""python -m minifaseg.evaluate: see command.py."""
from .command import main

main()
