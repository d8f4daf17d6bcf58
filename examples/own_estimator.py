"""
Your own estimator, with its own loss
=====================================

Your own estimator of scikit-learn, with its own loss: counts by a Poisson regression in a pipeline.
"""

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_poisson_deviance
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import regadvisor

rng = np.random.default_rng(0)
X = np.column_stack([rng.normal(size=(600, 8)), rng.integers(0, 12, size=600)])
rate = np.exp(0.4 * X[:, 0] - 0.2 * X[:, 1] + np.linspace(-0.5, 0.5, 12)[X[:, 8].astype(int)])
y = rng.poisson(rate)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

columns = make_column_transformer(
    (StandardScaler(), list(range(8))), (OneHotEncoder(handle_unknown="ignore"), [8])
)
mine = make_pipeline(columns, PoissonRegressor())
advice = regadvisor.advise(X_train, y_train, model=mine, effort="quick")
print(advice)  # compared by the Poisson deviance
model = advice.apply(mine).fit(X_train, y_train)
print("advised alpha:", round(model[-1].alpha, 5))
print("deviance on other rows:", round(mean_poisson_deviance(y_test, model.predict(X_test)), 4))

grid = GridSearchCV(mine, {"poissonregressor__alpha": np.logspace(-5, 1, 20)}, cv=5).fit(X_train, y_train)
print("of a grid of 20 alphas:", round(mean_poisson_deviance(y_test, grid.predict(X_test)), 4))
