"""`n_seg_res_net`: MONAI's SegResNet with its default blocks and group norm."""

from monai.networks.nets import SegResNet

import fixture

CONFIG = {
    "spatial_dims": 3,
    "init_filters": 8,
    "in_channels": 1,
    "out_channels": 3,
    "dropout_prob": None,
    "norm": ["GROUP", {"num_groups": 8}],
    "blocks_down": [1, 2, 2, 4],
    "blocks_up": [1, 1, 1],
    "upsample_mode": "nontrainable",
}

if __name__ == "__main__":
    fixture.network(
        "n_seg_res_net", lambda: SegResNet(**CONFIG), (1, 1, 24, 16, 32), 3, CONFIG
    )
