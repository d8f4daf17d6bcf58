"""References that last: the dense grids of linear models, networks and a caller's module on many data sets.

usage: python benchmarks/references.py make --data DIR [--data DIR] [--model linear|module|mlp]
           [--sets all|NAME,..] [--out FOLDER] [--again]
       python benchmarks/references.py advise --data DIR [--data DIR] [--model ..] [--sets ..] --out FILE
           [--write]
       python benchmarks/references.py show [--out FOLDER] [--write]
"""

from references.command import main

if __name__ == "__main__":
    main(__doc__)
