use std::collections::HashMap;

use crate::{Budget, PerturbError, SourceError, Window};

/// Where the perturbations of whole cases are kept between visits.
///
/// They are kept as [`DeltaCode`]s `[channel, depth, height, width]` on the case's own grid, before support and clipping.
pub trait DeltaStore {
    /// The codes in a window of a case, `[channel, depth, height, width]`: 0 where nothing was written, and outside the volume.
    ///
    /// # Errors
    /// Whatever keeps them from being read, also a window of another volume than the case's.
    fn read(&self, case: usize, window: Window) -> Result<Vec<i8>, SourceError>;

    /// Replaces the codes in the part of a window that is in the volume.
    ///
    /// # Errors
    /// Whatever keeps them from being written, also codes that are not as many as the window has.
    fn write(&mut self, case: usize, window: Window, codes: &[i8]) -> Result<(), SourceError>;

    /// Keeps all codes as they are now, whatever is written later, and gives a name to find them by; what was kept before may be
    /// forgotten with the next write. A store that does not outlast its process has nothing to keep.
    ///
    /// # Errors
    /// Whatever keeps them from being kept.
    fn snapshot(&self) -> Result<String, SourceError>;
}

/// A store in memory: a byte for each voxel and channel of every case that was visited.
#[derive(Debug, Clone)]
pub struct MemoryDeltas {
    channels: usize,
    cases: HashMap<usize, Vec<i8>>,
}

impl MemoryDeltas {
    /// An empty store for volumes of `channels`.
    pub fn new(channels: usize) -> Self {
        Self {
            channels,
            cases: HashMap::new(),
        }
    }
}

impl DeltaStore for MemoryDeltas {
    fn read(&self, case: usize, window: Window) -> Result<Vec<i8>, SourceError> {
        let mut codes = vec![0; self.channels * window.voxels()];
        if let Some(stored) = self.cases.get(&case) {
            let volume: usize = window.volume.iter().product();
            check(case, "the case", self.channels * volume, stored)?;
            for channel in 0..self.channels {
                for run in window.runs() {
                    let from = channel * volume + run.volume;
                    let to = channel * window.voxels() + run.window;
                    codes[to..to + run.length].copy_from_slice(&stored[from..from + run.length]);
                }
            }
        }
        Ok(codes)
    }

    fn write(&mut self, case: usize, window: Window, codes: &[i8]) -> Result<(), SourceError> {
        let volume: usize = window.volume.iter().product();
        let size = self.channels * volume;
        check(case, "the window", self.channels * window.voxels(), codes)?;
        let stored = self.cases.entry(case).or_insert_with(|| vec![0; size]);
        check(case, "the case", size, stored)?;
        for channel in 0..self.channels {
            for run in window.runs() {
                let to = channel * volume + run.volume;
                let from = channel * window.voxels() + run.window;
                stored[to..to + run.length].copy_from_slice(&codes[from..from + run.length]);
            }
        }
        Ok(())
    }

    /// Nothing is kept: clone the store.
    fn snapshot(&self) -> Result<String, SourceError> {
        Ok(String::new())
    }
}

/// Refuses codes that are not those of a window, or of the case that they were first written for.
fn check(
    case: usize,
    what: &'static str,
    expected: usize,
    codes: &[i8],
) -> Result<(), SourceError> {
    match codes.len() {
        found if found == expected => Ok(()),
        found => Err(Box::new(PerturbError::Extent {
            case,
            what,
            expected,
            found,
        })),
    }
}

/// A perturbation in a byte: `code = round(127 delta / epsilon)`, `delta = epsilon code / 127`.
///
/// What a code stands for is never beyond epsilon, and within `epsilon / 254` of what was coded. 127 steps are more than a file of
/// 8 to 12 bits has within the usual budgets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeltaCode {
    epsilon: f32,
}

const LARGEST: f32 = 127.0;

impl DeltaCode {
    /// A perturbation of 0, of a voxel that was chosen to be perturbed.
    pub(crate) const CHOSEN: i8 = i8::MIN;

    /// The code for a budget.
    pub fn new(budget: Budget) -> Self {
        Self {
            epsilon: budget.epsilon() as f32,
        }
    }

    /// The code of a perturbation; beyond epsilon it is clamped.
    pub fn encode(self, delta: f32) -> i8 {
        (delta / self.epsilon * LARGEST)
            .round()
            .clamp(-LARGEST, LARGEST) as i8
    }

    /// The perturbation that a code stands for.
    pub fn decode(self, code: i8) -> f32 {
        match code {
            Self::CHOSEN => 0.0,
            code => f32::from(code) / LARGEST * self.epsilon,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_the_bound_and_are_their_own_codes() {
        for epsilon in [4.0 / 255.0, 0.1, 1.0 / 3.0, 1.0] {
            let code = DeltaCode::new(Budget::new(epsilon).unwrap());
            for byte in i8::MIN..=i8::MAX {
                let delta = code.decode(byte);
                assert!(delta.abs() <= epsilon as f32, "{epsilon} {byte}");
                let same = if byte == DeltaCode::CHOSEN { 0 } else { byte };
                assert_eq!(code.encode(delta), same);
            }
            let step = epsilon as f32 / 127.0;
            for i in -300..=300 {
                let delta = epsilon as f32 * i as f32 / 300.0;
                let off = (code.decode(code.encode(delta)) - delta).abs();
                assert!(off <= 0.501 * step, "{epsilon} {delta}");
            }
            assert_eq!(code.encode(2.0 * epsilon as f32), 127);
        }
    }

    #[test]
    fn what_is_written_is_read_and_the_rest_is_zero() {
        let mut store = MemoryDeltas::new(2);
        let window = Window {
            volume: [3, 4, 5],
            start: [-1, 2, 3],
            shape: [2, 3, 4],
        };
        let codes: Vec<i8> = (1..=48).collect();
        store.write(7, window, &codes).unwrap();
        let whole = store.read(7, Window::whole([3, 4, 5])).unwrap();
        assert_eq!(whole.iter().filter(|&&c| c != 0).count(), 2 * 2 * 2);
        // Channel 1, voxel (0, 2, 3) of the volume is (1, 0, 0) of the window.
        assert_eq!(whole[60 + 2 * 5 + 3], codes[24 + 12]);
        let back = store.read(7, window).unwrap();
        assert_eq!(back[12..14], codes[12..14]);
        assert_eq!(back[14..16], [0, 0]);
        assert_eq!(store.read(8, window).unwrap(), [0; 48]);
        // Of another window, and of a case that has become smaller or larger.
        assert!(store.write(7, window, &codes[1..]).is_err());
        for volume in [[3, 4, 4], [3, 4, 6]] {
            let other = Window { volume, ..window };
            let error = store.read(7, other).unwrap_err().to_string();
            assert!(error.starts_with("case 7: the case: expected"), "{error}");
            assert!(store.write(7, other, &codes).is_err());
        }
    }
}
