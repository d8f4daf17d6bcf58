"""The regret benchmark: how much test loss the advice leaves on the table, next to what else one could do.

Entry point: ``benchmarks/regret.py``. ``data`` and ``splits`` say which rows, ``grids`` what is trained,
``references`` trains it once and keeps it, ``advice`` runs the library and ``optuna_loop`` its rival,
``policies`` reads every other way to choose from the kept reference, ``score`` judges and ``summary`` writes.
"""
