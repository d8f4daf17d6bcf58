"""Regret: the test loss that an advice leaves on the table, next to other ways to choose a regularizer.

usage: python benchmarks/regret.py --data DIR --out FOLDER [--family linear|mlp|module]
       [--sets core|all|rest|exchangeable|NAME,..] [--splits N] [--max-rows N]
       [--effort default,quick,..] [--optuna] [--only references|advice|summary]
       [--version NAME] [--clock wall|processor] [--write]

DIR holds Parquet files with a column ``target``, or several ``target__*`` (and perhaps ``__group__`` and
``__time__``), npz images, and
an ``index.csv`` with the columns name, task, n, p, kind, n_targets and file. Three stages, each resumable:

references  every point of a dense grid by 5-fold cross-validation on all training rows, then each trained on
            all of them and tested; kept in FOLDER/references for ever, keyed by rows, recipe and grid
advice      ``advise`` on the training rows; what it says trained the same way and tested; a run is repeated
            only if the library's source has changed (or --version names another run)
summary     everything scored from the kept losses; printed, kept in FOLDER, with --write put into RESULTS.md

Nothing else should run beside the advice stage where its seconds matter. OMP_NUM_THREADS=1 compares best.
"""

from regret.command import main

if __name__ == "__main__":
    main(__doc__)
