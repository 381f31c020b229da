"""Why a command does nothing."""


class CannotDo(Exception):
    """A command has nothing that it could be about; says what there is instead."""
