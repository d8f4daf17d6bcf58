"""Looking at the caller's module before it is trained: does it fit the data, and what can batch it.

A few encoded rows go through it. What is wrong is said at once, with the numbers needed to put it right.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn

from regadvisor.deadline import NEVER, Deadline
from regadvisor.errors import ParameterError
from regadvisor.families.neural.dropout import with_rates_inside
from regadvisor.families.neural.losses import ColumnsLoss
from regadvisor.families.neural.module.audit import by_structure, with_invariant
from regadvisor.families.neural.module.chain import Recorder, chain_of
from regadvisor.families.neural.module.checks import (
    called,
    check_finite,
    check_outputs,
    check_parameters,
    check_range,
)
from regadvisor.families.neural.module.dropout import DRY_ROWS, Feed, feed_of, places_of, with_fed_dropout
from regadvisor.families.neural.module.layout import make_layout, tensors
from regadvisor.families.neural.module.layouts import check_rows_apart
from regadvisor.families.neural.module.outputs import place_in, prediction_in, rows_of
from regadvisor.families.neural.module.recurrent import N_FLOATS, packed_layers, with_fed_recurrence
from regadvisor.families.neural.module.source import ModuleSource, name_of
from regadvisor.families.neural.module.stack import Engine, ModuleArchitecture, Seen
from regadvisor.families.neural.parameters import copied, keep_in_eval, penalised_parameters, set_mode
from regadvisor.families.neural.recipe import Recipe
from regadvisor.global_state import own_randomness, states_elsewhere
from regadvisor.records import Audit

#: Gradients of both engines agree if they differ by no more than this share of the largest.
_SAME_GRADIENT = 1e-3
#: Weights are doubled, each by itself, to see whether outputs change, if that takes no more operations than
#: some tenths of a second allow. (Counted, not timed: equal calls give equal records.)
MOST_AUDIT_OPERATIONS = 1e10
#: From these seconds for a few rows on, a module is run no more often than it has to be.
SLOW_S = 0.1
#: Rows that a module sees first whose parameters are made from them, at most.
_FIRST_ROWS = 1_000
_CONVOLUTIONS = (nn.modules.conv._ConvNd,)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Dry(Seen):
    """What the dry passes saw."""

    outputs: Tensor
    varying: set[str]
    has_noise: bool
    #: Whether a pass changed the parameters, or made some.
    sets_itself: bool
    trained: tuple[Recorder, ...]
    evaluated: Recorder


def examine(
    source: ModuleSource,
    rows: Tensor,
    *,
    recipe: Recipe,
    is_classification: bool,
    is_raw: bool = False,
    engine: Engine | None = None,
    deadline: Deadline = NEVER,
) -> ModuleArchitecture:
    """Return the caller's module as an architecture, after a dry pass of a few rows.

    `rows` (n_rows, n_features): encoded rows, on the device to train on; a few are used. `recipe`: its
    patterns of parameter names say what is penalised. `is_raw`: whether the caller's loss sees a numeric
    target as it is: then it may have a range. `engine`: None: chosen by trying.

    Raises ParameterError if the module does not fit the data, or cannot be trained.
    """
    few = rows[torch.arange(DRY_ROWS[1], device=rows.device) % len(rows)]
    first = source.draw(0)
    check_parameters(first)
    second = source.another(first)
    drawn = keep_in_eval(copied(first))
    module, feed = _template(drawn, rows.device, lambda module: called(module, source.arguments(few), source))
    source, dry = _looked_at(module, second, source, few, deadline)
    if dry.sets_itself and source.first_rows is None:
        source = replace(source, first_rows=rows[:: -(-len(rows) // _FIRST_ROWS)])
        given = {"recipe": recipe, "is_classification": is_classification, "is_raw": is_raw}
        return examine(source, rows, engine=engine, deadline=deadline, **given)  # type: ignore[arg-type]
    task = {"is_classification": is_classification, "has_own_loss": recipe.loss is not None}
    sizes = recipe.loss.sizes if isinstance(recipe.loss, ColumnsLoss) else ()
    check_outputs(dry.outputs, source, block_sizes=sizes, **task)
    check_finite(dry.outputs, module, few, source)
    deadline.check()
    # Most of what squashes gives outputs of one sign: those of a slow module are looked at only then.
    has_one_sign = bool((dry.outputs >= 0).all() or (dry.outputs <= 0).all())
    if (sizes or not is_raw) and (has_one_sign or not _is_slow(dry.pass_s, few)):
        check_range(module, few, source, block_sizes=sizes, **task)
    deadline.check()
    check_rows_apart(source, module, few)
    deadline.check()
    feed.places = dry.places
    chosen = penalised_parameters(module, exempt=recipe.exempt, penalised=recipe.penalised)
    penalised = [name for name, parameter in chosen if parameter.requires_grad]
    layout = make_layout(module, varying=dry.varying, penalised=penalised, has_noise=dry.has_noise)
    architecture = ModuleArchitecture(
        source=source,
        template=module,
        layout=layout,
        engine="loop",
        engine_reason="as asked",
        has_one_logit=source.n_outputs == 2 and dry.outputs.shape[-1] == 1,
        chain=chain_of(dry.trained, dry.evaluated, layout),
        n_heads=len(dry.outputs) // len(few),
        is_classification=is_classification,
        **{each.name: getattr(dry, each.name) for each in fields(Seen)},
    )
    if engine is not None:
        return replace(architecture, engine=engine)
    architecture = replace(architecture, audit=_audited(first, drawn, architecture, few, recipe))
    deadline.check()
    best, reason = _choose_engine(architecture, few, has_noise=dry.has_noise)
    return replace(architecture, engine=best, engine_reason=reason)


def _template(
    drawn: nn.Module, device: torch.device, call: Callable[[nn.Module], object]
) -> tuple[nn.Module, Feed]:
    """Return a copy that networks are made of, with the feed of its dropout layers.

    `call`: passes a few rows through a module.
    """
    packed = packed_layers(copied(drawn).to(device), call)
    module, feed = with_fed_dropout(copied(drawn))
    with_fed_recurrence(module, feed, packed=packed)
    for part in module.modules():
        if isinstance(part, nn.Embedding | nn.EmbeddingBag):
            part.sparse = False  # all gradients lie in one tensor
    return module.to(device), feed


def _audited(
    first: nn.Module, drawn: nn.Module, architecture: ModuleArchitecture, few: Tensor, recipe: Recipe
) -> Audit:
    """Return what penalties and dropout act on; `first` as it came, `drawn` as it is trained."""
    source = architecture.source
    found = by_structure(first, exempt=recipe.exempt, penalised=recipe.penalised)
    n_operations = len(few) * architecture.n_operations * len(found.penalised)
    is_cheap = n_operations < MOST_AUDIT_OPERATIONS and not _is_slow(architecture.pass_s, few)
    arguments = source.arguments(few) if is_cheap else ((), {})
    return replace(
        with_invariant(found, drawn, arguments, output=recipe.output), module=name_of(source.model)
    )


class _Pass:
    """One pass of some rows through a copy of the module, and what it showed.

    `module`: the copy, after the pass. `outputs` (n_rows, n_outputs). `drew`: whether torch's random numbers
    were used. `place`, `shape`: where the prediction is among what it returned, and its shape for one row.
    """

    def __init__(
        self,
        module: nn.Module,
        x: Tensor,
        source: ModuleSource,
        *,
        is_training: bool,
        seed: int = 0,
        look: Callable[[nn.Module, Tensor], None] | None = None,
    ) -> None:
        self.module = set_mode(copied(module), is_training=is_training)
        feed_of(self.module).start(None)
        arguments = source.arguments(x)
        first = next((each for each in arguments[0] if each.ndim > 1), x)
        self.recorder = Recorder(self.module, first)
        if look is not None:
            look(self.module, first)
        start = time.perf_counter()
        with own_randomness(seed, x.device), torch.set_grad_enabled(is_training):
            before, others = torch.random.get_rng_state(), states_elsewhere()
            with self.recorder if self.recorder.calls is not None else nullcontext():
                outputs = called(self.module, arguments, source)
            self.drew_elsewhere = others != states_elsewhere()
            self.drew = self.drew_elsewhere or not torch.equal(before, torch.random.get_rng_state())
        self.seconds = time.perf_counter() - start
        self.recorder.end(outputs)
        self.outputs = rows_of(outputs, len(x), source.n_outputs, source.output)
        place = place_in(outputs, source.output)
        self.place = place if isinstance(place, int | str) else None
        self.shape = tuple(prediction_in(outputs, source.output).shape[1:])


def _looked_at(
    module: nn.Module, second: nn.Module, source: ModuleSource, few: Tensor, deadline: Deadline
) -> tuple[ModuleSource, _Dry]:
    """Return what the dry passes saw, and the source, which knows how pixels should lie in memory."""
    if few.device.type == "cpu" and any(isinstance(part, nn.Conv2d) for part in module.modules()):
        suited = replace(source, is_channels_last=source.inputs.is_image)
        # A module that takes a `view` of its pixels only runs on the usual order.
        with suppress(ParameterError):
            return suited, _dry_passes(module, second, suited, few, deadline)
    return source, _dry_passes(module, second, source, few, deadline)


def _dry_passes(
    module: nn.Module, second: nn.Module, source: ModuleSource, few: Tensor, deadline: Deadline
) -> _Dry:
    """Run copies of the module; the module itself stays as it is. `second` has other starting values."""
    sizes, firsts = _Sizes(), _FirstWeights()
    small = _Pass(module, few[: DRY_ROWS[0]], source, is_training=True)
    deadline.check()
    large = _Pass(module, few, source, is_training=True, look=sizes.watch)
    deadline.check()
    evaluated = _Pass(module, few, source, is_training=False, look=firsts.watch)
    pass_s = min(large.seconds, evaluated.seconds)
    has_noise, differs = large.drew, evaluated.drew
    if not _is_slow(pass_s, few):
        # A module may have other sources of random numbers than torch's.
        again = _Pass(module, few, source, is_training=True, seed=1)
        has_noise = not torch.equal(large.outputs, again.outputs) and bool(large.outputs.isfinite().all())
        again = _Pass(module, few, source, is_training=False, seed=1)
        differs = not torch.equal(evaluated.outputs, again.outputs)
    # At a rate of 0 layers of the caller's own draw nothing yet.
    has_noise = has_noise or large.drew_elsewhere or any(True for _ in with_rates_inside(module))
    other, state = dict(tensors(second)), dict(tensors(large.module))
    trained = {name: value for name, value in module.named_parameters() if value.requires_grad}
    made = state.keys() - dict(tensors(module)).keys()
    sets_itself = bool(made) or any(not torch.equal(value, state[name]) for name, value in trained.items())
    if differs and not sets_itself and bool(evaluated.outputs.isfinite().all()):
        raise ParameterError(
            "model must give equal outputs in evaluation mode, got different ones in two passes; use "
            "functional.dropout(x, p, training=self.training)"
        )
    varying = {
        name
        for name, value in tensors(module)
        if not torch.equal(value.cpu(), other[name].cpu()) or not torch.equal(value, state[name])
    }
    few_shapes, many_shapes = (feed_of(each.module).seen for each in (small, large))
    part, *more = source.inputs.parts
    return _Dry(
        outputs=large.outputs.detach(),
        places=tuple(places_of(few_shapes, many_shapes, DRY_ROWS)),
        varying=varying,
        has_noise=has_noise,
        sets_itself=sets_itself,
        # Where the module gets the numbers of a row in one tensor, in their order.
        first_weights=firsts.checked(module, few, source) if not (more or part.axes) else (),
        n_activations=-(-sizes.n_floats // len(few)),
        # A multiplication and an addition, in the forward pass and twice on the way back.
        n_operations=6.0 * max(1.0, sizes.n_products / len(few)),
        trained=(small.recorder, large.recorder),
        evaluated=evaluated.recorder,
        pass_s=pass_s,
        output=large.place,
        output_shape=large.shape,
    )


def _is_slow(pass_s: float, few: Tensor) -> bool:
    """Return whether a few rows take so long that the module is looked at as seldom as possible."""
    return few.device.type == "cpu" and pass_s > SLOW_S


class _Sizes:
    """Counts the floats that a pass leaves behind, and its products with weights.

    As linear, convolutional, recurrent and attention layers make them: every weight once for each position
    of the output. (Torch's own counter takes two seconds to import.)
    """

    n_floats, n_products = 0, 0.0

    def watch(self, module: nn.Module, shaped: Tensor) -> None:
        for part in module.modules():
            part.register_forward_hook(self._count)

    def _count(self, part: nn.Module, inputs: object, outputs: object) -> None:
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        if not isinstance(first, Tensor) or first.ndim == 0:
            return
        self.n_floats += first.numel() * (N_FLOATS if isinstance(part, nn.RNNBase) else 1)
        if not isinstance(part, nn.Embedding | nn.EmbeddingBag):
            n_units = first.shape[1 if isinstance(part, _CONVOLUTIONS) else -1]
            own = sum(weight.numel() for weight in part.parameters(recurse=False) if weight.ndim >= 2)
            self.n_products += own * first.numel() / n_units


class _FirstWeights:
    """Finds the weights of the linear layers that take the features as they are.

    Checked: with these weights at 0 the outputs must not depend on the features.
    """

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def watch(self, module: nn.Module, shaped: Tensor) -> None:
        place, flat = shaped.data_ptr(), shaped.flatten(1).shape

        def note(name: str) -> Callable[[nn.Module, tuple[object, ...]], None]:
            def hook(part: nn.Module, inputs: tuple[object, ...]) -> None:
                got = inputs[0]
                if isinstance(got, Tensor) and got.shape == flat and got.data_ptr() == place:
                    self._names[f"{name}.weight" if name else "weight"] = None

            return hook

        for name, part in module.named_modules():
            if isinstance(part, nn.Linear):
                part.register_forward_pre_hook(note(name))

    def checked(self, module: nn.Module, few: Tensor, source: ModuleSource) -> tuple[str, ...]:
        """Return their names; empty if none are known."""
        trained = {name for name, value in module.named_parameters() if value.requires_grad}
        names = tuple(name for name in self._names if name in trained)
        if not names:
            return ()
        tried = copied(module)
        with torch.no_grad():
            for name in names:
                tried.get_parameter(name).zero_()
        both = _Pass(tried, torch.cat([few, few.flip(0) + 1.0]), source, is_training=False).outputs
        there, elsewhere = both.chunk(2)
        return names if torch.allclose(there, elsewhere, rtol=1e-5, atol=1e-6) else ()


def _choose_engine(architecture: ModuleArchitecture, few: Tensor, *, has_noise: bool) -> tuple[Engine, str]:
    """Return the engine and why: all networks at once, unless something speaks against it."""
    if has_noise:
        return "loop", (
            "the module draws random numbers of its own in training (dropout inside attention "
            "layers, in dropout layers of yours and in attributes such as self.dropout, gets each network's "
            "rate; other dropout written as a function stays as it is)"
        )
    if architecture.chain and _trouble(architecture, "fused", few) is None:
        return "fused", "the module is a plain chain of layers"
    is_convolutional = any(isinstance(part, _CONVOLUTIONS) for part in architecture.template.modules())
    if few.device.type == "cpu" and is_convolutional:
        return "loop", "convolutions are as fast one network at a time on a CPU"
    trouble = _trouble(architecture, "vmap", few)
    if trouble is not None:
        return "loop", trouble
    return "vmap", "its gradients are those of one network at a time"


def _trouble(architecture: ModuleArchitecture, engine: Engine, few: Tensor) -> str | None:
    """Return why an engine cannot train the module; None if it gives what one network at a time does."""
    try:
        with warnings.catch_warnings():
            # Torch warns where it has no batching rule and runs the networks one by one, slowly.
            # Nothing else may become an error: filters are those of the whole process.
            warnings.filterwarnings("error", message="There is a performance drop")
            found = _gradients(replace(architecture, engine=engine), few)
    except Exception as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0].partition(". ")[0]
        return f"torch.func.vmap cannot run the module ({reason[:160]})"
    expected = _gradients(replace(architecture, engine="loop"), few)
    for ours, theirs in zip(found, expected, strict=True):
        largest = float(theirs.abs().max()) or 1.0
        if not bool(((ours - theirs).abs() <= _SAME_GRADIENT * largest).all()):
            return "its gradients under torch.func.vmap differ from those of one network at a time"
    return None


def _gradients(architecture: ModuleArchitecture, few: Tensor) -> list[Tensor]:
    """Return gradients, carried buffers and outputs after one step of two networks, one with dropout.

    A slow module makes one step without dropout, and no outputs.
    """
    generator = torch.Generator().manual_seed(0)
    initial = torch.cat([architecture.initial(generator) for _ in range(2)]).to(few.device)
    stack = architecture.stack(initial, batch=len(few), loss="squared")
    x = few.expand(2, *few.shape)
    target = torch.ones(2, len(few), architecture.source.n_outputs, device=few.device)
    if _is_slow(architecture.pass_s, few):
        stack.compute_gradient(x, target)
        return [stack.gradient, stack.flat]
    keep = [
        2.0 * (torch.rand(1, len(few), *shape, generator=generator) < 0.5).float()
        for shape in stack.dropout_shapes
    ]
    stack.compute_gradient(x, target, masks=(slice(1, 2), [mask.to(few.device) for mask in keep]))
    return [stack.gradient, stack.flat, stack.outputs(slice(0, 2), few)]
