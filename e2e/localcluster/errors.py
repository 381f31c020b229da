"""The one kind of error that this package raises on purpose."""


class LocalClusterError(Exception):
    """Something a person can mend: the message says what failed and, where known, the mend."""
