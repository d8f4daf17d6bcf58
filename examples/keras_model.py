"""
Keras: a model of your own, asked about and configured
======================================================

regadvisor trains copies of your compiled model by its own ``fit``; ``apply`` makes it again with the
advised regularizer.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

import regadvisor

X, y = load_breast_cancer(return_X_y=True)
X = StandardScaler().fit_transform(X).astype("float32")
model = keras.Sequential(
    [
        keras.Input((30,)),
        keras.layers.Dense(16, "relu"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(2, "softmax"),
    ]
)
model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")

# Optimizer and loss are the model's; how long it trains, it does not know.
recipe = regadvisor.Recipe(epochs=3, batch_size=64)
advice = regadvisor.advise(X, y, model=model, recipe=recipe, budget=15)
print(advice)

mine = advice.apply(model)  # a new model; yours stays as it is
history = mine.fit(X, y, batch_size=64, epochs=3, verbose=0)
print("loss:", [round(loss, 3) for loss in history.history["loss"]])
print(advice.snippet("keras"))  # the same, to type into your own code
