"""The networks of ``own_models.py``: what advise() is given, and how each is trained by its own code."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from regadvisor import Recipe, Regularizer

os.environ.setdefault("KERAS_BACKEND", "torch")

EPOCHS, BATCH, LR = 15, 64, 3e-3


class Residual(nn.Module):
    """A block of a ResNet for tables (Gorishniy et al. 2021)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.inner, self.outer = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.outer(self.dropout(torch.relu(self.inner(self.norm(x)))))


def resnet(n_features: int, n_outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(n_features, 64), Residual(64), Residual(64), nn.ReLU(), nn.Linear(64, n_outputs)
    )


class LSTM(nn.Module):
    """Sequences (rows, steps, channels)."""

    def __init__(self, input_shape: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        channels = input_shape[-1] if len(input_shape) > 1 else 1
        self.lstm = nn.LSTM(channels, 32, batch_first=True)
        self.dropout, self.head = nn.Dropout(0.2), nn.Linear(32, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(x)
        return self.head(self.dropout(states.mean(dim=1)))


class Transformer(nn.Module):
    """An encoder over the steps of a sequence, with learned positions."""

    def __init__(self, input_shape: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        steps, channels = input_shape[0], input_shape[-1] if len(input_shape) > 1 else 1
        self.embed = nn.Linear(channels, 32)
        self.positions = nn.Parameter(0.02 * torch.randn(steps, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(32, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embed(x) + self.positions).mean(dim=1))


class TabM(nn.Module):
    """Eight predictions for each row from one trunk, each with scales of its own (Gorishniy et al. 2025)."""

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__()
        self.scales = nn.Parameter(torch.randint(0, 2, (8, n_features)).float() * 2 - 1)
        self.trunk = nn.Sequential(
            nn.Linear(n_features, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 64), nn.ReLU()
        )
        self.heads = nn.Parameter(torch.randn(8, 64, n_outputs) / 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states = self.trunk(x[:, None, :] * self.scales)
        return torch.einsum("rkw,kwo->rko", states, self.heads)


def mlp(n_features: int, n_outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(n_features, 64),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(64, n_outputs),
    )


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "ResNet": resnet,
    "LSTM": LSTM,
    "transformer": Transformer,
    "TabM": TabM,
    "Lightning": mlp,
}


def outputs_of(y: Any) -> int:
    """Return how many outputs a network for this target has."""
    return len(np.unique(y)) if y.dtype.kind == "i" else 1


def own_loss(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return log loss, or half the squared error; the mean over several predictions for a row."""
    if outputs.dim() == 3:
        return torch.stack([own_loss(each, target) for each in outputs.unbind(1)]).mean()
    if target.dtype == torch.int64:
        return nn.functional.cross_entropy(outputs, target)
    return 0.5 * nn.functional.mse_loss(outputs[:, 0], target)


class Loop:
    """A plain loop of torch, or Lightning's trainer, around a module and an optimizer."""

    def __init__(self, make: Callable[[], nn.Module], regularizer: Regularizer, seed: int, by: str) -> None:
        self.make, self.regularizer, self.seed, self.by = make, regularizer, seed, by

    def fit(self, X: Any, y: Any) -> Loop:
        torch.manual_seed(self.seed)
        module = self.regularizer.apply(self.make())
        rows = torch.as_tensor(X)
        target = torch.as_tensor(y if y.dtype.kind == "i" else y.astype(np.float32))
        fit = _by_lightning if self.by == "Lightning" else _by_hand
        self.module = fit(module, self.regularizer, rows, target)
        return self

    def outputs(self, X: Any) -> torch.Tensor:
        self.module.eval()
        with torch.no_grad():
            return self.module(torch.as_tensor(X))


def _by_hand(
    module: nn.Module, regularizer: Regularizer, rows: torch.Tensor, target: torch.Tensor
) -> nn.Module:
    optimizer = regularizer.optimizer(module, lr=LR)
    module.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(rows)).split(BATCH):
            if len(batch) > 1:
                optimizer.zero_grad()
                own_loss(module(rows[batch]), target[batch]).backward()
                optimizer.step()
    return module


def _by_lightning(module: nn.Module, regularizer: Regularizer, rows: Any, target: Any) -> nn.Module:
    import lightning
    from torch.utils.data import DataLoader, TensorDataset

    class Own(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = module

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            return own_loss(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return regularizer.optimizer(self.net, lr=LR)

    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Own(), DataLoader(TensorDataset(rows, target), BATCH, shuffle=True, drop_last=True))
    return module


def suggested(trial: Any) -> Regularizer:
    """Return what a reader lets Optuna vary: weight decay, L1 and dropout, each also left out."""
    kinds = trial.suggest_categorical("kind", ["none", "l2", "l1", "l1+l2", "dropout", "dropout+l2"])
    l2 = trial.suggest_float("l2", 1e-3, 10.0, log=True) if "l2" in kinds else 0.0
    l1 = trial.suggest_float("l1", 1e-5, 0.3, log=True) if "l1" in kinds else 0.0
    dropout = trial.suggest_float("dropout", 0.05, 0.5) if "dropout" in kinds else 0.0
    return Regularizer(l1=l1, l2=l2, dropout=dropout, coupling="decoupled")


def held_out(outputs: Any, y: Any) -> float:
    """Return log loss of logits or the squared error; the several predictions of a row are averaged."""
    outputs = torch.as_tensor(outputs)
    if y.dtype.kind != "i":
        outputs = outputs.mean(dim=1) if outputs.dim() == 3 else outputs
        return float(np.mean(np.square(outputs[:, 0].numpy() - y)))
    shares = torch.softmax(outputs, dim=-1)
    shares = shares.mean(dim=1) if shares.dim() == 3 else shares
    return float(nn.functional.nll_loss(torch.log(shares.clamp_min(1e-6)), torch.as_tensor(y)))


class TorchNet:
    """A module of torch: the advice's regularizer and the loop's are trained by one loop."""

    epochs = EPOCHS

    def __init__(self, name: str, y: Any) -> None:
        self.name, self.n_outputs = name, outputs_of(y)

    def model(self) -> Any:
        return NETWORKS[self.name]

    def recipe(self) -> Recipe:
        layout = "sequence" if self.name in ("LSTM", "transformer") else None
        return Recipe(
            epochs=EPOCHS, batch_size=BATCH, lr=LR, schedule="constant", transform="none", layout=layout
        )

    def _made(self, regularizer: Regularizer) -> Callable[[int], Any]:
        return lambda seed: _Shaped(self, regularizer, seed)

    def suggested(self, trial: Any) -> Callable[[int], Any]:
        return self._made(suggested(trial))

    def advised(self, advice: Any) -> Callable[[int], Any]:
        return self._made(advice.regularizer)

    def loss(self, fitted: Any, X: Any, y: Any) -> float:
        return held_out(fitted.outputs(X), y)


class _Shaped:
    """A loop that learns the shape of the rows when it is fitted."""

    def __init__(self, case: TorchNet, regularizer: Regularizer, seed: int) -> None:
        self.case, self.regularizer, self.seed = case, regularizer, seed

    def fit(self, X: Any, y: Any) -> Loop:
        name, n_outputs = self.case.name, self.case.n_outputs
        if name in ("LSTM", "transformer"):
            shape = (X.shape[1], 1) if X.ndim == 2 else X.shape[1:]

            def make() -> nn.Module:
                return NETWORKS[name](input_shape=shape, n_outputs=n_outputs)

            loop = Loop(make, self.regularizer, self.seed, name)
            whole = Loop.outputs
            loop.outputs = lambda rows: whole(loop, rows.reshape(len(rows), *shape))  # type: ignore[method-assign]
            return loop.fit(X.reshape(len(X), *shape), y)
        return Loop(
            lambda: NETWORKS[name](n_features=X.shape[1], n_outputs=n_outputs),
            self.regularizer,
            self.seed,
            name,
        ).fit(X, y)


# ------------------------------------------------------------------------------------------ Keras, skorch


class KerasNet:
    """A functional model of Keras, compiled with Adam."""

    epochs = EPOCHS

    def __init__(self, y: Any) -> None:
        self.n_outputs = outputs_of(y)
        self.is_classes = y.dtype.kind == "i"
        self.n_features: int | None = None

    def model(self) -> Any:
        import keras  # so that what the factory makes is known as a model of Keras

        def keras_model(n_features: int) -> Any:
            assert keras
            return self._built(n_features, 0.0, 0.0, 0.2)

        return keras_model

    def _built(self, n_features: int, l1: float, l2: float, rate: float) -> Any:
        import keras

        penalty = keras.regularizers.L1L2(l1, l2 / 2)
        rows = x = keras.Input((n_features,))
        for _ in range(2):
            x = keras.layers.Dropout(rate)(keras.layers.Dense(64, "relu", kernel_regularizer=penalty)(x))
        last = keras.layers.Dense(
            self.n_outputs, "softmax" if self.is_classes else None, kernel_regularizer=penalty
        )
        model = keras.Model(rows, last(x))
        model.compile(
            keras.optimizers.Adam(LR), "sparse_categorical_crossentropy" if self.is_classes else "mse"
        )
        return model

    def recipe(self) -> Recipe:
        return Recipe(epochs=EPOCHS, batch_size=BATCH, transform="none")

    def suggested(self, trial: Any) -> Callable[[int], Any]:
        chosen = suggested(trial)
        return lambda seed: _Fitted(
            lambda X: self._built(X.shape[1], chosen.l1 or 0.0, chosen.l2 or 0.0, chosen.dropout or 0.0), seed
        )

    def advised(self, advice: Any) -> Callable[[int], Any]:
        return lambda seed: _Fitted(lambda X: advice.apply(self._built(X.shape[1], 0.0, 0.0, 0.2)), seed)

    def loss(self, fitted: Any, X: Any, y: Any) -> float:
        found = np.asarray(fitted.model.predict(X, verbose=0))
        return held_out(np.log(np.maximum(found, 1e-6)) if self.is_classes else found, y)


class _Fitted:
    """A Keras model made and fitted from a seed."""

    def __init__(self, make: Callable[[Any], Any], seed: int) -> None:
        self.make, self.seed = make, seed

    def fit(self, X: Any, y: Any) -> _Fitted:
        import keras

        keras.utils.set_random_seed(self.seed)
        self.model = self.make(X)
        self.model.fit(X, y, epochs=EPOCHS, batch_size=BATCH, verbose=0)
        return self


class SkorchNet:
    """A net of skorch around the same layers, with AdamW."""

    epochs = None

    def __init__(self, y: Any) -> None:
        self.n_outputs, self.is_classes = outputs_of(y), y.dtype.kind == "i"

    def model(self, **more: Any) -> Any:
        import skorch

        kind = skorch.NeuralNetClassifier if self.is_classes else skorch.NeuralNetRegressor
        return kind(
            _Lazy,
            module__n_outputs=self.n_outputs,
            optimizer=torch.optim.AdamW,
            criterion=nn.CrossEntropyLoss if self.is_classes else nn.MSELoss,
            lr=LR,
            batch_size=BATCH,
            max_epochs=EPOCHS,
            train_split=None,
            verbose=0,
            **more,
        )

    def suggested(self, trial: Any) -> Callable[[int], Any]:
        # What skorch can say: dropout and the optimizer's decay.
        rate = trial.suggest_float("dropout", 0.0, 0.5)
        decay = trial.suggest_float("decay", 1e-3, 10.0, log=True)
        return lambda seed: _Seeded(self.model(module__rate=rate, optimizer__weight_decay=decay), seed)

    def advised(self, advice: Any) -> Callable[[int], Any]:
        return lambda seed: _Seeded(advice.apply(self.model()), seed)

    def loss(self, fitted: Any, X: Any, y: Any) -> float:
        with torch.no_grad():
            return held_out(fitted.net.forward(X, training=False), y)


class _Lazy(nn.Module):
    """Two hidden layers whose first finds its width by itself."""

    def __init__(self, n_outputs: int, rate: float = 0.2) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LazyLinear(64),
            nn.ReLU(),
            nn.Dropout(rate),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Dropout(rate),
            nn.Linear(64, n_outputs),
        )

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.layers(X)


class _Seeded:
    """A net fitted from a seed."""

    def __init__(self, net: Any, seed: int) -> None:
        self.net, self.seed = net, seed

    def fit(self, X: Any, y: Any) -> _Seeded:
        torch.manual_seed(self.seed)
        self.net.fit(X, y if self.net.criterion is nn.CrossEntropyLoss else y.astype(np.float32)[:, None])
        return self
