"""
Fine-tuning
===========

Fine-tuning: a network that is trained already goes on with new data. Its body learns slowly, and penalties
pull it
towards where it started instead of towards 0.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import regadvisor

X, y = load_digits(n_class=6, return_X_y=True)
X = X / 16

torch.manual_seed(0)
body = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
body[0].requires_grad_(False)  # frozen parts stay as they are
pretrained = nn.Sequential(body, nn.Linear(16, 6))  # a new head

recipe = regadvisor.Recipe(epochs=5, lr=5e-3, lr_scale={"0.*": 0.1}, towards_start=("0.*",))
advice = regadvisor.advise(X, y, model=pretrained, recipe=recipe, effort="quick", folds=3)
print(advice)

# %%
# The same in a loop of your own.

optimizer = advice.optimizer(pretrained, lr=5e-3, steps=100)
print([(group["lr"], len(group["params"])) for group in optimizer.param_groups])
