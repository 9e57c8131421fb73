use std::collections::VecDeque;

use burn::tensor::Device;

use super::cover::{Place, covering};
use super::orders::Order;
use crate::patch::FOREGROUND;
use crate::{Batch, PerturbError, SurrogateConfig, TrainingVolume, VolumeSource, Window};

/// Patches with their places.
pub(super) struct Windows {
    pub(super) batch: Batch,
    pub(super) places: Vec<Place>,
}

impl Windows {
    /// How many of so many values each window has.
    pub(super) fn each(&self, values: usize) -> usize {
        (values / self.places.len().max(1)).max(1)
    }
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
    /// Of the network.
    stride: [usize; 3],
    batch: usize,
    channels: usize,
    classes: usize,
    device: Device,
    /// What is left of the case that is swept.
    pending: VecDeque<Vec<Place>>,
    swept: Option<Job>,
}

impl<'a, I> Reader<'a, I> {
    pub(super) fn new(
        source: &'a mut dyn VolumeSource,
        orders: I,
        config: &SurrogateConfig,
        stride: [usize; 3],
        [channels, classes]: [usize; 2],
        device: &Device,
    ) -> Self {
        Self {
            source,
            orders,
            shape: config.patch,
            stride,
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
            let window = Window {
                volume: volume.shape,
                start,
                shape,
            };
            places.push(Place::whole(case, window));
        }
        self.read(places)
    }

    fn sweep(&mut self, case: usize, seed: u64) -> Result<(), PerturbError> {
        let (shape, stride, batch) = (self.shape, self.stride, self.batch);
        let places = covering(case, self.volume(case)?, shape, stride, seed);
        self.pending = places.chunks(batch).map(<[_]>::to_vec).collect();
        self.swept = Some(Job::Swept {
            case,
            windows: places.len(),
        });
        Ok(())
    }

    fn read(&mut self, places: Vec<Place>) -> Result<Windows, PerturbError> {
        let (shape, channels, classes) = (self.shape, self.channels, self.classes);
        let device = self.device.clone();
        let patches = places.iter().map(|Place { case, window, .. }| {
            let volume = self.volume(*case)?;
            Ok((*case, volume.window(window.start, shape)))
        });
        let batch = Batch::collect(patches, shape, channels, classes, &device)?;
        Ok(Windows { batch, places })
    }

    fn volume(&mut self, case: usize) -> Result<&TrainingVolume, PerturbError> {
        let volume = self.source.volume(case);
        let volume = volume.map_err(|source| PerturbError::Source { case, source })?;
        volume.check(case)?;
        Ok(volume)
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
