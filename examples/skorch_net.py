"""
skorch: a net of your own, asked about and configured
=====================================================

The net knows its module, optimizer, epochs and batches. ``apply`` returns a copy with the advised dropout
and penalty.
"""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier

import regadvisor


class Network(torch.nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(30, width), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(width, 2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


X, y = load_breast_cancer(return_X_y=True)
X = StandardScaler().fit_transform(X).astype("float32")
net = NeuralNetClassifier(
    Network,
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=0.01,
    batch_size=64,
    max_epochs=3,
    train_split=None,
    verbose=0,
)
advice = regadvisor.advise(X, y, model=net, budget=10)
print(advice)

torch.manual_seed(0)
mine = advice.apply(net).fit(X, y)
print(f"right on the training rows: {mine.score(X, y):.0%}")
print(advice.snippet("skorch"))  # the same, to type into your own code
