"""`p_defences`: transforms of the `image` of `g_defense` by scipy, scikit-image and Pillow.

Needs numpy, scipy, scikit-image, Pillow and safetensors, none of the packages that the other scripts
need. Everything is computed in float64 on the float32 image and stored as float32.

- `median_3`, `median_z_3`, `median_z_5`: scipy.ndimage.median_filter, border continued.
- `slab_mean_2`, `slab_mean_3`: scipy.ndimage.uniform_filter1d along depth, border continued.
- `skip_slices_2`, `skip_slices_3`: numpy.interp between the kept slices.
- `histogram`: (scipy.stats.rankdata(method="min") - 1) / (voxels - 1) of each channel.
- `tv_0.05`, `tv_0.1`: skimage.restoration.denoise_tv_chambolle of each channel, 50 updates, no early
  stop (its last iteration only evaluates, hence 51).
- `jpeg_10`, `jpeg_50`, `jpeg_90`: each slice of `jpeg_input`, a smooth volume with edges, by Pillow
  (libjpeg-turbo, grey, default tables), in 0..1.
"""

import io
import json
import pathlib

import numpy as np
import PIL
import scipy
import skimage
from PIL import Image
from safetensors.numpy import load_file, save
from scipy import ndimage, stats
from skimage.restoration import denoise_tv_chambolle

FOLDER = pathlib.Path(__file__).resolve().parent.parent
IMAGE = load_file(FOLDER / "g_defense.safetensors")["image"].astype(np.float64)


def channels(f):
    """`f` of every channel."""
    return np.stack([f(channel) for channel in IMAGE])


def skipped(channel, step):
    """Every `step`-th slice, and linear interpolation between them."""
    z = np.arange(len(channel))
    return np.apply_along_axis(lambda line: np.interp(z, z[::step], line[::step]), 0, channel)


def smooth_volume():
    """Blobs, a ramp and an edge, of a size that is no multiple of JPEG's blocks."""
    z, y, x = np.meshgrid(np.arange(3), np.arange(45), np.arange(37), indexing="ij")
    blob = np.exp(-((y - 20 - z) ** 2 + (x - 15) ** 2) / 90.0)
    grain = 0.03 * np.sin(1.7 * x + 0.9 * z) * np.cos(1.3 * y)
    volume = 0.15 + 0.5 * blob + 0.004 * y + 0.2 * (x > 28) + grain
    return volume.astype(np.float32)


def jpeg(volume, quality):
    """Every slice through JPEG."""
    slices = []
    for grey in np.floor(volume.astype(np.float64).clip(0, 1) * 255 + 0.5).astype(np.uint8):
        file = io.BytesIO()
        Image.fromarray(grey).save(file, "JPEG", quality=quality)
        slices.append(np.asarray(Image.open(file)) / 255.0)
    return np.stack(slices)


def write(name, tensors, entries):
    """As in `fixture.py`, which needs torch."""
    data = save({key: np.ascontiguousarray(v, dtype=np.float32) for key, v in tensors.items()})
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = {key: json.dumps(value) for key, value in sorted(entries.items())}
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    path = FOLDER / f"{name}.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    smooth = smooth_volume()
    tensors = {
        "median_3": channels(lambda c: ndimage.median_filter(c, size=3, mode="nearest")),
        "jpeg_input": smooth,
    }
    for n in (3, 5):
        tensors[f"median_z_{n}"] = channels(
            lambda c: ndimage.median_filter(c, size=(n, 1, 1), mode="nearest")
        )
    for n in (2, 3):
        tensors[f"slab_mean_{n}"] = channels(
            lambda c: ndimage.uniform_filter1d(c, size=n, axis=0, mode="nearest")
        )
        tensors[f"skip_slices_{n}"] = channels(lambda c: skipped(c, n))
    tensors["histogram"] = channels(
        lambda c: (stats.rankdata(c, method="min").reshape(c.shape) - 1) / (c.size - 1)
    )
    for weight in (0.05, 0.1):
        tensors[f"tv_{weight}"] = channels(
            lambda c: denoise_tv_chambolle(c, weight=weight, eps=0, max_num_iter=51)
        )
    for quality in (10, 50, 90):
        tensors[f"jpeg_{quality}"] = jpeg(smooth, quality)
    versions = {
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-image": skimage.__version__,
        "pillow": PIL.__version__,
    }
    write("p_defences", tensors, {"versions": versions})
