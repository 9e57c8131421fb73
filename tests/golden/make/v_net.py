"""`n_v_net`: MONAI's VNet with a quarter of its channels, in train mode (batch statistics) and in
eval mode.

MONAI fixes the channels; here its own blocks are put together with others, in the same order and
under the same names. The full size is in `n_sizes.json`.
"""

from monai.networks.nets import VNet, vnet

import fixture

CONFIG = {"in_channels": 2, "out_channels": 3, "act": "elu", "width": 4, "dropout": 0.0}


class Narrow(VNet):
    """VNet that starts with `width` channels instead of 16, and does not drop."""

    def __init__(self, in_channels, out_channels, act, width, dropout):
        super().__init__(in_channels=1, out_channels=out_channels, act=act)
        w, drop = width, (dropout, dropout)
        self.in_tr = vnet.InputTransition(3, in_channels, w, act)
        self.down_tr32 = vnet.DownTransition(3, w, 1, act)
        self.down_tr64 = vnet.DownTransition(3, 2 * w, 2, act)
        self.down_tr128 = vnet.DownTransition(3, 4 * w, 3, act, dropout_prob=dropout)
        self.down_tr256 = vnet.DownTransition(3, 8 * w, 2, act, dropout_prob=dropout)
        self.up_tr256 = vnet.UpTransition(3, 16 * w, 16 * w, 2, act, dropout_prob=drop)
        self.up_tr128 = vnet.UpTransition(3, 16 * w, 8 * w, 2, act, dropout_prob=drop)
        self.up_tr64 = vnet.UpTransition(3, 8 * w, 4 * w, 1, act, dropout_prob=(None, dropout))
        self.up_tr32 = vnet.UpTransition(3, 4 * w, 2 * w, 1, act, dropout_prob=(None, dropout))
        self.out_tr = vnet.OutputTransition(3, 2 * w, out_channels, act)


if __name__ == "__main__":
    fixture.network(
        "n_v_net", lambda: Narrow(**CONFIG), (2, 2, 32, 16, 32), 3, CONFIG, eval_too=True
    )
