"""The small residual U-Net of `d_unet_surrogate_c1`, with the weights stored there."""

from monai.networks.nets import UNet
from safetensors.torch import load_file

import fixture


def surrogate(dtype):
    """The network in `dtype`, weights as stored (float32)."""
    network = UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=3,
        channels=[4, 8, 16],
        strides=[2, 2],
        num_res_units=2,
        act="RELU",
        norm="INSTANCE",
    )
    stored = load_file(fixture.FOLDER / "d_unet_surrogate_c1.safetensors")
    network.load_state_dict({k[2:]: v for k, v in stored.items() if k.startswith("w.")})
    return network.to(dtype)
