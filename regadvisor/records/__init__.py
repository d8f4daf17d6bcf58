"""What was measured and what was decided, as plain frozen data.

Nothing here computes. Evidence is what a question reads; a :class:`Step` is one question answered; the
:class:`Record` is everything that happened, and can be saved as JSON and rendered later without the data,
torch or scikit-learn. Numbers are plain Python numbers, never NumPy's.

``data.py``: what the data are. ``evidence.py``: what the questions read. ``decision.py``: the walk and what
the advice says. ``training.py``: how to train on everything. ``record.py``: all of it together.
"""

from regadvisor.records.data import *
from regadvisor.records.decision import *
from regadvisor.records.evidence import *
from regadvisor.records.record import *
from regadvisor.records.training import *
