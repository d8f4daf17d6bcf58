"""
Sequences
=========

Sequences: a recurrent network on rows of steps. How the rows enter it is found by trying, and the report
says so.
"""

import numpy as np
from torch import nn

import regadvisor

rng = np.random.default_rng(0)
X = rng.normal(size=(240, 12, 2)).astype(np.float32)  # (n, steps, channels)
y = (X[:, :, 0].cumsum(1)[:, -1] > 0).astype(int)


class Recurrent(nn.Module):
    def __init__(self, n_features, n_outputs):  # features of one step
        super().__init__()
        self.steps = nn.GRU(n_features, 8, batch_first=True)
        self.head = nn.Linear(8, n_outputs)

    def forward(self, x):
        return self.head(self.steps(x)[0][:, -1])


recipe = regadvisor.Recipe(epochs=5, lr=1e-2)
advice = regadvisor.advise(X, y, model=Recurrent, recipe=recipe, effort="quick", folds=3)
print(advice)
print(next(note.text for note in advice.record.notes if note.code == "module-layout"))
