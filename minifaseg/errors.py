"""The one error a user can cause: its text is one line that says what, which file, and what to do."""


def shown(name) -> str:
    """A name on one line that any terminal prints: line ends, control characters and bytes that are no text as Python writes them."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))


class InputError(ValueError):
    """Bad input: a picture, a class list, a weights file. The command line prints its text and exits with 1 or 2."""

    def __init__(self, text):
        super().__init__(shown(text))


class UsageError(InputError):
    """Wrong for every picture: the command line exits with 2."""


class OutputError(InputError):
    """A result that cannot be written: no room, no permission."""


class WeightsError(InputError):
    """Weights that load, but whose results are no numbers: no picture would fare better."""
