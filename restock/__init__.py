"""The words everyone in restock shares. Imports nothing of ours.

`reject` is for transforms: it sets rows aside with a reason. `rows_loaded` is for apps: a signal after each commit.
`include_object` is for their migrations: it leaves the ledger alone.
"""

from restock.migrations import include_object
from restock.rejecting import reject
from restock.signals import rows_loaded

__all__ = ["include_object", "reject", "rows_loaded"]
