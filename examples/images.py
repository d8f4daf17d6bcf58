"""
Images
======

Images: which regularizer should a convolutional network of yours start with?
"""

from sklearn.datasets import load_digits
from torch import nn

import regadvisor

images, y = load_digits(n_class=4, return_X_y=True)
images = images.reshape(-1, 8, 8)  # (n, h, w), (n, h, w, c) or (n, c, h, w)


def network(input_shape, n_outputs):  # (channels, height, width), whatever the order in X
    return nn.Sequential(
        nn.Conv2d(input_shape[0], 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(8 * 4 * 4, n_outputs),
    )


recipe = regadvisor.Recipe(epochs=5, augment=lambda x: x.roll(1, dims=3))  # on every training batch
advice = regadvisor.advise(images, y, model=network, recipe=recipe, effort="quick", folds=3)
print(advice)

# %%
# What L1, L2 and dropout act on in it, and why not on the rest.

print(advice.record.training.audit)
