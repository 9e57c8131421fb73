"""`n_unet_plus_plus`: MONAI's BasicUNetPlusPlus with few channels, the last head.

At this input no ReLU sees a value closer to zero than 9e-6, several times what float32 rounds. In
`d_unetpp` one stands at 3.4e-6 (`upcat_2_2.convs.conv_1`): in float64, noise of 3e-7 on the input takes
it across, and moves `grad_input` by 8.2e-4 of its norm and one parameter's gradient by 4.4e-2.
"""

from monai.networks.nets import BasicUNetPlusPlus

import fixture

CONFIG = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 3,
    "features": [2, 2, 4, 8, 16, 2],
    "act": "RELU",
    "norm": "INSTANCE",
    "deep_supervision": False,
}

if __name__ == "__main__":
    fixture.network(
        "n_unet_plus_plus", lambda: BasicUNetPlusPlus(**CONFIG), (1, 1, 16, 16, 32), 3, CONFIG
    )
