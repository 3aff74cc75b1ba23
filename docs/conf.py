"""How the documentation is built: Sphinx, MyST and furo, without a network."""

project = "vtrial"
copyright = "The vtrial developers"
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "vtrial"
html_static_path = ["pictures"]
exclude_patterns = ["_build", "*.ipynb"]
suppress_warnings = ["myst.xref_missing"]


def setup(app):
    """Show event tables as they are: Pygments knows no CSV."""
    from pygments.lexers.special import TextLexer

    app.add_lexer("csv", TextLexer)
