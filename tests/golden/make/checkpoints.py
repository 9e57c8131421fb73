"""PyTorch checkpoints as users have them, and `n_checkpoints`: what the networks in them compute.

    checkpoint_monai_unet.pt    the state dict of a MONAI UNet and nothing else
    checkpoint_training.pt      the same `state_dict`, `epoch`, `best_metric`, `optimizer`
    checkpoint_nnunet.pth       nnU-Net v2's layout (`network_weights`, `init_args`, ...)

The weights are hashed weights, so that a reader can also be checked value by value. nnU-Net's state
dict holds every encoder tensor again under `decoder.encoder.` and every layer's again under
`all_modules.`; the duplicates share storage. As in real files the logging and `_best_ema` hold
NumPy scalars, and `init_args` a `torch.device`.
"""

import numpy as np
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from monai.networks.nets import UNet

import fixture
import hashed_weights
from nnunet import build

CLASSES = 3
UNET = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": CLASSES,
    "channels": [2, 4],
    "strides": [2],
    "num_res_units": 1,
    "act": "RELU",
    "norm": "INSTANCE",
}
NNUNET = {
    "n_stages": 2,
    "features_per_stage": [2, 4],
    "kernel_sizes": [[1, 3, 3], [3, 3, 3]],
    "strides": [[1, 1, 1], [1, 2, 2]],
    "n_conv_per_stage": [2, 2],
    "n_conv_per_stage_decoder": [2],
}
SHAPE = (1, 1, 6, 8, 12)


def unet():
    """The MONAI network."""
    return UNet(**UNET)


def nnunet():
    """nnU-Net's network."""
    return build(PlainConvUNet, NNUNET, 1, CLASSES)


def with_optimiser(make, optimiser):
    """A network with hashed weights and the state of its optimiser after one step."""
    network = hashed_weights.fill(make())
    optimiser = optimiser(network.parameters())
    output = network(hashed_weights.uniform("input", SHAPE))
    output = output[0] if isinstance(output, list) else output
    labels = hashed_weights.label("label", (SHAPE[0], *SHAPE[2:]), CLASSES)
    fixture.dice_ce(output, labels).backward()
    optimiser.step()
    return hashed_weights.fill(network), optimiser.state_dict()


def nnunet_checkpoint():
    """The dictionary nnU-Net v2's trainer saves."""
    network, optimiser = with_optimiser(
        nnunet,
        lambda p: torch.optim.SGD(p, lr=1e-2, weight_decay=3e-5, momentum=0.99, nesterov=True),
    )
    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": NNUNET
        | {
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(SHAPE[2:]),
        "spacing": [2.5, 1.0, 1.0],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "architecture": architecture,
        "batch_dice": False,
    }
    return {
        "network_weights": network.state_dict(),
        "optimizer_state": optimiser,
        "grad_scaler_state": None,
        "logging": {
            "mean_fg_dice": [np.float64(0.25), np.float64(0.5)],
            "train_losses": [np.float32(0.75), np.float32(0.5)],
            "lrs": [0.01, 0.00999],
        },
        "_best_ema": np.float64(0.275),
        "current_epoch": 2,
        "init_args": {
            "plans": {
                "dataset_name": "Dataset001_Golden",
                "plans_name": "nnUNetPlans",
                "transpose_forward": [0, 1, 2],
                "transpose_backward": [0, 1, 2],
                "configurations": {"3d_fullres": configuration},
            },
            "configuration": "3d_fullres",
            "fold": 0,
            "dataset_json": {
                "channel_names": {"0": "MRI"},
                "labels": {"background": 0, "organ": 1, "lesion": 2},
                "numTraining": 2,
                "file_ending": ".nii.gz",
            },
            "device": torch.device("cpu"),
        },
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }


def outputs(name, make):
    """Input, truth and its distance from float32 for one network in eval mode."""
    x = hashed_weights.uniform(f"{name}.input", SHAPE)
    found = []
    for dtype in (torch.float32, torch.float64):
        with torch.no_grad():
            output = hashed_weights.fill(make().to(dtype)).eval()(x.to(dtype))
        found.append(output[0] if isinstance(output, list) else output)
    single, double = found
    tensors = {f"{name}.input": x, f"{name}.output": double.float()}
    return tensors, {f"{name}.output": fixture.deviation(single, double)}


if __name__ == "__main__":
    network, optimiser = with_optimiser(unet, lambda p: torch.optim.Adam(p, lr=5e-4))
    training = {
        "state_dict": network.state_dict(),
        "epoch": 3,
        "best_metric": 0.5,
        "optimizer": optimiser,
    }
    for name, content in (
        ("checkpoint_monai_unet.pt", network.state_dict()),
        ("checkpoint_training.pt", training),
        ("checkpoint_nnunet.pth", nnunet_checkpoint()),
    ):
        torch.save(content, fixture.FOLDER / name)
        print(f"{name}: {(fixture.FOLDER / name).stat().st_size} bytes")

    monai_tensors, monai_deviation = outputs("monai_unet", unet)
    nnunet_tensors, nnunet_deviation = outputs("nnunet", nnunet)
    deviations = monai_deviation | nnunet_deviation
    config = {"monai_unet": UNET, "nnunet": NNUNET}
    fixture.write(
        "n_checkpoints", monai_tensors | nnunet_tensors, {"config": config, "deviation": deviations}
    )
    for key, value in deviations.items():
        print(f"  {key}: {value}")
