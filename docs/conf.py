"""The site: `python -m sphinx -W --keep-going docs docs/_build/html`.

Sphinx, since it alone reads notebooks, Markdown and docstrings, checks the links among
them, and needs no network for what it builds. Nothing is run: the lessons bring their
outputs with them.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import course_pages
import docstrings
from sphinx.util import inspect

import keras_rnn

project = "keras_rnn"
author = "The authors of keras_rnn"
release = version = keras_rnn.__version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["_build", "explore", "fr", "pictures", "**.ipynb_checkpoints"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}

# Markdown and notebooks.
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True

# Docstrings. What is typed in them and belongs to others has no page here.
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_typehints = "signature"
python_maximum_signature_line_length = 80
napoleon_custom_sections = [("Call arguments", "params_style")]
napoleon_use_rtype = False
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!keras_rnn\.).*")]

# The pages.
html_theme = "pydata_sphinx_theme"
html_title = "keras_rnn"
html_logo = "static/logo.svg"
html_favicon = "static/logo.svg"
html_static_path = ["static"]
templates_path = ["templates"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "keras_rnn", "alt_text": "keras_rnn, to the first page"},
    "navigation_with_keys": False,
    "show_prev_next": True,
    "navbar_align": "left",
    "navbar_end": ["language", "theme-switcher"],
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
# Pages without pages below them have nothing to list beside them.
html_sidebars = {"index": [], "how_it_works": []}
html_context = {"default_mode": "auto"}
copyright = "the authors of keras_rnn. Licence: MIT"


# What a page names by `keras_rnn.NAME` becomes a link, if it is in the reference.
NAME = re.compile(r"(?<!`)`(keras_rnn(?:\.\w+)+)`(?!`)")


def setup(app):
    # The French site is built from its own folder, once the English one is there.
    french = Path(app.srcdir) == course_pages.FRENCH
    course_pages.copy("fr" if french else "en", strict=app.tags.has("strict"))
    public = {
        *keras_rnn.__all__,
        "bptt.Pass",
        "cells.CellMixin",
        "cells.LinearCell",
        "datasets.MovieReviews",
        "gradient_flow.JacobianSpectrum",
    }

    def process(app, what, name, obj, options, lines):
        lines[:] = docstrings.translate(lines, public)

    def signature(app, what, name, obj, options, given, returned):
        """The arguments of Keras's classes are those of `__init__`, not of `__new__`."""
        if what == "class" and "__init__" in vars(obj):
            found = inspect.signature(obj.__init__, bound_method=True)
            return inspect.stringify_signature(found), None

    def named(found):
        is_public = found[1].removeprefix("keras_rnn.") in public
        return f"{{py:obj}}{found[0]}" if is_public else found[0]

    def link(app, docname, text):
        """The pages are readable in the repository, too: links are turned here."""
        page = Path(app.env.doc2path(docname))
        if page.suffix == ".md" and not docname.startswith(("course/", "also/")):
            text[0] = course_pages.with_links_of_the_site(text[0], page, page)
            text[0] = NAME.sub(named, text[0])

    def add_explore(app, error):
        """A page by itself, which Sphinx does not read: a network to play with."""
        page = Path(app.srcdir, "explore")
        if error is None and page.is_dir() and app.builder.format == "html":
            shutil.copytree(page, Path(app.outdir, "explore"), dirs_exist_ok=True)

    def add_french(app, error):
        """The French site, below `fr/`, by the same command."""
        if error or app.builder.format != "html":
            return
        course_pages.FRENCH.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"]
        command += ["-c", app.confdir, "-D", "language=fr"]
        folder = Path(app.outdir, "fr")
        subprocess.run([*command, course_pages.FRENCH, folder], check=True)

    def switch(app, pagename, templatename, context, doctree):
        """Where the page is in the other language: there, the first page, if nowhere."""
        up = "../" * pagename.count("/")
        in_both = pagename == "index" or pagename.startswith("course/")
        page = (pagename if in_both else "index") + ".html"
        context["other_language"] = up + ("../" if french else "fr/") + page

    app.connect("html-page-context", switch)
    if french:
        return
    app.connect("build-finished", add_french)
    app.connect("autodoc-process-signature", signature)
    # Before napoleon.
    app.connect("autodoc-process-docstring", process, priority=100)
    app.connect("source-read", link)
    app.connect("build-finished", add_explore)
