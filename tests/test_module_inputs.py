"""How rows enter modules of other people: sequences, tokens, images, categories, several inputs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from regadvisor import Advice, DataError, ParameterError, Recipe, advise, audit, fit_function
from regadvisor.data import datasets
from regadvisor.data.datasets import unpacked
from regadvisor.data.source import make_table
from regadvisor.families.neural.image_encoding import module_preprocessor
from regadvisor.families.neural.module.family import ModuleFamily
from regadvisor.families.neural.module.stack import Engine
from regadvisor.families.neural.module.trial import examine
from regadvisor.sampling.folds import make_folds

FEW_EPOCHS = Recipe(epochs=6, batch_size=64, lr=5e-3)


class Recurrent(nn.Module):
    """The last step of a recurrent layer, and a linear layer."""

    def __init__(self, layer: type[nn.Module], n_in: int, n_out: int, batch_first: bool = True) -> None:
        super().__init__()
        self.steps = layer(n_in, 12, batch_first=batch_first)
        self.batch_first = batch_first
        self.head = nn.Linear(12, n_out)

    def forward(self, x: Tensor) -> Tensor:
        steps, _ = self.steps(x)
        return self.head(steps[:, -1] if self.batch_first else steps[-1])


def lstm(n_features: int, n_outputs: int) -> nn.Module:
    return Recurrent(nn.LSTM, n_features, n_outputs)


def gru(n_features: int, n_outputs: int) -> nn.Module:
    return Recurrent(nn.GRU, n_features, n_outputs)


def steps_first(n_features: int, n_outputs: int) -> nn.Module:
    return Recurrent(nn.LSTM, n_features, n_outputs, batch_first=False)


class Encoder(nn.Module):
    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__()
        self.embed = nn.Linear(n_features, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x)).mean(1))


def conv_1d(input_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(input_shape[0], 8, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(4),
        nn.Flatten(),
        nn.Linear(32, n_outputs),
    )


class Turning(nn.Module):
    """Turns (rows, steps, channels) for its convolution, which the factory builds by the shape it is told."""

    def __init__(self, input_shape: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(input_shape[-1], 8, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool1d(8)
        self.head = nn.Linear(64, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.convolution(x.transpose(1, 2)).relu()).flatten(1))


class Residual(nn.Module):
    """A ResNet-style network of one block."""

    def __init__(self, input_shape: tuple[int, int, int], n_outputs: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(input_shape[0], 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        return self.head((x + self.block(x)).mean((2, 3)))


class Heads(nn.Module):
    """TabM-like: k predictions for each row, from shared weights and scales of their own."""

    def __init__(self, n_features: int, n_outputs: int, k: int = 4) -> None:
        super().__init__()
        self.scales = nn.Parameter(torch.randn(k, n_features))
        self.shared = nn.Linear(n_features, 16)
        self.heads = nn.Parameter(torch.randn(k, 16, n_outputs) / 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.shared(x[:, None] * self.scales))
        return torch.einsum("nki,kio->nko", hidden, self.heads)


class Tokens(nn.Module):
    def __init__(self, n_tokens: int, n_outputs: int) -> None:
        super().__init__()
        self.table = nn.Embedding(n_tokens, 6)
        self.head = nn.Linear(6, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.table(x).mean(1))


class Categories(nn.Module):
    """Numbers, and an embedding for each categorical column."""

    def __init__(self, n_features: int, cardinalities: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(n, 3) for n in cardinalities)
        self.head = nn.Linear(n_features + 3 * len(cardinalities), n_outputs)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        embedded = [table(codes[:, j]) for j, table in enumerate(self.tables)]
        return self.head(torch.cat([numbers, *embedded], dim=1))


class Two(nn.Module):
    def __init__(self, input_shape: Any, n_outputs: int) -> None:
        super().__init__()
        shapes = list(input_shape.values()) if isinstance(input_shape, dict) else list(input_shape)
        self.table = nn.Linear(shapes[0][0], 4)
        self.words = nn.Embedding(20, 4)
        self.head = nn.Linear(8, n_outputs)

    def forward(self, numbers: Tensor, words: Tensor) -> Tensor:
        return self.head(torch.cat([self.table(numbers), self.words(words).mean(1)], dim=1))


class Packed(nn.Module):
    """As tutorials on texts have it: token ids, padded, and the length of each row."""

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.words, self.steps, self.head = nn.Embedding(20, 8), nn.LSTM(8, 12), nn.Linear(12, n_outputs)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        embedded = self.words(words.T)
        packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths, enforce_sorted=False)
        return self.head(self.steps(packed)[1][0][-1])


class Lazy(nn.Module):
    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(n_outputs))

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        return self.net(x), None


def digits() -> tuple[Any, Any]:
    images, y = load_digits(return_X_y=True)
    keep = np.flatnonzero(y < 3)[:240]
    return images[keep].reshape(-1, 8, 8) / 16.0, y[keep]


def words(n: int = 200) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 20, size=(n, 6))
    return X, (X < 10).sum(1) > 3


def rows_of_table(n: int = 200) -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(0)
    city = rng.choice(["a", "b", "c"], n)
    age = rng.normal(40, 10, n)
    return pd.DataFrame({"city": city, "age": age}), city == "b"


def two_inputs() -> tuple[dict[str, Any], Any]:
    tokens, y = words()
    return {"numbers": np.random.default_rng(1).normal(size=(200, 3)), "words": tokens}, y


def padded() -> tuple[dict[str, Any], Any]:
    tokens, y = words()
    return {"words": tokens, "lengths": np.full(len(tokens), 6)}, y


def family_of(model: Any, X: Any, y: Any, recipe: Recipe = FEW_EPOCHS) -> ModuleFamily:
    table = make_table(X, y)
    return ModuleFamily(model, table.facts, recipe=recipe, features=table.X)


PEOPLES: dict[str, tuple[Any, Any, str]] = {
    "lstm (n, t, c)": (lstm, digits, "sequence"),
    "gru (n, t, c)": (gru, digits, "sequence"),
    "lstm (n, t)": (lstm, lambda: (digits()[0].reshape(-1, 64)[:, 20:44], digits()[1]), "sequence"),
    "lstm, steps first": (steps_first, digits, "steps-first"),
    "transformer": (Encoder, digits, "sequence"),
    "conv1d (n, t, c)": (conv_1d, digits, "channels"),
    "conv1d (n, t)": (conv_1d, lambda: (digits()[0].reshape(-1, 64), digits()[1]), "channels"),
    "conv1d that turns (n, t)": (Turning, lambda: (digits()[0].reshape(-1, 64), digits()[1]), "sequence"),
    "conv1d that turns (n, t, c)": (
        Turning,
        lambda: (digits()[0].reshape(-1, 16, 4), digits()[1]),
        "sequence",
    ),
    "conv1d (n, c, t)": (
        lambda n_outputs: conv_1d((4, 16), n_outputs),
        lambda: (np.moveaxis(digits()[0].reshape(-1, 16, 4), 1, 2), digits()[1]),
        "channels-first",
    ),
    "resnet": (Residual, digits, "image"),
    "tabm": (Heads, lambda: (digits()[0].reshape(-1, 64), digits()[1]), "flat"),
    "tokens": (Tokens, words, "tokens"),
    "embedding table": (Categories, rows_of_table, "codes"),
    "two inputs by name": (Two, two_inputs, "inputs"),
    "two inputs in order": (Two, lambda: (tuple(two_inputs()[0].values()), two_inputs()[1]), "inputs"),
    "lazy, a tuple returned": (Lazy, lambda: (digits()[0].reshape(-1, 64), digits()[1]), "flat"),
    "lazy, an object": (Lazy(3), lambda: (digits()[0].reshape(-1, 64), digits()[1]), "flat"),
}


@pytest.mark.parametrize("name", PEOPLES)
def test_rows_enter_as_the_module_takes_them_and_it_learns(name: str) -> None:
    model, data, layout = PEOPLES[name]
    X, y = data()
    advice = advise(X, y, model=model, recipe=FEW_EPOCHS, budget=0)
    assert advice.record.training is not None
    assert advice.record.training.layout == layout
    loaded = Advice(advice.record)  # the layout is in the record, whoever builds
    built = loaded.build(module=model)
    plain = {"model__l1": 0.0, "model__l2": 0.0, "model__dropout": 0.0}
    built.set_params(model__recipe=Recipe(epochs=40, batch_size=32, lr=1e-2), **plain).fit(X, y)
    assert built.score(X, y) > 0.85, name
    np.testing.assert_allclose(built.predict_proba(X).sum(1), 1.0, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in PEOPLES if name not in ("lstm (n, t)", "conv1d (n, t)")])
def test_all_at_once_is_one_by_one(name: str) -> None:
    model, data, _ = PEOPLES[name]
    X, y = data()
    table = make_table(X, y)
    family = ModuleFamily(model, table.facts, recipe=FEW_EPOCHS, features=table.X)
    prepared = family.prepare(table, make_folds(table, folds=3).folds, seed=0)
    few, source = prepared.rows.x[:9], prepared.architecture.source  # type: ignore[attr-defined]
    slopes: list[tuple[Tensor, Tensor]] = []
    engines: list[Engine] = ["vmap", "loop"]
    for engine in engines:
        architecture = examine(source, few, recipe=FEW_EPOCHS, is_classification=True, engine=engine)
        generator = torch.Generator().manual_seed(0)
        initial = torch.cat([architecture.initial(generator) for _ in range(3)])
        stack = architecture.stack(initial, batch=9, loss="log")
        target = prepared.rows.target[:9].expand(3, 9, -1)
        best = examine(source, few, recipe=FEW_EPOCHS, is_classification=True)
        if engine == "vmap" and best.engine == "loop" and "convolutions" not in best.engine_reason:
            # What cannot run all at once runs one by one, and the reason is said.
            with pytest.raises(ParameterError, match=r"Batching rule not implemented|random operation"):
                stack.compute_gradient(few.expand(3, *few.shape), target)
            return
        stack.compute_gradient(few.expand(3, *few.shape), target)
        slopes.append((stack.gradient.clone(), stack.outputs(slice(0, 3), few)))
    for together, alone in zip(*slopes, strict=True):
        torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-5)


def test_heads_are_trained_each_by_its_loss_and_averaged() -> None:
    X, y = digits()
    X = X.reshape(-1, 64)
    architecture = family_of(Heads, X, y).prepare(
        make_table(X, y), make_folds(make_table(X, y), folds=3).folds, seed=0
    )
    own = architecture.architecture
    rows, target = architecture.rows.x[:8], architecture.rows.target[:8]
    stack = own.stack(own.initial(torch.Generator().manual_seed(0)), batch=8, loss="log")
    weight = torch.linspace(0.5, 1.5, 8)[None]
    stack.compute_gradient(rows[None], target[None], weight=weight)
    # The same by plain torch: the mean over rows and heads of the log loss.
    module = own.source.draw(0)  # type: ignore[attr-defined]
    own.layout.unpack(own.initial(torch.Generator().manual_seed(0))[0], module)  # type: ignore[attr-defined]
    outputs = module(rows)
    losses = -(outputs.log_softmax(-1) * target[:, None]).sum(-1)
    (losses.mean(1) * weight[0]).mean().backward()
    plain = own.layout.pack(_gradients_of(module))  # type: ignore[attr-defined]
    torch.testing.assert_close(stack.gradient, plain, rtol=1e-4, atol=1e-6)
    probabilities = outputs.softmax(-1).mean(1)
    torch.testing.assert_close(stack.outputs(slice(0, 1), rows)[0].softmax(-1), probabilities.detach())


def _gradients_of(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for value in module.parameters():
            value.copy_(value.grad)
    return module


def test_categories_come_as_codes_and_numbers_scaled() -> None:
    X, y = rows_of_table()
    X.loc[3, "city"] = None
    facts = make_table(X, y).facts
    encoded = (
        module_preprocessor(facts, "standard", "codes")
        .fit(X[:150])
        .transform(pd.concat([X[:5], pd.DataFrame({"city": ["new"], "age": [40.0]})]))
    )
    known = {"a": 1, "b": 2, "c": 3}
    assert encoded[:, -1].tolist() == [known.get(city, 0) for city in X["city"][:5]] + [0]
    assert abs(encoded[:, 0]).max() < 4
    seen: dict[str, Any] = {}

    def factory(n_features: int, cardinalities: tuple[int, ...], n_outputs: int) -> nn.Module:
        seen.update(n_features=n_features, cardinalities=cardinalities)
        return Categories(n_features, cardinalities, n_outputs)

    family_of(factory, X, y)
    assert seen == {"n_features": 1, "cardinalities": (4,)}


class InOne(nn.Linear):
    """A forward of one argument, where there are two."""


def test_a_forward_of_too_few_arguments_is_told_what_it_gets() -> None:
    X, y = rows_of_table()

    def factory(n_features: int, cardinalities: tuple[int, ...], n_outputs: int) -> nn.Module:
        return InOne(n_features + len(cardinalities), n_outputs)

    two = (X[["age"]].to_numpy(dtype=np.float32), np.ones((len(X), 2), dtype=np.float32))
    for model, rows, words in (
        (factory, X, r"makes a module with forward\(numbers, codes\)"),
        (InOne(3, 3), two, "an argument for each array of X, in their order"),
    ):
        table = make_table(rows, y)
        with pytest.raises(ParameterError, match=words):
            family_of(model, rows, y).prepare(table, make_folds(table, folds=3).folds, seed=0)


def test_a_layout_can_be_given_and_is_checked() -> None:
    X, y = digits()
    wanted = Recipe(layout="channels")
    assert family_of(lstm, X, y, wanted).inputs.layout == "channels"
    with pytest.raises(ParameterError, match="layout must be one of"):
        Recipe(layout="upside-down")
    with pytest.raises(ParameterError, match="'codes' for an array"):
        family_of(lstm, X, y, Recipe(layout="codes"))
    with pytest.raises(ParameterError, match="reshape X to"):
        family_of(lstm, X.reshape(-1, 64), y, Recipe(layout="image"))


def test_a_recurrent_layer_that_mixes_rows_is_refused() -> None:
    X, y = digits()
    family = family_of(_Mixing, X, y, Recipe(layout="sequence"))
    folds = make_folds(make_table(X, y), folds=3).folds
    with pytest.raises(ParameterError, match="batch_first=True"):
        family.prepare(make_table(X, y), folds, seed=0)


class _Mixing(nn.Module):
    """Takes (rows, steps, channels) for (steps, rows, channels), as is easily done."""

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.steps = nn.LSTM(8, 12)
        self.head = nn.Linear(12, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.steps(x)[0][:, -1])


@pytest.mark.parametrize("output", [1, "wanted", lambda returned: returned[1]])
def test_the_prediction_is_found_among_what_is_returned(output: Any) -> None:
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(64, 3)

        def forward(self, x: Tensor) -> Any:
            found = self.layer(x)
            return {"other": x, "wanted": found} if output == "wanted" else (x, found)

    X, y = digits()
    X = X.reshape(-1, 64)
    recipe = Recipe(epochs=10, lr=5e-3, output=output)
    built = advise(X, y, model=Several, recipe=recipe, budget=0).build()
    assert built.fit(X, y).score(X, y) > 0.9


def test_a_dataset_and_a_loader_are_read() -> None:
    X, y = digits()
    pairs = TensorDataset(torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(y))
    of_arrays = advise(X.astype(np.float32), y, model=gru, recipe=FEW_EPOCHS, budget=0)
    for data in (pairs, DataLoader(pairs, batch_size=50)):
        advice = advise(data, model=gru, recipe=FEW_EPOCHS, budget=0)
        assert advice.record.data == of_arrays.record.data
        advice.build().fit(data)
    with pytest.raises(DataError, match="y must be None for a TensorDataset"):
        advise(pairs, y, model=gru)
    with pytest.raises(DataError, match=r"y must be the target, .* got None"):
        advise(X, model=gru)
    with pytest.raises(DataError, match=r"pairs \(features, target\), or dicts .*, got Tensor"):
        advise(torch.utils.data.Subset(torch.zeros(5, 2), range(5)), model=gru)  # type: ignore[arg-type]


class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Rows as Hugging Face has them."""

    def __init__(self, **columns: Any) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return 6

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {name: values[row] for name, values in self.columns.items()}


def test_a_row_may_be_a_dict_that_names_its_target() -> None:
    ids, y = torch.arange(12).reshape(6, 2), [0, 1, 0, 1, 0, 1]
    for given in (Rows(ids=ids, labels=y), DataLoader(Rows(ids=ids, labels=y), batch_size=4)):
        X, target = unpacked(given, None)
        assert X.tolist() == ids.tolist()
        assert target.tolist() == y
    X, _ = unpacked(Rows(ids=ids, mask=ids > 2, label=y), None)
    assert list(X) == ["ids", "mask"]
    with pytest.raises(DataError, match=r"one key of 'y', .* got 'ids'; pass X and y"):
        unpacked(Rows(ids=ids), None)


def test_uint8_and_float_images_in_any_order_are_one_data_set() -> None:
    X, y = digits()
    pixels = (16 * X).astype(np.uint8)
    forms = [pixels, pixels.astype(np.float64), pixels[:, None], pixels[..., None], torch.as_tensor(pixels)]
    columns = []
    for form in forms:
        advice = advise(form, y, model=Residual, recipe=FEW_EPOCHS, budget=0)
        built = advice.build()
        columns.append(built["preprocess"].fit_transform(form))
        assert advice.record.data is not None
        assert advice.record.data.image_shape == (8, 8)
    for other in columns[1:]:
        np.testing.assert_allclose(other, columns[0], rtol=1e-5)


def test_rows_of_different_shapes_and_wrong_inputs_are_refused() -> None:
    y = [0, 1, 0]
    with pytest.raises(DataError, match=r"one shape, got \(4, 4\) and \(5, 4\); resize images"):
        advise([np.zeros((4, 4)), np.zeros((5, 4)), np.zeros((4, 4))], y, model=lstm)
    with pytest.raises(DataError, match=r"got .* or pass several inputs as a tuple or a dict"):
        advise([np.zeros((3, 4)), np.zeros((3, 5))], y, model=lstm)
    with pytest.raises(DataError, match="equally many rows, got 3 and 4"):
        advise({"a": np.zeros((3, 2)), "b": np.zeros((4, 2))}, y, model=lstm)
    with pytest.raises(ParameterError, match="one array or frame"):
        advise({"a": np.zeros((30, 2)), "b": np.zeros((30, 2))}, [0, 1] * 15, model="mlp")
    own = fit_function(lambda regularizer, X, y, seed: None)
    with pytest.raises(
        ParameterError, match=r"Keras model for a dict or tuple of arrays, got your function;"
    ):
        advise((np.zeros((30, 2)), np.zeros((30, 2))), [0, 1] * 15, model=own)


def test_volumes_enter_by_the_name_of_their_argument() -> None:
    class Volumes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Conv3d(1, 2, 2), nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.first(x).amax((2, 3, 4)))

    volumes, y = np.random.default_rng(0).normal(size=(40, 1, 3, 3, 3)), np.arange(40) % 2
    built = advise({"x": volumes}, y, model=Volumes, recipe=FEW_EPOCHS, budget=0).build()
    assert built.fit({"x": volumes}, y).predict({"x": volumes}).shape == (40,)
    with pytest.raises(DataError, match=r"\(40, 1, 3, 3, 3\).* X=\{'x': array\}"):
        advise(volumes, y, model=Volumes)


def test_reading_a_loader_draws_nothing_from_the_callers_generators() -> None:
    X, y = digits()
    pairs = TensorDataset(torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(y))
    own = torch.Generator().manual_seed(3)
    loader = DataLoader(pairs, batch_size=50, shuffle=True, generator=own)
    states = torch.random.get_rng_state(), own.get_state()
    unpacked(loader, None)
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert torch.equal(own.get_state(), states[1])


def test_a_data_set_without_a_length_is_read_to_its_end() -> None:
    class Stream(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            yield from zip(torch.arange(12.0).reshape(4, 3), [0, 1, 0, 1], strict=True)

    X, y = unpacked(Stream(), None)
    assert X.shape == (4, 3)
    assert y.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("is_loader", [False, True])
def test_a_data_set_without_an_end_is_not_waited_for(is_loader: bool, monkeypatch: Any) -> None:
    class Stream(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            while True:
                yield torch.zeros(3), 1

    monkeypatch.setattr(datasets, "MOST_UNCOUNTED", 200)
    given = torch.utils.data.DataLoader(Stream(), batch_size=16) if is_loader else Stream()
    with pytest.raises(DataError, match=r"pass X\.train_dataloader\(\)"):  # a data module of Lightning
        unpacked(SimpleNamespace(train_dataloader=lambda: given), None)
    with pytest.raises(
        DataError, match="without a length must end within 200 rows, got more; give it __len__"
    ):
        unpacked(given, None)


def test_what_no_layout_makes_fit_is_said_of_the_likeliest_one() -> None:
    table = make_table(*digits())
    family = ModuleFamily(Recurrent(nn.LSTM, 5, 3), table.facts, features=table.X)
    with pytest.raises(ParameterError, match=r"sequences of 8 steps and 8 channels"):
        family.prepare(table, make_folds(table, folds=2).folds, seed=0)


def test_channels_that_come_first_are_scaled_each_by_itself() -> None:
    units = np.array([1e3, 1.0, 1e-2, 5.0])[:, None]
    X = units * (10 + np.random.default_rng(0).normal(size=(60, 4, 16)))
    advice = advise(X, X[:, 0, 0] > 1e4, model=conv_1d((4, 16), 2), recipe=FEW_EPOCHS, budget=0)
    encoded = advice.build()[:-1].fit_transform(X).reshape(60, 4, 16)
    np.testing.assert_allclose(encoded.std((0, 2)), 1.0, rtol=1e-5)


def test_what_is_penalised_is_known_of_a_module_that_nobody_ran() -> None:
    training = advise(*words(), model=Tokens, recipe=FEW_EPOCHS, budget=0).record.training
    assert training is not None
    assert training.penalised_names == tuple(audit(Tokens(n_tokens=20, n_outputs=2)).penalised)
    assert training.penalised_names


class Deep(nn.Module):
    """As libraries for click rates have it: one table, whose first column is looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.codes, self.head = nn.Embedding(9, 3), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cat([self.codes(x[:, 0].long()), x[:, 1:]], dim=1))


def test_codes_that_a_module_looks_up_in_a_table_are_not_scaled() -> None:
    rng = np.random.default_rng(0)
    X, y = np.column_stack([rng.integers(0, 9, 90), rng.normal(size=90)]), rng.normal(size=90)
    assert family_of(Deep, X, y).recipe.transform == "none"
    assert family_of(Deep, X * [1, 50], y).recipe.transform is None  # nobody has prepared the numbers
    assert family_of(lambda: nn.Linear(2, 1), X, y).recipe.transform is None


class Products(nn.Module):
    """As tutorials on recommendations have it: a number of a user and of an item."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(5, 3), nn.Embedding(7, 3)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        return (self.users(user) * self.items(item)).sum(1)


def test_numbers_of_users_and_items_are_two_inputs() -> None:
    user, item = (np.random.default_rng(0).integers(0, n, 120) for n in (5, 7))
    y = 0.3 * user - 0.1 * item
    rows = TensorDataset(*map(torch.as_tensor, (user, item, y)))
    for given in (((user, item), y), (rows, None), (DataLoader(rows, batch_size=40), None)):
        advice = advise(
            *given, model=Products, recipe=FEW_EPOCHS, sample=60, effort="quick", folds=2, task="regression"
        )
        assert advice.record.training is not None
        assert (advice.record.training.layout, advice.record.data.n_rows) == ("inputs", 120)


@pytest.mark.parametrize("in_order", [True, False])
def test_an_array_of_one_axis_is_a_number_for_each_row(in_order: bool) -> None:
    X, y = padded()
    advice = advise(tuple(X.values()) if in_order else X, y, model=Packed, recipe=FEW_EPOCHS, budget=0)
    built = advice.build().set_params(model__recipe=Recipe(epochs=2, batch_size=32))
    assert built.fit(tuple(X.values()) if in_order else X, y).predict_proba(X).shape == (200, 2)
    script = advice.snippet("torch")
    assert "rows[:, 6:7].view(-1).long()" in script
