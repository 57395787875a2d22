"""The one error that means: the caller's input is wrong, and here is what to do."""


class BadInput(ValueError):  # noqa: N818 - it names the input, not the failure
    """The input cannot be used; the message says what, where and what to do. Exit code 2."""
