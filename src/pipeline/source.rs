use std::{collections::VecDeque, fmt};

use crate::perturb::{Patch, PatchSource, SourceError, TrainingVolume, VolumeSource};

/// Volumes that are read when they are needed, with the last ones kept in a bounded memory.
pub struct CachedSource<'a> {
    count: usize,
    load: Box<dyn FnMut(usize) -> Result<TrainingVolume, SourceError> + Send + 'a>,
    cache: VecDeque<(usize, TrainingVolume)>,
    limit: usize,
    foreground: u32,
}

/// What it holds, without the voxels.
impl fmt::Debug for CachedSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cached: Vec<usize> = self.cache.iter().map(|(case, _)| *case).collect();
        let mut source = f.debug_struct("CachedSource");
        source.field("count", &self.count).field("cached", &cached);
        source.field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<'a> CachedSource<'a> {
    /// At most this many bytes of volumes are kept, whatever the number of cases. Small on purpose:
    /// a case is read again in milliseconds, and memory must not grow with the dataset.
    pub const CACHE_BYTES: usize = 16 << 20;

    /// A source of `count` cases that `load` reads by index. A volume that [`TrainingVolume::check`] refuses is an error of the source.
    pub fn new(
        count: usize,
        load: impl FnMut(usize) -> Result<TrainingVolume, SourceError> + Send + 'a,
    ) -> Self {
        Self {
            count,
            load: Box::new(load),
            cache: VecDeque::new(),
            limit: Self::CACHE_BYTES,
            foreground: 2,
        }
    }

    /// Changes the bytes that may be kept; one volume is always kept.
    #[must_use]
    pub fn with_cache_bytes(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Changes how many patches out of three lie on foreground; 2 by default, 1 is nnU-Net's.
    #[must_use]
    pub fn with_foreground(mut self, thirds: u32) -> Self {
        self.foreground = thirds;
        self
    }
}

fn bytes(volume: &TrainingVolume) -> usize {
    4 * (volume.image.len() + volume.labels.len() + volume.support.len())
}

impl CachedSource<'_> {
    /// The case, and how many patches out of three lie on foreground.
    fn cached(&mut self, case: usize) -> Result<(&TrainingVolume, u32), SourceError> {
        let hit = self.cache.iter().position(|(index, _)| *index == case);
        let entry = match hit.and_then(|position| self.cache.remove(position)) {
            Some(entry) => entry,
            None => {
                let volume = (self.load)(case)?;
                volume.check(case)?;
                (case, volume)
            }
        };
        let mut held: usize = self.cache.iter().map(|(_, v)| bytes(v)).sum();
        while held + bytes(&entry.1) > self.limit {
            let Some((_, oldest)) = self.cache.pop_front() else {
                break;
            };
            held -= bytes(&oldest);
        }
        self.cache.push_back(entry);
        match self.cache.back() {
            Some((_, volume)) => Ok((volume, self.foreground)),
            None => Err("the cache lost the case that was put there".into()),
        }
    }
}

impl PatchSource for CachedSource<'_> {
    fn cases(&self) -> usize {
        self.count
    }

    fn patch_with_margin(
        &mut self,
        case: usize,
        shape: [usize; 3],
        margin: [usize; 3],
        seed: u64,
    ) -> Result<Patch, SourceError> {
        let (volume, foreground) = self.cached(case)?;
        Ok(volume.crop_with(shape, margin, seed, foreground))
    }
}

impl VolumeSource for CachedSource<'_> {
    fn cases(&self) -> usize {
        self.count
    }

    fn volume(&mut self, case: usize) -> Result<&TrainingVolume, SourceError> {
        self.cached(case).map(|(volume, _)| volume)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_keeps_recent_volumes_and_its_bound() {
        let mut loads = Vec::new();
        let volume = TrainingVolume {
            image: vec![0.5; 64],
            labels: vec![0; 64],
            support: vec![1.0; 64],
            channels: 1,
            shape: [4, 4, 4],
        };
        let two = 2 * bytes(&volume);
        let mut source = CachedSource::new(3, |case| {
            loads.push(case);
            Ok(volume.clone())
        })
        .with_cache_bytes(two);
        for case in [0, 1, 0, 2, 0, 1] {
            source.patch(case, [2, 2, 2], 1).unwrap();
        }
        assert!(source.cache.len() <= 2);
        drop(source);
        assert_eq!(loads, [0, 1, 2, 1], "1 was the oldest when 2 came");
    }

    #[test]
    fn a_volume_of_another_length_is_an_error() {
        let mut source = CachedSource::new(1, |_| {
            Ok(TrainingVolume {
                image: vec![0.5; 64],
                labels: vec![0; 64],
                support: vec![1.0; 60],
                channels: 1,
                shape: [4, 4, 4],
            })
        });
        let error = source.patch(0, [2, 2, 2], 1).unwrap_err().to_string();
        assert_eq!(error, "case 0: support: expected 64 values, found 60");
        assert!(source.volume(0).is_err());
    }
}
