"""Sphinx configuration: formulas are MathML, so pages need no network; theorems print their own symbolic object."""

from pathlib import Path

import sympy
from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

from conv4rec_bounds import THEOREMS
from conv4rec_bounds.theorems.base import Theorem
from conv4rec_experiments.figures.moves import draw_moves, words_of_moves

project = "Conv4Rec Certified"
author = "The Conv4Rec Certified authors"
copyright = f"2026, {author}"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
html_theme = "furo"
html_title = project
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["math.css"]
myst_enable_extensions = ["amsmath", "dollarmath", "deflist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = True
exclude_patterns = ["build"]

PICTURES = "build/moves"
"""Where figures are drawn, below this folder; it is not under version control."""


def numbered(number: str) -> Theorem:
    """Return the theorem of a number."""
    for theorem in THEOREMS:
        if theorem.number == number:
            return theorem
    raise ValueError(f"there is no theorem {number}")


class FormulaDirective(SphinxDirective):
    """Print the value and the definitions of a theorem, one displayed equation each."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return one math block for each equation."""
        theorem = numbered(self.arguments[0])
        formula = theorem.formula
        relation = r"\le" if theorem.side == "upper" else r"\ge"
        equations = [rf"\text{{{theorem.target}}} {relation} {sympy.latex(formula.value, symbol_names=NAMES)}"]
        shown = dict(formula.where)
        if radii := {name: shown.pop(name) for name in formula.where if str(name).startswith("rho_")}:
            equations.append(one_line_for_all_layers(radii))
        equations += [
            f"{sympy.latex(name, symbol_names=NAMES)} = {sympy.latex(definition, symbol_names=NAMES)}"
            for name, definition in shown.items()
        ]
        return [nodes.math_block(text, text, nowrap=False, number=None) for text in equations]


class MovesDirective(SphinxDirective):
    """Draw how the value of a theorem moves with its inputs."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the picture, with words for readers who cannot see it."""
        theorem = numbered(self.arguments[0])
        drawn = draw_moves(theorem, Path(self.env.srcdir) / PICTURES / theorem.number)
        return [nodes.image(uri=f"/{PICTURES}/{drawn.name}", alt=words_of_moves(theorem))]


def one_line_for_all_layers(radii: dict[sympy.Symbol, sympy.Expr]) -> str:
    """Print the radii of all layers, which differ in their letter only, as one equation."""
    letters = [str(name).removeprefix("rho_") for name in radii]
    general = {
        definition.subs({index: sympy.Symbol("s_l") for index in definition.free_symbols})
        for definition in radii.values()
    }
    if len(general) != 1:
        raise ValueError("the radii of the layers do not have one form")
    return rf"\rho_l = {sympy.latex(general.pop())}, \quad l \in \{{{', '.join(letters)}\}}"


NAMES = {
    symbol: latex
    for theorem in THEOREMS
    for symbol in theorem.formula.expanded.free_symbols | set(theorem.formula.where)
    for name, latex in {
        "Lhat": r"\hat L",
        "Lhat_star": r"\hat L(f^*)",
        "Lhat_0": r"\hat L_0",
        "q_min": r"q_{\min}",
        "q_max": r"q_{\max}",
        "lbar": r"\bar\ell",
        "dbar": r"\bar d",
        "l_min": r"\ell_{\min}",
        "l_max": r"\ell_{\max}",
        "h_max": r"h_{\max}",
        "T_seg": r"T_{\mathrm{seg}}",
        "T_cell": r"T_{\mathrm{cell}}",
        "s_a": "s_{a}",
    }.items()
    if str(symbol) == name
}


def mathml(latex: str, display: str) -> str:
    """Return MathML, refusing LaTeX that the converter would print as it stands."""
    markup = convert(latex, display=display)
    if "\\" in markup:
        raise ValueError(f"the formula {latex!r} uses a command that cannot be converted to MathML")
    return markup


def inline_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula inside a line."""
    self.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def block_math(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a displayed formula."""
    self.body.append(f'<div class="math">{mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Register the directives and the renderer."""
    app.add_directive("formula", FormulaDirective)
    app.add_directive("moves", MovesDirective)
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
