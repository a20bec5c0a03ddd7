"""Every error restock raises on purpose, grouped by what the caller does next.

Each message is one sentence: what happened, where, and what to do. Errors pickle, so they may cross processes.
A bad *row* is never an error: it is a reject.
"""


class RestockError(Exception):
    """Anything restock raises on purpose; `exit_status` is what the terminal command ends with."""

    exit_status = 1

    @property
    def kind(self) -> str:
        """The name of the error's class, for machines that read `--json`."""
        return type(self).__name__


class ConfigurationError(RestockError):
    """Fix the call or feeds.yaml. Raised before any read or write; never retried."""

    exit_status = 2


class SourceError(RestockError):
    """The source is missing, unreadable, truncated, empty or has the wrong columns. Nothing was written."""


class NoRows(SourceError):
    """A file is sound and has no rows. Of a delta feed it says that nothing has changed."""


class SourceChanged(SourceError):
    """The bytes of the source are no longer those that were planned."""


class ChunkFailed(RestockError):
    """This chunk cannot be loaded as it is. The ledger says `failed`, and the run goes on."""


class SinkUnavailable(RestockError):
    """The database could not be used although the sink retried. The run stops and can be resumed."""


class LeaseLost(RestockError):
    """Another run owns the target now. Nothing of this attempt is kept."""


class TargetBusy(RestockError):
    """Another run owned the target from the start. Nothing was begun.

    `by_own_feed` says that it brings in what this one would have.
    """

    exit_status = 4

    def __init__(self, told: str, by_own_feed: bool = False) -> None:
        super().__init__(told)
        self.by_own_feed = by_own_feed


class AlreadyServed(RestockError):
    """A run of a schedule came late, and its content was loaded since it was due. Nothing was begun."""


class RunInterrupted(RestockError):
    """The process was asked to stop. Nothing is half done, and the run can be resumed."""


class RunHeld(RestockError):
    """A limit of the run tripped. The chunk that crossed it was not loaded; a person decides how to go on.

    `again` says that the run had been held before: whoever is called for has been.
    """

    exit_status = 3

    def __init__(self, told: str, again: bool = False) -> None:
        super().__init__(told)
        self.again = again


class RunIncomplete(RestockError):
    """Raised once, at the end of a run that still has outstanding chunks."""
