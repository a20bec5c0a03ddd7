"""The words everyone in restock shares. Imports nothing of ours.

`reject` is for transforms: it sets rows aside with a reason.
"""

from restock.rejecting import reject

__all__ = ["reject"]
