"""`n_adam20`: twenty torch.optim.Adam steps of the network of `d_unet_surrogate_c1`.

Learning rate 5e-4, betas (0.9, 0.9999), epsilon 1e-8, weight decay 5e-4 added to the gradient of
the tensors with other than one dimension; loss `dice_ce`; step i (from 0) uses batch i mod 2.
`losses` is the loss before each update. Labels are nested boxes, images `label / 4 + noise / 2`.

Biases in front of an instance norm (`zero_grad_params`) have gradient zero in exact arithmetic:
Adam moves them by rounding noise, and they change no output. They are not to be compared.
"""

import torch

import fixture
import hashed_weights
from surrogate import surrogate

STEPS = 20
SHAPE = (2, 1, 8, 12, 16)
BETAS = (0.9, 0.9999)


def batch(index):
    """Image and label of batch `index`: two nested boxes per sample, each elsewhere."""
    label = torch.zeros(SHAPE[0], *SHAPE[2:], dtype=torch.int64)
    for sample in range(SHAPE[0]):
        at = 2 * index + sample
        label[sample, 1:7, 1 + at : 7 + at, 2 + 2 * at : 10 + 2 * at] = 1
        label[sample, 2:5, 2 + at : 5 + at, 4 + 2 * at : 8 + 2 * at] = 2
    noise = hashed_weights.uniform(f"image{index}", SHAPE)
    return (label[:, None] / 4 + noise / 2).float(), label


def train(dtype):
    """Losses, and the named weights after each step."""
    network = surrogate(dtype)
    decayed = [p for p in network.parameters() if p.ndim != 1]
    plain = [p for p in network.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 5e-4}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.Adam(groups, lr=5e-4, betas=BETAS, eps=1e-8)
    losses, weights, grads = [], [], None
    for step in range(STEPS):
        image, label = batch(step % 2)
        optimiser.zero_grad()
        loss = fixture.dice_ce(network(image.to(dtype)), label)
        loss.backward()
        grads = grads or fixture.gradients(network)
        optimiser.step()
        losses.append(loss.item())
        weights.append({n: p.detach().double().clone() for n, p in network.named_parameters()})
    return losses, weights, grads


if __name__ == "__main__":
    losses32, weights32, grads32 = train(torch.float32)
    losses64, weights64, grads64 = train(torch.float64)
    dead, _ = fixture.gradient_deviation(grads32, grads64)
    live = [name for name in weights64[0] if name not in dead]
    steps = []
    for single, double in zip(weights32, weights64):
        off = torch.cat([(single[n] - double[n]).abs().flatten() for n in live])
        share = (off > 2e-5).double().mean().item()
        steps.append({"max_abs": off.max().item(), "fraction_over_2e-5": share})

    tensors = {f"final.{n}": w.float() for n, w in weights64[-1].items()}
    for index in range(2):
        image, label = batch(index)
        tensors |= {f"image{index}": image, f"label{index}": label.to(torch.uint8)}
    tensors["losses"] = torch.tensor(losses64, dtype=torch.float32)
    fixture.write(
        "n_adam20",
        tensors,
        {
            "config": {"lr": 5e-4, "betas": BETAS, "eps": 1e-8, "weight_decay": 5e-4},
            "losses_f32": losses32,
            "losses_f64": losses64,
            "zero_grad_params": dead,
            "deviation": {"losses": [a - b for a, b in zip(losses32, losses64)], "weights": steps},
        },
    )
    for l32, l64, step in zip(losses32, losses64, steps):
        print(f"  {l64:.9f} {l32 - l64:+.2e} {step}")
