"""How Sphinx builds the documentation: `sphinx-build -W -b html docs docs/_build/html`."""

from __future__ import annotations

import flowstorm_channel

project = "flowstorm-channel"
author = "The flowstorm-channel authors"
copyright = f"2026, {author}"  # noqa: A001
release = version = flowstorm_channel.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.mermaid",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"flowstorm-channel {release}"

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]

# A name between single backticks in a docstring is code, and a link where there is something to link to.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
