//! Floating-point operations, layer by layer.

use super::{ConResNet, PreActivation};

impl ConResNet {
    /// Those of all convolutions, the heads of the residuals included, for one sample of `sizes`.
    pub(super) fn cost(&self, sizes: [usize; 3]) -> u64 {
        let halved = |down: &PreActivation, sizes| down.conv.spec().output_sizes(sizes);
        let full = sizes;
        let half = halved(&self.down1, full);
        let quarter = halved(&self.down2, half);
        let eighth = halved(&self.down3, quarter);
        let convs = [
            (&self.stem, full),
            (&self.down1.conv, full),
            (&self.down2.conv, half),
            (&self.down3.conv, quarter),
            (&self.bottleneck.conv, eighth),
            (&self.head_seg, full),
            (&self.head_res, full),
            (&self.head_res2, half),
            (&self.head_res4, quarter),
        ];
        let stages = [
            (&self.stage0, full),
            (&self.stage1, half),
            (&self.stage2, quarter),
            (&self.stage3, eighth),
            (&self.stage4, eighth),
        ];
        let levels = [
            (&self.level4, quarter),
            (&self.level2, half),
            (&self.level1, full),
        ];
        let convs = convs.iter().map(|(conv, n)| conv.spec().flops(*n));
        let blocks = stages
            .iter()
            .flat_map(|(stage, n)| stage.iter().map(|b| b.flops(*n)));
        let levels = levels.iter().map(|(level, n)| level.flops(*n));
        convs.chain(blocks).chain(levels).sum()
    }
}
