"""The error that users see."""


class CaceError(Exception):
    """Bad input. The text says what was expected, what was found and what to do.

    The command line prints it without a traceback.
    """
