"""`n_plain_conv_unet`, `n_residual_encoder_unet`: nnU-Net v2's networks.

The arguments are those of nnU-Net v2's plans (`network_arch_init_kwargs`): convolutions with bias,
affine instance norm, LeakyReLU with slope 0.01, one head per decoder stage, largest first.
The loss is that of the full-size head alone, so the other heads' weights have no gradient.
"""

from functools import partial

from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn

import fixture

COMMON = {
    "n_stages": 4,
    "features_per_stage": [8, 16, 32, 32],
    "kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]],
    "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2], [2, 2, 2]],
}
PLAIN = COMMON | {"n_conv_per_stage": [2, 2, 2, 2], "n_conv_per_stage_decoder": [2, 2, 2]}
RESIDUAL = COMMON | {"n_blocks_per_stage": [1, 3, 4, 6], "n_conv_per_stage_decoder": [1, 1, 1]}


def build(kind, config, in_channels, classes):
    """nnU-Net's network of `kind` for a plan."""
    return kind(
        input_channels=in_channels,
        num_classes=classes,
        conv_op=nn.Conv3d,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=True,
        **config,
    )


def aliases(network):
    """Keys of the state dict that hold a parameter already stored under its first name."""
    first = {id(p): name for name, p in network.named_parameters()}
    every = network.named_parameters(remove_duplicate=False)
    return {name: first[id(p)] for name, p in every if name != first[id(p)]}


if __name__ == "__main__":
    for name, kind, config in (
        ("n_plain_conv_unet", PlainConvUNet, PLAIN),
        ("n_residual_encoder_unet", ResidualEncoderUNet, RESIDUAL),
    ):
        make = partial(build, kind, config, 2, 3)
        fixture.network(name, make, (1, 2, 12, 24, 40), 3, config, aliases=aliases(make()))
