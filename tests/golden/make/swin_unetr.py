"""`n_swin_unetr`: MONAI's SwinUNETR (first version of the patch merging), no dropout.

At this input the four stages see 32x16x16, 16x8x8, 8x4x4 and 4x2x2 tokens: the first two are padded
to whole windows of 7 and shifted in every axis, the third is shifted in depth only (the window
shrinks to the axis where the axis is shorter), the last has a single window.
"""

from monai.networks.nets import SwinUNETR

import fixture

CONFIG = {
    "in_channels": 1,
    "out_channels": 3,
    "patch_size": 2,
    "depths": [2, 2, 2, 2],
    "num_heads": [3, 6, 12, 24],
    "window_size": 7,
    "feature_size": 12,
    "norm_name": "instance",
    "normalize": True,
}

if __name__ == "__main__":
    fixture.network(
        "n_swin_unetr", lambda: SwinUNETR(**CONFIG), (1, 1, 64, 32, 32), 3, CONFIG
    )
