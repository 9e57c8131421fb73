"""`n_sizes.json`: learnable parameters and FLOPs of the networks at their usual sizes.

FLOPs are those of one forward pass as `torch.utils.flop_counter` counts them: convolutions, matrix
products and attention, 2 per multiply-add; norms, activations and interpolation are not counted.
The networks live on the `meta` device, so nothing is computed.
"""

import json

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from monai.networks import nets
from torch.utils.flop_counter import FlopCounterMode

import fixture
from con_res_net import ConResNet
from nnunet import build

CUBE = (1, 1, 96, 96, 96)
IN_OUT = {"in_channels": 1, "out_channels": 3}
NORM = {"act": "RELU", "norm": "INSTANCE"}
UNET = {
    "spatial_dims": 3,
    "channels": [32, 64, 128, 256, 512],
    "strides": [2, 2, 2, 2],
    "num_res_units": 2,
    **NORM,
}
UNET_NARROW = UNET | {"channels": [8, 16, 32], "strides": [2, 2]}
UNET_PLUS_PLUS = {"spatial_dims": 3, "features": [32, 32, 64, 128, 256, 32], **NORM}
ATTENTION_UNET = {key: UNET[key] for key in ("spatial_dims", "channels", "strides")}
UNETR = {
    "img_size": [96, 96, 96],
    "feature_size": 16,
    "hidden_size": 768,
    "mlp_dim": 3072,
    "num_heads": 12,
    "proj_type": "conv",
    "norm_name": "instance",
}
SEG_RES_NET = {"init_filters": 32, "blocks_down": [1, 2, 2, 4], "blocks_up": [1, 1, 1]}
SWIN_UNETR = {"feature_size": 48}
CON_RES_NET = {"widths": [32, 64, 128, 256], "groups": 8, "dropout": 0.1}


def nnunet_plan(stages, residual):
    """nnU-Net's plan for isotropic spacing; its planner gives a 96^3 patch five stages."""
    config = {
        "n_stages": stages,
        "features_per_stage": [32, 64, 128, 256, 320, 320][:stages],
        "kernel_sizes": [[3, 3, 3]] * stages,
        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
        "n_conv_per_stage_decoder": [1 if residual else 2] * (stages - 1),
    }
    if residual:
        return config | {"n_blocks_per_stage": [1, 3, 4, 6, 6, 6][:stages]}
    return config | {"n_conv_per_stage": [2] * stages}


def monai(kind, config, out_channels=3):
    """Builder and configuration of a MONAI network with one input channel."""
    config = IN_OUT | {"out_channels": out_channels} | config
    return lambda: kind(**config), config, CUBE


def nnunet(kind, stages):
    """Builder and configuration of one of nnU-Net's networks."""
    config = nnunet_plan(stages, kind is ResidualEncoderUNet)
    return lambda: build(kind, config, 1, 3), config | IN_OUT, CUBE


def con_res_net(in_channels, shape):
    """Builder and configuration of the context-residual network."""
    config = CON_RES_NET | {"in_channels": in_channels, "classes": 3}
    return lambda: ConResNet(**config), config, shape


NETWORKS = {
    "residual_unet": monai(nets.UNet, UNET),
    "residual_unet_narrow": monai(nets.UNet, UNET_NARROW),
    "unet_plus_plus": monai(nets.BasicUNetPlusPlus, UNET_PLUS_PLUS),
    "attention_unet": monai(nets.AttentionUnet, ATTENTION_UNET),
    "unetr": monai(nets.UNETR, UNETR),
    "unetr_out14": monai(nets.UNETR, UNETR, 14),
    "v_net": monai(nets.VNet, {}),
    "seg_res_net": monai(nets.SegResNet, SEG_RES_NET),
    "swin_unetr": monai(nets.SwinUNETR, SWIN_UNETR),
    "swin_unetr_out14": monai(nets.SwinUNETR, SWIN_UNETR, 14),
    "plain_conv_unet": nnunet(PlainConvUNet, 5),
    "plain_conv_unet_6_stages": nnunet(PlainConvUNet, 6),
    "residual_encoder_unet": nnunet(ResidualEncoderUNet, 5),
    "residual_encoder_unet_6_stages": nnunet(ResidualEncoderUNet, 6),
    "con_res_net": con_res_net(1, CUBE),
    "con_res_net_published_patch": con_res_net(4, (1, 4, 80, 160, 160)),
}


def measure(make, config, shape):
    """Learnable parameters and FLOPs of one network."""
    network = make().eval().to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.empty(shape, device="meta"))
    return {
        "config": config,
        "input_shape": shape,
        "parameters": sum(p.numel() for p in network.parameters()),
        "unused_parameters": unused(network),
        "flops": counter.get_total_flops(),
    }


def unused(network):
    """Parameters that MONAI's transformer blocks create and never use."""
    return sum(p.numel() for n, p in network.named_parameters() if "norm_cross_attn" in n)


if __name__ == "__main__":
    sizes = {name: measure(*entry) for name, entry in NETWORKS.items()}
    for name, size in sizes.items():
        print(f"{name}: {size['parameters']:,} parameters, {size['flops'] / 1e9:.2f} GFLOP")
    text = json.dumps({"versions": fixture.versions(), **sizes}, indent=1)
    (fixture.FOLDER / "n_sizes.json").write_text(text + "\n")
