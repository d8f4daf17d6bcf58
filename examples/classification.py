"""
Classification
==============

Classification: which regularizer should a linear model of the wine data start with?
"""

from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score

import regadvisor

X, y = load_wine(return_X_y=True, as_frame=True)
advice = regadvisor.advise(X, y, effort="quick")
print(advice.to_text())

# %%
# What each kind loses against the advised one.
advice.plot("kinds")

# %%
# The advised model, trained in fresh folds.

model = advice.build()  # an unfitted scikit-learn pipeline: preprocessing and the advised model
losses = -cross_val_score(model, X, y, scoring="neg_log_loss", cv=5)
print(f"log loss of the advised model in 5 fresh folds: {losses.mean():.3f}")
