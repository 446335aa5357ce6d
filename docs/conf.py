"""Sphinx configuration; the `formula` directive prints a theorem's own symbolic object."""

import sympy
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from conv4rec_bounds import THEOREMS

project = "Conv4Rec Certified"
author = "The Conv4Rec Certified authors"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
html_theme = "furo"
html_title = project
myst_enable_extensions = ["amsmath", "dollarmath", "deflist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
napoleon_numpy_docstring = True
napoleon_use_ivar = True
exclude_patterns = ["build"]


class FormulaDirective(SphinxDirective):
    """Print the value and the definitions of a theorem, one displayed equation each."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return one math block for each equation."""
        theorem = next(t for t in THEOREMS if t.number == self.arguments[0])
        formula = theorem.formula
        lines = [rf"\text{{{theorem.target}}} &\le {sympy.latex(formula.value, symbol_names=NAMES)}"]
        lines += [
            f"{sympy.latex(name, symbol_names=NAMES)} &= {sympy.latex(definition, symbol_names=NAMES)}"
            for name, definition in formula.where.items()
        ]
        body = r" \\ ".join(lines)
        text = rf"\begin{{aligned}} {body} \end{{aligned}}"
        return [nodes.math_block(text, text, nowrap=False, number=None)]


NAMES = {
    symbol: latex
    for theorem in THEOREMS
    for symbol in theorem.formula.expanded.free_symbols | set(theorem.formula.where)
    for name, latex in {
        "Lhat": r"\hat L",
        "Lhat_star": r"\hat L(f^*)",
        "lbar": r"\bar\ell",
        "l_min": r"\ell_{\min}",
        "l_max": r"\ell_{\max}",
        "h_max": r"h_{\max}",
        "s_a": "s_{a}",
    }.items()
    if str(symbol) == name
}


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("formula", FormulaDirective)
