"""How Sphinx builds the documentation: `sphinx-build -W -b html docs docs/_build/html`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx

import flowstorm_channel

sys.path.insert(0, str(Path(__file__).parent))

from generating.llms import Pages
from generating.states import drawn_by_graphviz

project = "flowstorm-channel"
author = "The flowstorm-channel authors"
copyright = f"2026, {author}"  # noqa: A001
release = version = flowstorm_channel.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.graphviz",
    "sphinx.ext.napoleon",
    "sphinxcontrib.mermaid",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "generating", "examples"]

html_theme = "furo"
html_title = "flowstorm-channel"
html_static_path = ["_static"]
html_css_files = ["reference.css"]
html_extra_path = ["llms.txt"]
html_copy_source = False  # the pages stand beside their HTML as they are: see `readable_by_programs`
html_show_sphinx = False
html_theme_options = {
    "navigation_with_keys": True,
    "top_of_page_buttons": [],
    "light_css_variables": {
        "color-brand-primary": "#14606e",
        "color-brand-content": "#14606e",
        "color-brand-visited": "#5a4a80",
    },
    "dark_css_variables": {
        "color-brand-primary": "#6cc5d3",
        "color-brand-content": "#6cc5d3",
        "color-brand-visited": "#b9a6e0",
    },
}

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]

graphviz_output_format = "svg"

# A name between single backticks in a docstring is code, and a link where there is something to link to.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False


def without_network(app: Sphinx, name: str, text: list[str]) -> None:  # noqa: ARG001
    """Draw the states here and now, where Graphviz is installed; else the reader's browser draws them with
    Mermaid, which it has to fetch."""
    if name == "reference/states" and shutil.which("dot"):
        text[0] = drawn_by_graphviz(text[0])


def readable_by_programs(app: Sphinx, failed: Exception | None) -> None:
    """Put the pages as Markdown beside their HTML, and all of them into one file (llmstxt.org)."""
    if failed is None and app.builder.name == "html":
        out, pages = Path(app.outdir), Pages()
        for name in pages.names():
            (out / f"{name}.md").write_text(pages.read(name), encoding="utf-8", newline="\n")
        (out / "llms-full.txt").write_text(pages.everything(), encoding="utf-8", newline="\n")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", without_network)
    app.connect("build-finished", readable_by_programs)
