"""
Any model: a function that trains it
====================================

Any model: functions of your own train it, here plain NumPy, a model with results, and texts.
"""

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import regadvisor

# 1. A gradient step in NumPy, as it would be in JAX: squared error + (l2/2)·Σw² on scaled columns.


class Net:
    """One hidden layer of tanh, trained by full-batch gradient descent with momentum."""

    def __init__(self, X, y, l2, seed, steps=300):
        rng = np.random.default_rng(seed)
        self.mean, self.sd, self.at, self.unit = X.mean(0), X.std(0), y.mean(), y.std()
        x, t = (X - self.mean) / self.sd, (y - self.at) / self.unit
        weights = [rng.normal(size=(x.shape[1], 8)) / 3, rng.normal(size=8) / 3]
        speed = [np.zeros_like(each) for each in weights]
        for _ in range(steps):
            hidden = np.tanh(x @ weights[0])
            error = (hidden @ weights[1] - t) / len(t)
            back = np.outer(error, weights[1]) * (1 - hidden**2)
            for i, slope in enumerate((x.T @ back, hidden.T @ error)):
                speed[i] = 0.9 * speed[i] - 0.1 * (slope + l2 * weights[i])
                weights[i] = weights[i] + speed[i]
        self.weights = weights

    def predict(self, X):
        """Return the predictions."""
        hidden = np.tanh((X - self.mean) / self.sd @ self.weights[0])
        return self.at + self.unit * hidden @ self.weights[1]


def train_net(regularizer, X, y, seed):
    return Net(X, y, regularizer.l2, seed)


X, y = load_diabetes(return_X_y=True)
model = regadvisor.fit_function(train_net, kinds=("none", "l2"), laws="network")
advice = regadvisor.advise(X, y, model=model, effort="quick")
print(advice)
print("prediction of the advised net:", advice.build().fit(X, y).predict(X[:1]).round())

# 2. Results as statsmodels has them: predict() gives the probability of the second class.


class Results:
    """A fitted model with nothing but predict."""

    def __init__(self, model):
        self.model = model

    def predict(self, X):
        """Return the probability of the second class."""
        return self.model.predict_proba(X)[:, 1]


def fit_logit(regularizer, X, y, seed):
    # statsmodels: sm.Logit(y, sm.add_constant(X)).fit_regularized(alpha=n * regularizer.l1)
    C = 1 / (len(X) * regularizer.l1) if regularizer.l1 else 1e6
    return Results(LogisticRegression(l1_ratio=1.0, C=C, solver="liblinear", random_state=0).fit(X, y))


model = regadvisor.fit_function(fit_logit, kinds=("none", "l1"), encode=True)  # encode: scaled columns
print(regadvisor.advise(X, y > 140, model=model, effort="quick"))

# 3. Texts, or whatever else X is: the function sees the rows as they were passed.


def fit_texts(regularizer, texts, labels, seed):
    C = 1 / (len(texts) * regularizer.l2) if regularizer.l2 else 1e6
    return make_pipeline(TfidfVectorizer(), LogisticRegression(C=C, max_iter=5_000)).fit(texts, labels)


rng = np.random.default_rng(0)
texts = [" ".join(rng.choice(["sun", "rain", "wind", "snow", "fog"], size=8)) for _ in range(200)]
wet = np.array([text.count("rain") + text.count("snow") for text in texts]) + rng.normal(size=200)
labels = np.where(wet > 3, "wet", "dry")
model = regadvisor.fit_function(fit_texts, kinds=("none", "l2"), ranges={"l2": (1e-6, 1.0)})
print(regadvisor.advise(texts, labels, model=model, effort="quick"))
