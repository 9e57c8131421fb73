"""`n_sliding_window`: MONAI's sliding_window_inference with the network of `d_unet_surrogate_c1`.

Per case `<case>.input` and `<case>.output` (logits); `map.gaussian.<d>x<h>x<w>` are MONAI's
importance maps, which it computes in float32 whatever the network's precision. `cases` in the
metadata has each case's overlap, mode and window origins in the order of evaluation, in the volume
after its padding to at least the window (zeros, half of them in front, the odd one behind).
"""

import torch
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers import sliding_window_inference
from monai.inferers.utils import _get_scan_interval

import fixture
import hashed_weights
from surrogate import surrogate

ROI = (8, 12, 16)
CASES = {
    # case: input shape, overlap, mode
    "constant_025": ((1, 1, 13, 18, 22), 0.25, "constant"),
    "gaussian_05": ((2, 1, 13, 18, 22), 0.5, "gaussian"),
    "gaussian_0625": ((1, 1, 11, 17, 21), 0.625, "gaussian"),
    "padded_depth": ((1, 1, 5, 18, 22), 0.5, "gaussian"),
    "padded_constant": ((1, 1, 13, 18, 9), 0.25, "constant"),
    "whole_volume": ((1, 1, 8, 12, 16), 0.5, "gaussian"),
}
MAPS = [ROI, (7, 9, 5), (5, 8, 1), (24, 3, 4)]
SIGMA = 0.125


def windows(shape, overlap):
    """Origins of the windows in the padded volume."""
    size = tuple(max(n, roi) for n, roi in zip(shape[2:], ROI))
    interval = _get_scan_interval(size, ROI, 3, (overlap,) * 3)
    return [[int(axis.start) for axis in s] for s in dense_patch_slices(size, ROI, interval)]


@torch.no_grad()
def run(dtype, x, overlap, mode):
    """Logits of `x`, evaluated in `dtype`."""
    return sliding_window_inference(
        x.to(dtype), ROI, 1, surrogate(dtype), overlap=overlap, mode=mode, sigma_scale=SIGMA
    )


def exact_map(size):
    """The Gaussian importance map in float64."""
    profiles = []
    for n in size:
        x = torch.arange(n, dtype=torch.float64) - (n - 1) / 2
        profiles.append(torch.exp(-(x**2) / (2 * (SIGMA * n) ** 2)))
    product = torch.einsum("i,j,k->ijk", *profiles)
    return product.clamp(min=max(product.min().item(), 1e-3))


if __name__ == "__main__":
    tensors, deviations, cases = {}, {}, {}
    for case, (shape, overlap, mode) in CASES.items():
        x = hashed_weights.uniform(case, shape)
        truth = run(torch.float64, x, overlap, mode)
        tensors[f"{case}.input"] = x
        tensors[f"{case}.output"] = truth.float()
        deviations[case] = fixture.deviation(run(torch.float32, x, overlap, mode), truth)
        cases[case] = {"overlap": overlap, "mode": mode, "windows": windows(shape, overlap)}
    for size in MAPS:
        key = f"map.gaussian.{'x'.join(map(str, size))}"
        tensors[key] = compute_importance_map(size, "gaussian", SIGMA)
        deviations[key] = fixture.deviation(tensors[key], exact_map(size))
    fixture.write(
        "n_sliding_window",
        tensors,
        {"roi": ROI, "sigma_scale": SIGMA, "cases": cases, "deviation": deviations},
    )
    for key, value in deviations.items():
        print(f"  {key}: {value}")
