use std::collections::VecDeque;

use burn::tensor::Device;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::orders::Order;
use crate::{Batch, PerturbError, SurrogateConfig, TrainingVolume, VolumeSource, Window};

/// Patches out of three that lie on a label, in surrogate steps.
const FOREGROUND: u32 = 2;

/// Patches with their places.
pub(super) struct Windows {
    pub(super) batch: Batch,
    pub(super) places: Vec<(usize, Window)>,
}

/// What an [`Order`] becomes: a batch for a surrogate step, or the windows of a case batch by batch and then its end.
pub(super) enum Job {
    Windows(Box<Windows>),
    /// A case is swept.
    Swept {
        case: usize,
        /// How many there were.
        windows: usize,
    },
}

/// Reads what is ordered, a batch at a time.
pub(super) struct Reader<'a, I> {
    source: &'a mut dyn VolumeSource,
    orders: I,
    shape: [usize; 3],
    batch: usize,
    channels: usize,
    classes: usize,
    device: Device,
    /// What is left of the case that is swept.
    pending: VecDeque<Vec<(usize, Window)>>,
    swept: Option<Job>,
}

impl<'a, I> Reader<'a, I> {
    pub(super) fn new(
        source: &'a mut dyn VolumeSource,
        orders: I,
        config: &SurrogateConfig,
        [channels, classes]: [usize; 2],
        device: &Device,
    ) -> Self {
        Self {
            source,
            orders,
            shape: config.patch,
            batch: config.batch,
            channels,
            classes,
            device: device.clone(),
            pending: VecDeque::new(),
            swept: None,
        }
    }

    fn patches(&mut self, draws: &[(usize, u64)]) -> Result<Windows, PerturbError> {
        let mut places = Vec::with_capacity(draws.len());
        for &(case, seed) in draws {
            let shape = self.shape;
            let volume = self.volume(case)?;
            let start = volume.place(shape, seed, FOREGROUND);
            places.push((case, window(volume, start, shape)));
        }
        self.read(places)
    }

    fn sweep(&mut self, case: usize, seed: u64) -> Result<(), PerturbError> {
        let (shape, batch) = (self.shape, self.batch);
        let windows = covering(self.volume(case)?, shape, seed);
        let places: Vec<_> = windows.into_iter().map(|window| (case, window)).collect();
        self.pending = places.chunks(batch).map(<[_]>::to_vec).collect();
        self.swept = Some(Job::Swept {
            case,
            windows: places.len(),
        });
        Ok(())
    }

    fn read(&mut self, places: Vec<(usize, Window)>) -> Result<Windows, PerturbError> {
        let (shape, channels, classes) = (self.shape, self.channels, self.classes);
        let device = self.device.clone();
        let patches = places
            .iter()
            .map(|&(case, window)| Ok((case, self.volume(case)?.window(window.start, shape))));
        let batch = Batch::collect(patches, shape, channels, classes, &device)?;
        Ok(Windows { batch, places })
    }

    fn volume(&mut self, case: usize) -> Result<&TrainingVolume, PerturbError> {
        let volume = self.source.volume(case);
        volume.map_err(|source| PerturbError::Source { case, source })
    }
}

impl<I: Iterator<Item = Order>> Iterator for Reader<'_, I> {
    type Item = Result<Job, PerturbError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(places) = self.pending.pop_front() {
            return Some(self.read(places).map(Box::new).map(Job::Windows));
        }
        if let Some(swept) = self.swept.take() {
            return Some(Ok(swept));
        }
        match self.orders.next()? {
            Order::Surrogate(draws) => Some(self.patches(&draws).map(Box::new).map(Job::Windows)),
            Order::Sweep((case, seed)) => match self.sweep(case, seed) {
                Ok(()) => self.next(),
                Err(error) => Some(Err(error)),
            },
        }
    }
}

fn window(volume: &TrainingVolume, start: [i64; 3], shape: [usize; 3]) -> Window {
    Window {
        volume: volume.shape,
        start,
        shape,
    }
}

/// Windows of `shape` that cover the support, in C order. The seed moves their seams; those at the ends are moved inside, so that a
/// network sees no border that it was not trained with, and a volume shorter than a window is centred in it.
fn covering(volume: &TrainingVolume, shape: [usize; 3], seed: u64) -> Vec<Window> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let starts: [Vec<i64>; 3] = std::array::from_fn(|axis| {
        let (size, slack) = (
            shape[axis] as i64,
            volume.shape[axis] as i64 - shape[axis] as i64,
        );
        if slack <= 0 {
            return vec![slack / 2];
        }
        let first = -rng.random_range(0..size);
        let mut starts: Vec<i64> = (0..)
            .map(|i| first + i * size)
            .take_while(|&start| start < slack + size)
            .map(|start| start.clamp(0, slack))
            .collect();
        starts.dedup();
        starts
    });
    let [depths, heights, widths] = &starts;
    depths
        .iter()
        .flat_map(|&z| heights.iter().map(move |&y| (z, y)))
        .flat_map(|(z, y)| {
            widths
                .iter()
                .map(move |&x| window(volume, [z, y, x], shape))
        })
        .filter(|window| {
            let mut runs = window.runs();
            runs.any(|run| {
                let support = &volume.support[run.volume..run.volume + run.length];
                support.iter().any(|&share| share > 0.0)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_the_support_at_every_seed_and_leave_the_rest() {
        let shape = [7, 20, 13];
        let voxels: usize = shape.iter().product();
        let supported = |i: usize| i / 13 % 20 < 9 && i % 13 > 4;
        let volume = TrainingVolume {
            image: vec![0.5; voxels],
            labels: vec![0; voxels],
            support: (0..voxels)
                .map(|i| if supported(i) { 0.3 } else { 0.0 })
                .collect(),
            channels: 1,
            shape,
        };
        let mut places = std::collections::BTreeSet::new();
        for seed in 0..30 {
            let windows = covering(&volume, [8, 8, 4], seed);
            let mut covered = vec![false; voxels];
            for window in &windows {
                assert_eq!(window.start[0], 0);
                assert!((0..=12).contains(&window.start[1]) && window.start[2] <= 9);
                places.insert(window.start);
                for run in window.runs() {
                    covered[run.volume..run.volume + run.length].fill(true);
                }
            }
            assert!((0..voxels).all(|i| covered[i] || !supported(i)), "{seed}");
            assert!(windows.len() <= 3 * 4, "{}", windows.len());
        }
        assert!(places.len() > 40, "seams move");
        let empty = TrainingVolume {
            support: vec![0.0; voxels],
            ..volume
        };
        assert!(covering(&empty, [8, 8, 4], 1).is_empty());
    }
}
