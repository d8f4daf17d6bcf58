"""
Regression, linear and by a network
===================================

Regression, and the same question for a network: the diabetes data.
"""

from sklearn.datasets import load_diabetes

import regadvisor

X, y = load_diabetes(return_X_y=True, as_frame=True)

linear = regadvisor.advise(X, y, effort="quick")
print(linear)

# %%
# The loss against the strength, by kind. A flat curve means that the exact strength does not matter.
linear.plot("strength")

# %%
# The same question for a network.

network = regadvisor.advise(X, y, model="mlp", effort="quick")
print(network)
print(network.scores.groupby("kind")["loss"].min().sort_values())

print(linear.snippet("sklearn"))
