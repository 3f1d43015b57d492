"""How to cite what a report shows: BibTeX of the paper behind the numbers, and of memtools.

for entry in citations(subject.about): print(entry)
"""

from __future__ import annotations

from memtools import __version__
from memtools.estimates.about import About, quantity_in

_FELDMAN = """@inproceedings{feldman2020what,
  title     = {What Neural Networks Memorize and Why:
               Discovering the Long Tail via Influence Estimation},
  author    = {Feldman, Vitaly and Zhang, Chiyuan},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2020},
  note      = {arXiv:2008.03703}
}"""

_JIANG = """@inproceedings{jiang2021characterizing,
  title     = {Characterizing Structural Regularities of Labeled Data in Overparameterized Models},
  author    = {Jiang, Ziheng and Zhang, Chiyuan and Talwar, Kunal and Mozer, Michael C.},
  booktitle = {International Conference on Machine Learning},
  year      = {2021},
  note      = {arXiv:2002.03206}
}"""

_MEMTOOLS = f"""@software{{memtools,
  title   = {{memtools}},
  author  = {{{{The memtools authors}}}},
  version = {{{__version__}}}
}}"""


def citations(about: About) -> list[str]:
    """BibTeX entries: the paper behind the numbers where it is one of the two, and memtools."""
    quantity = quantity_in(about.direction)
    if "2002.03206" in about.paper or quantity == "c_score":
        return [_JIANG, _MEMTOOLS]
    if "2008.03703" in about.paper or quantity == "memorization":
        return [_FELDMAN, _MEMTOOLS]
    return [_MEMTOOLS]
