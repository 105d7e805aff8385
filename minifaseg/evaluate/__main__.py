"""python -m minifaseg.evaluate: see command.py; after the word `reproduce`: reproduce.py."""
import sys

from . import command, reproduce

if sys.argv[1:2] == ["reproduce"]:
    reproduce.main(sys.argv[2:])
else:
    command.main()
