"""`n_unet_plus_plus`: MONAI's BasicUNetPlusPlus with few channels, the last head.

At this input no ReLU sees a value closer to zero than 9e-6, several times what float32 rounds. In
`d_unetpp` one stands at 3.4e-6 (`upcat_2_2.convs.conv_1`): in float64, noise of 3e-7 on the input takes
it across, and moves `grad_input` by 8.2e-4 of its norm and one parameter's gradient by 4.4e-2.
"""

import math

import torch
from monai.networks.nets import BasicUNetPlusPlus
from torch.utils.flop_counter import FlopCounterMode

import fixture

SHAPE = (1, 1, 16, 16, 32)
CLASSES = 3

CONFIG = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": CLASSES,
    "features": [2, 2, 4, 8, 16, 2],
    "act": "RELU",
    "norm": "INSTANCE",
    "deep_supervision": False,
}


def flops():
    """Of one forward pass without the three heads that MONAI computes and does not return."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        BasicUNetPlusPlus(**CONFIG)(torch.zeros(SHAPE))
    head = 2 * CONFIG["features"][-1] * CLASSES * math.prod(SHAPE[2:])
    return counter.get_total_flops() - 3 * head


if __name__ == "__main__":
    fixture.network(
        "n_unet_plus_plus",
        lambda: BasicUNetPlusPlus(**CONFIG),
        SHAPE,
        CLASSES,
        CONFIG,
        flops=flops(),
    )
