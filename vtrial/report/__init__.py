"""The page.

Takes Estimates and the protocol they answer.
Does say them in words, tables and figures, of one run or of two side by side.
Gives one HTML file that needs no network, with its figures and tables beside it.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Run": "vtrial.report.run_comparison",
        "differences": "vtrial.report.run_comparison",
        "differences_in_words": "vtrial.report.run_comparison",
        "draw": "vtrial.report.plots",
        "enacted_in_words": "vtrial.report.enacted",
        "juxtapose": "vtrial.report.run_comparison",
        "null_in_words": "vtrial.report.null_rates",
        "plot_advice": "vtrial.report.advised",
        "plot_profiles": "vtrial.report.profiles",
        "render_fit": "vtrial.report.fitted",
        "render": "vtrial.report.page",
        "render_optimum": "vtrial.report.optimum",
    },
)
