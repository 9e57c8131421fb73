"""`n_v_net`: MONAI's VNet at full size, in train mode (batch statistics) and in eval mode."""

from monai.networks.nets import VNet

import fixture

CONFIG = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 3,
    "act": "elu",
    "dropout_prob_down": 0.0,
    "dropout_prob_up": [0.0, 0.0],
}


class NoDropout(VNet):
    """VNet whose two upper decoder blocks, which ignore the arguments, do not drop either."""

    def __init__(self):
        super().__init__(**CONFIG)
        for block in (self.up_tr256, self.up_tr128, self.up_tr64, self.up_tr32):
            block.dropout2.p = 0.0


if __name__ == "__main__":
    fixture.network("n_v_net", NoDropout, (2, 1, 32, 32, 32), 3, CONFIG, eval_too=True)
