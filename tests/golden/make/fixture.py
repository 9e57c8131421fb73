"""What the scripts share: one evaluation in float32 and one in float64, and the file.

The float64 evaluation (on the same float32 weights and inputs) is the truth that is stored, cast to
float32; the float32 one only says how far single precision strays from it.
"""

import json
import pathlib
from importlib import metadata as packages

import torch
from monai.losses import DiceCELoss
from safetensors.torch import save
from torch.utils.flop_counter import FlopCounterMode

import hashed_weights

FOLDER = pathlib.Path(__file__).resolve().parent.parent
LARGEST_FULL = 40_000  # elements; a larger output is stored at every second voxel

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def versions():
    """Versions of the packages the numbers depend on."""
    names = ["torch", "monai", "dynamic-network-architectures", "numpy"]
    return {name: packages.version(name) for name in names}


def write(name, tensors, entries):
    """Writes `tests/golden/<name>.safetensors`; every metadata entry is a JSON text."""
    entries = {"versions": versions(), **entries}
    data = save({key: value.contiguous() for key, value in tensors.items()})
    # The library writes the metadata in a random order; the header is therefore put together here.
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = {key: json.dumps(value) for key, value in sorted(entries.items())}
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    path = FOLDER / f"{name}.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    print(f"{path.name}: {path.stat().st_size} bytes")


def dice_ce(logits, label):
    """MONAI's DiceCELoss as in `c_dicece`: softmax, no background, per sample, smoothing 1e-5."""
    loss = DiceCELoss(
        softmax=True, to_onehot_y=True, include_background=False, smooth_nr=1e-5, smooth_dr=1e-5
    )
    return loss(logits, label[:, None])


def deviation(single, double):
    """Largest difference, also divided by the largest value."""
    largest = double.abs().max().item()
    worst = (single.double() - double).abs().max().item()
    return {"max_abs": worst, "relative": worst / largest if largest else 0.0}


def thin(tensor, stride):
    """Every `stride`-th voxel of each spatial axis."""
    return tensor[..., ::stride, ::stride, ::stride]


def gradients(network):
    """Gradients by name in float64, zero where the loss does not reach, sorted by name."""
    return {
        name: torch.zeros_like(p, dtype=torch.float64) if p.grad is None else p.grad.double()
        for name, p in sorted(network.named_parameters())
    }


def evaluate(build, x, labels, loss, eval_too):
    """Output(s), loss terms, input gradient and parameter gradients in the precision of `x`."""
    network = hashed_weights.fill(build().to(x.dtype))
    found = {}
    if eval_too:
        with torch.no_grad():
            found["output_eval"] = network.eval()(x)
    network.train()
    x = x.clone().requires_grad_()
    outputs = network(x)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    terms = loss(outputs, labels)
    list(terms.values())[-1].backward()
    for index, output in enumerate(outputs):
        found["output" if index == 0 else f"output{index}"] = output.detach()
    found["grad_input"] = x.grad
    scalars = {key: value.detach().reshape(1) for key, value in terms.items()}
    return found, scalars, gradients(network)


def gradient_summary(grads):
    """Sum and L2 norm of each gradient."""
    values = list(grads.values())
    return {
        "grad_sum": torch.stack([g.sum() for g in values]),
        "grad_norm": torch.stack([g.norm() for g in values]),
    }


def gradient_deviation(single, double):
    """Names of the gradients that vanish in exact arithmetic, and the differences of the others.

    A difference is the smallest `t` with `|single - double| <= t * own + 1e-7 * largest`: `own` is
    the norm of the tensor's gradient (for `grad_elements` its largest element), `largest` the
    largest such figure of all tensors. What float32 makes of a vanishing gradient is
    `zero_grad_norm`, its norm relative to the largest norm.
    """
    largest = max(g.norm().item() for g in double.values())
    largest_element = max(g.abs().max().item() for g in double.values())
    live = [n for n, g in double.items() if g.norm() >= 1e-9 * largest]
    dead = [n for n, g in single.items() if n not in live and g.any()]

    def worst(measure, own, largest):
        found = {}
        for name in live:
            excess = measure(single[name], double[name]) - 1e-7 * largest
            found[name] = (excess.clamp(min=0) / own(double[name])).item()
        name = max(found, key=found.get)
        return {"relative": found[name], "name": name}

    def peak(g):
        return g.abs().max()

    return dead, {
        "grad_sum": worst(lambda s, d: (s.sum() - d.sum()).abs(), torch.norm, largest),
        "grad_norm": worst(lambda s, d: (s.norm() - d.norm()).abs(), torch.norm, largest),
        "grad_elements": worst(lambda s, d: peak(s - d), peak, largest_element),
        "zero_grad_norm": max((single[n].norm().item() / largest for n in dead), default=0.0),
    }


def main_loss(outputs, labels):
    """`dice_ce` of the first output."""
    return {"loss": dice_ce(outputs[0], labels)}


def network(name, build, shape, classes, config, loss=main_loss, eval_too=False, **entries):
    """Writes the fixture of one network.

    `build` makes the network, `shape` is the input's `[batch, channel, depth, height, width]`.
    `loss(outputs, labels)` gives named scalars; the gradients are those of the last one.
    """
    x = hashed_weights.uniform("input", shape)
    labels = hashed_weights.label("label", (shape[0], *shape[2:]), classes)
    single, single_terms, single_grads = evaluate(build, x, labels, loss, eval_too)
    double, double_terms, double_grads = evaluate(build, x.double(), labels, loss, eval_too)

    stride = 1 if double["output"].numel() < LARGEST_FULL else 2
    dead, deviations = gradient_deviation(single_grads, double_grads)
    for key, value in {**double, **double_terms}.items():
        deviations[key] = deviation({**single, **single_terms}[key], value)
    stored = {key: thin(value, stride) for key, value in double.items()}
    stored |= {**double_terms, **gradient_summary(double_grads)}

    fresh = build()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        fresh(x)
    write(
        name,
        {key: value.float() for key, value in stored.items()},
        {
            "config": config,
            "input_shape": shape,
            "classes": classes,
            "stride": stride,
            "gradient_of": list(double_terms)[-1],
            "names": list(double_grads),
            "shapes": [list(g.shape) for g in double_grads.values()],
            "buffers": {
                n: list(b.shape) for n, b in sorted(fresh.named_buffers()) if b.is_floating_point()
            },
            "zero_grad_params": dead,
            "unused_params": [n for n, g in double_grads.items() if not g.any()],
            "parameters": sum(g.numel() for g in double_grads.values()),
            "flops": counter.get_total_flops(),
            "deviation": deviations,
            **entries,
        },
    )
    for key, value in deviations.items():
        print(f"  {key}: {value}")
