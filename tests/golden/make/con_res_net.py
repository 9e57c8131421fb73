"""`n_con_res_net`: a context-residual network (arXiv 2011.14155), written from the paper's notes.

Differences from the paper: `classes` softmax classes instead of sigmoid regions, and a proper
binary cross-entropy on the residual logits.

Building blocks, widths `w0, w1, w2, w3` (32, 64, 128, 256 in the paper):

    conv3   3x3x3 convolution, no bias, padding = dilation, weight-standardised: per output channel
            `(v - mean) / (std + 1e-5)`, `std` the population standard deviation
    GN      group norm, 8 groups, affine, epsilon 1e-5
    pre     conv3(ReLU(GN(x)));                         names `<pre>.norm.*`, `<pre>.conv.weight`
    block   x + pre(pre(x));                            names `<block>.pre1.*`, `<block>.pre2.*`
    up      trilinear interpolation, `align_corners=True`, to a given size
    D(u)    `D_z = |u_z - u_{z-1}|` along the depth, `D_0 = 0`

Layers, with their parameters' prefixes; `c` input channels:

    x0 = stem(x)                     stem.weight        conv3 c -> w0
    x1 = stage0(x0)                  stage0.0           1 block, w0
    x2 = stage1(down1(x1))           down1, stage1.0-1  pre w0 -> w1, stride 2; 2 blocks, w1
    x4 = stage2(down2(x2))           down2, stage2.0-1  pre w1 -> w2, stride 2; 2 blocks, w2
    x8 = stage3(down3(x4))           down3, stage3.0-1  pre w2 -> w3, stride 2; 2 blocks, w3
    x8 = stage4(x8)                  stage4.0-1         2 blocks, w3, dilation 2
    f  = bottleneck(x8)              bottleneck         pre w3 -> w2, Dropout3d before its conv

    r4 = up(D(x) -> size of x4)
    (s4, o4) = level4(f,  x4, r4)    level4             w2 -> w1
    (s2, o2) = level2(s4, x2, o4)    level2             w1 -> w0
    (s1, o1) = level1(s2, x1, o2)    level1             w0 -> w0

    level(s, skip, o), both inputs brought to the size of `skip` by `up`:
        A = seg(up(s) + skip)        <level>.seg        pre
        R = context(D(sigmoid(A)))   <level>.context.weight   1x1x1, no bias, not standardised
        B = residual_in(up(o))       level4: .residual_in.weight  conv3 c -> w1 of the raw r4
                                     level2: .residual_in         pre w1 -> w0
                                     level1: nothing, B = up(o)
        O = residual_out(B + R)      <level>.residual_out     pre
        returns (A * (1 + sigmoid(O)), O)

    outputs, each a 1x1x1 convolution with bias to `classes`, then `up` to the size of `x`:
        seg = head_seg(s1), res = head_res(o1), res2 = head_res2(o2), res4 = head_res4(o4)

Training loss, labels `y`:

    q_{b,c,z} = 1[onehot_{b,c,z} != onehot_{b,c,z-1}], q_{b,c,0} = 0, every class c, background too
    p_{b,c}   = max(ln(N / (N_pos + 1)), 1e-5), N = depth * height * width, N_pos = sum of q_{b,c}
    W(r)      = mean over b, c and voxels of p q softplus(-r) + (1 - q) softplus(r)
    loss      = DiceCE(seg, y) + W(res) + (W(res2) + W(res4)) / 2

The dropout of the bottleneck (probability 0.1 in the paper) is off in the fixture.
"""

import torch
from torch import nn
from torch.nn import functional as F

import fixture

CONFIG = {"in_channels": 2, "classes": 3, "widths": [8, 16, 32, 64], "groups": 8, "dropout": 0.0}


def slice_difference(u):
    """`|u_z - u_{z-1}|`, zero in the first slice."""
    return F.pad((u[:, :, 1:] - u[:, :, :-1]).abs(), (0, 0, 0, 0, 1, 0))


def resize(x, like):
    """Trilinear interpolation to the spatial size of `like`."""
    return F.interpolate(x, like.shape[2:], mode="trilinear", align_corners=True)


class Conv3(nn.Conv3d):
    """Weight-standardised 3x3x3 convolution without bias."""

    def __init__(self, inputs, outputs, stride=1, dilation=1):
        super().__init__(inputs, outputs, 3, stride, dilation, dilation, bias=False)

    def forward(self, x):
        over = (1, 2, 3, 4)
        centred = self.weight - self.weight.mean(over, keepdim=True)
        std = centred.square().mean(over, keepdim=True).sqrt()
        weight = centred / (std + 1e-5)
        return F.conv3d(x, weight, None, self.stride, self.padding, self.dilation)


class Pre(nn.Module):
    """`conv3(dropout(ReLU(GN(x))))`."""

    def __init__(self, inputs, outputs, groups, stride=1, dilation=1, dropout=0.0):
        super().__init__()
        self.norm = nn.GroupNorm(groups, inputs)
        self.dropout = nn.Dropout3d(dropout)
        self.conv = Conv3(inputs, outputs, stride, dilation)

    def forward(self, x):
        return self.conv(self.dropout(F.relu(self.norm(x))))


class Block(nn.Module):
    """Residual block of two `Pre`."""

    def __init__(self, width, groups, dilation=1):
        super().__init__()
        self.pre1 = Pre(width, width, groups, dilation=dilation)
        self.pre2 = Pre(width, width, groups, dilation=dilation)

    def forward(self, x):
        return x + self.pre2(self.pre1(x))


class Level(nn.Module):
    """One decoder level: segmentation and residual features from the level below."""

    def __init__(self, inputs, outputs, groups, residual_in):
        super().__init__()
        self.seg = Pre(inputs, outputs, groups)
        self.context = nn.Conv3d(outputs, outputs, 1, bias=False)
        self.residual_in = residual_in
        self.residual_out = Pre(outputs, outputs, groups)

    def forward(self, below, skip, residual):
        a = self.seg(resize(below, skip) + skip)
        context = self.context(slice_difference(a.sigmoid()))
        o = self.residual_out(self.residual_in(resize(residual, skip)) + context)
        return a * (1 + o.sigmoid()), o


class ConResNet(nn.Module):
    """The network of the module's description; returns `seg, res, res2, res4`."""

    def __init__(self, in_channels, classes, widths, groups, dropout):
        super().__init__()
        w0, w1, w2, w3 = widths

        def stage(width, blocks, dilation=1):
            return nn.Sequential(*(Block(width, groups, dilation) for _ in range(blocks)))

        self.stem = Conv3(in_channels, w0)
        self.stage0 = stage(w0, 1)
        self.down1 = Pre(w0, w1, groups, stride=2)
        self.stage1 = stage(w1, 2)
        self.down2 = Pre(w1, w2, groups, stride=2)
        self.stage2 = stage(w2, 2)
        self.down3 = Pre(w2, w3, groups, stride=2)
        self.stage3 = stage(w3, 2)
        self.stage4 = stage(w3, 2, dilation=2)
        self.bottleneck = Pre(w3, w2, groups, dropout=dropout)
        self.level4 = Level(w2, w1, groups, Conv3(in_channels, w1))
        self.level2 = Level(w1, w0, groups, Pre(w1, w0, groups))
        self.level1 = Level(w0, w0, groups, nn.Identity())
        self.head_seg = nn.Conv3d(w0, classes, 1)
        self.head_res = nn.Conv3d(w0, classes, 1)
        self.head_res2 = nn.Conv3d(w0, classes, 1)
        self.head_res4 = nn.Conv3d(w1, classes, 1)

    def forward(self, x):
        x1 = self.stage0(self.stem(x))
        x2 = self.stage1(self.down1(x1))
        x4 = self.stage2(self.down2(x2))
        x8 = self.stage4(self.stage3(self.down3(x4)))
        s4, o4 = self.level4(self.bottleneck(x8), x4, slice_difference(x))
        s2, o2 = self.level2(s4, x2, o4)
        s1, o1 = self.level1(s2, x1, o2)
        residuals = (self.head_res(o1), self.head_res2(o2), self.head_res4(o4))
        return self.head_seg(s1), *(resize(r, x) for r in residuals)


def weighted_bce(logits, q):
    """`W` of the module's description."""
    voxels = q[0, 0].numel()
    positive = q.sum((2, 3, 4), keepdim=True)
    weight = (voxels / (positive + 1)).log().clamp(min=1e-5)
    return (weight * q * F.softplus(-logits) + (1 - q) * F.softplus(logits)).mean()


def training_loss(outputs, labels):
    """`loss`, the DiceCE of `seg`, and `training_loss`."""
    seg, res, res2, res4 = outputs
    onehot = F.one_hot(labels, seg.shape[1]).movedim(-1, 1).to(seg.dtype)
    q = slice_difference(onehot)
    dice_ce = fixture.dice_ce(seg, labels)
    residual = weighted_bce(res, q) + (weighted_bce(res2, q) + weighted_bce(res4, q)) / 2
    return {"loss": dice_ce, "training_loss": dice_ce + residual}


if __name__ == "__main__":
    fixture.network(
        "n_con_res_net",
        lambda: ConResNet(**CONFIG),
        (1, 2, 16, 24, 24),
        3,
        CONFIG,
        loss=training_loss,
        heads=["output: seg", "output1: res", "output2: res2", "output3: res4"],
    )
