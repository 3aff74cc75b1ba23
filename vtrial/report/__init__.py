"""The page.

Takes Estimates and the protocol they answer.
Does say them in words, tables and figures.
Gives one HTML file that needs no network, with its figures and tables beside it.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(__name__, {"render": "vtrial.report.page"})
