"""What can go wrong towards Kubernetes and Ray, as types that carry their own policy.

OperatorError
├── Unavailable       no answer, or a server's trouble: try again with backoff
│   ├── TokenRefused      Ray asks for a token, or for another one
│   └── Disconnected      the API server was not reached: what was seen of it may be out of date
│       └── OutcomeUnknown    the same for a write that may have taken effect
├── Superseded        the world moved on since it was observed: look again at once
├── NotFound          what was read or written is not there: look again at once
│   └── NotServed         the API server does not know its kind
├── AlreadyExists     what was to be created is there: look again at once
└── Refused           the request itself is wrong: pointless until something changes
"""

from datetime import timedelta


class OperatorError(Exception):
    """An expected failure; `first_retry` and `last_retry` bound the backoff of the pass that met it."""

    first_retry = timedelta(milliseconds=200)
    last_retry = timedelta(seconds=5)


class Unavailable(OperatorError):
    """No answer in time, or a server error."""


class TokenRefused(Unavailable):
    """Ray asks for a token, or for another one than it was given."""


class Disconnected(Unavailable):
    """The API server was not reached, so the watches may have missed something too."""


class OutcomeUnknown(Disconnected):
    """A write without an answer: it may have taken effect, so the object is read before anything is repeated."""


class Superseded(OperatorError):
    """A precondition failed: the object changed, or is not the one that was observed."""

    first_retry = timedelta(milliseconds=50)


class NotFound(OperatorError):
    """The object does not exist."""

    first_retry = timedelta(milliseconds=50)


class NotServed(NotFound):
    """The API server does not know the kind of the object."""


class AlreadyExists(OperatorError):
    """An object of that name exists."""

    first_retry = timedelta(milliseconds=50)


class Refused(OperatorError):
    """The API server or Ray refuses the request as it stands (validation, quota, permission)."""

    first_retry = timedelta(seconds=2)
    last_retry = timedelta(seconds=30)
