use super::elementary::{exp, ln};

/// Voxels at a time: their probabilities stay in the first cache for a dozen classes.
pub(super) const BLOCK: usize = 512;

/// The softmax of a block of voxels of one sample, and their labels; reused from block to block.
pub(super) struct Softmax {
    /// `[class, BLOCK]`
    p: Vec<f32>,
    /// The label as a number, -1 where it is none of the classes.
    pub(super) label: [f32; BLOCK],
    /// The largest logit of a voxel.
    pub(super) largest: [f32; BLOCK],
    /// `ln sum_c exp(logit_c - largest)`.
    pub(super) ln_total: [f32; BLOCK],
    reciprocal: [f32; BLOCK],
}

impl Softmax {
    pub(super) fn new(classes: usize) -> Self {
        Self {
            p: vec![0.0; classes * BLOCK],
            label: [0.0; BLOCK],
            largest: [0.0; BLOCK],
            ln_total: [0.0; BLOCK],
            reciprocal: [0.0; BLOCK],
        }
    }

    /// The probabilities of class `class`, at the `len` voxels of the block.
    pub(super) fn p(&self, class: usize, len: usize) -> &[f32] {
        &self.p[class * BLOCK..][..len]
    }

    /// Loads the block of as many voxels as `labels` has; `logits(class)` are theirs.
    #[inline(always)]
    pub(super) fn load<'a>(&mut self, logits: impl Fn(usize) -> &'a [f32], labels: &[i64]) {
        let classes = self.p.len() / BLOCK;
        let len = labels.len();
        for (own, &label) in self.label.iter_mut().zip(labels) {
            let known = (0..classes as i64).contains(&label);
            *own = if known { label as f32 } else { -1.0 };
        }
        let (largest, total) = (&mut self.largest[..len], &mut self.reciprocal[..len]);
        largest.copy_from_slice(logits(0));
        for class in 1..classes {
            for (largest, &logit) in largest.iter_mut().zip(logits(class)) {
                *largest = if logit > *largest { logit } else { *largest };
            }
        }
        total.fill(0.0);
        for (class, p) in self.p.chunks_exact_mut(BLOCK).enumerate() {
            let voxels = p.iter_mut().zip(logits(class));
            for ((p, &logit), (largest, total)) in voxels.zip(largest.iter().zip(total.iter_mut()))
            {
                *p = exp(logit - largest);
                *total += *p;
            }
        }
        for (total, ln_total) in total.iter_mut().zip(&mut self.ln_total) {
            *ln_total = ln(*total);
            *total = 1.0 / *total;
        }
        for p in self.p.chunks_exact_mut(BLOCK) {
            for (p, reciprocal) in p.iter_mut().zip(total.iter()) {
                *p *= reciprocal;
            }
        }
    }
}
