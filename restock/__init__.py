"""The words everyone in restock shares. Imports nothing of ours.

`reject` is for transforms: it sets rows aside with a reason. `rows_loaded` is for apps: a signal after each commit.
"""

from restock.rejecting import reject
from restock.signals import rows_loaded

__all__ = ["reject", "rows_loaded"]
