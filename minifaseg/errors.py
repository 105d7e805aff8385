"""The one error a user can cause: its text is one line that says what, which file, and what to do."""


class InputError(ValueError):
    """Bad input: a picture, a class list, a weights file. The command line prints its text and exits with 1 or 2."""
