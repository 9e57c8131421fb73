//! How much memory a case may take, and what is refused before it takes any.

use std::{fmt, path::PathBuf, str::FromStr, sync::OnceLock};

use sysinfo::{MemoryRefreshKind, System};

use super::{ParseError, PipelineError, ProtectOptions};
use crate::{
    data::{Case, DataError, Dataset, StoredVolume},
    perturb::Support,
};

/// The most memory that the work on one case may take, in bytes. As text a number with K, M, G or T for powers of 1024 bytes,
/// with or without `iB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemoryLimit(u64);

const UNITS: [&str; 5] = ["", "K", "M", "G", "T"];

impl MemoryLimit {
    /// Three quarters of the memory of the machine, or of the control group that the process is in where that has less; no limit where
    /// the system does not say.
    pub fn of_machine() -> Self {
        static LIMIT: OnceLock<MemoryLimit> = OnceLock::new();
        *LIMIT.get_or_init(|| {
            let mut system = System::new();
            system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
            let machine = system.total_memory();
            let group = system.cgroup_limits().map(|group| group.total_memory);
            let known = [Some(machine), group].into_iter().flatten();
            let least = known.filter(|&bytes| bytes > 0).min();
            Self(least.map_or(u64::MAX, |bytes| bytes / 4 * 3))
        })
    }

    /// So many bytes.
    pub fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut value, mut unit) = (self.0 as f64, 0);
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            (value, unit) = (value / 1024.0, unit + 1);
        }
        match unit {
            0 => write!(f, "{value} bytes"),
            _ => write!(f, "{value:.1} {}iB", UNITS[unit]),
        }
    }
}

impl FromStr for MemoryLimit {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            let expected = "expected a number of bytes, such as 12G or 500MiB";
            ParseError::new(format!("'{text}': {expected}"))
        };
        let number = text.trim().trim_end_matches("iB").trim_end();
        let unit = UNITS.iter().rposition(|unit| number.ends_with(unit));
        let (unit, number) = match unit {
            None | Some(0) => (0, number),
            Some(unit) => (unit, number[..number.len() - 1].trim_end()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let bytes = number * 1024f64.powi(unit as i32);
        match bytes >= 1.0 && bytes < u64::MAX as f64 {
            true => Ok(Self(bytes as u64)),
            false => Err(wrong()),
        }
    }
}

/// Bytes a voxel that a support with a reach has in memory, of the slices that it works on: labels and two masks in `f32`.
const MASK: u64 = 10;

/// What is done with a case, and takes memory beside it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work<'a> {
    /// It is protected.
    Protect(&'a ProtectOptions),
    /// It is compared with its protected one, in this support.
    Verify(Support),
    /// Networks are trained on it and tested.
    Evaluate,
}

/// A case as the headers of its images have it.
struct Size {
    /// `[depth, height, width]`.
    shape: [usize; 3],
    /// Of one channel.
    voxels: u64,
    channels: u64,
    /// Bytes of all voxels.
    stored: u64,
}

impl Size {
    fn of(images: &[PathBuf]) -> Result<Self, DataError> {
        let (mut stored, mut channels, mut shape) = (0, 0, [0; 3]);
        for image in images {
            let frame = StoredVolume::frame_of(image)?;
            let [i, j, k, many] = frame.dims();
            shape = [k, j, i];
            channels += many as u64;
            let bytes = frame.datatype().size() as u64;
            stored += product(shape) * many as u64 * bytes;
        }
        Ok(Self {
            shape,
            voxels: product(shape),
            channels,
            stored,
        })
    }
}

fn product(shape: [usize; 3]) -> u64 {
    shape.iter().map(|&n| n as u64).product()
}

/// Refuses a case that takes more memory than the limit, [`MemoryLimit::of_machine`] if there is none; else how many voxels its channels have.
/// What cannot be read has none, and is refused by whoever reads it.
pub(super) fn check(
    dataset: &Dataset,
    case: &Case,
    work: Work<'_>,
    limit: Option<MemoryLimit>,
) -> Result<u64, PipelineError> {
    let limit = limit.unwrap_or_else(MemoryLimit::of_machine);
    let Ok(size) = Size::of(&dataset.absolute(&case.images)) else {
        return Ok(0);
    };
    let Size {
        voxels, channels, ..
    } = size;
    // Labels are a byte.
    let case_bytes = size.stored + voxels;
    let training = match work {
        // The optimiser sees f32 and has i32 labels and an f32 support.
        Work::Protect(options) if options.method.common().is_some() => 4 * channels + 8,
        // A network sees f32, copied once, and u16 labels, and says an f32 for each of two classes at least.
        Work::Evaluate => 8 * channels + 10,
        Work::Protect(_) | Work::Verify(_) => 0,
    } * voxels;
    let support = match work {
        Work::Protect(options) => Some(options.support),
        Work::Verify(support) => Some(support),
        Work::Evaluate => None,
    };
    let masks = match support {
        Some(support @ (Support::SoftRoi(_) | Support::Contour { .. })) => {
            support.voxels_at_once(size.shape) as u64 * MASK
        }
        _ => 0,
    };
    let needed = MemoryLimit(case_bytes + training.max(masks));
    if needed <= limit {
        return Ok(channels * voxels);
    }
    let (what, advice) = match work {
        _ if case_bytes > limit.0 => ("the case".to_owned(), ""),
        Work::Evaluate => ("a network's view of the case".to_owned(), ""),
        Work::Protect(options) if training > masks => (
            format!("the method {}", options.method.name()),
            "take a method without training, or the saved generator of smaller volumes; ",
        ),
        Work::Protect(ProtectOptions { support, .. }) => (
            format!("the support {}", support.name()),
            "take a narrower one, or another; ",
        ),
        Work::Verify(support) => (format!("the support {}", support.name()), ""),
    };
    Err(PipelineError::Memory {
        path: case.images.first().cloned().unwrap_or_default(),
        what,
        voxels,
        needed,
        limit,
        advice,
    })
}

/// As [`check`], for a case that is restored from its protected files: its originals are in memory as they are stored.
pub(super) fn check_restored(
    protected: &[PathBuf],
    limit: Option<MemoryLimit>,
) -> Result<u64, PipelineError> {
    let limit = limit.unwrap_or_else(MemoryLimit::of_machine);
    let size = Size::of(protected)?;
    let needed = MemoryLimit(size.stored);
    if needed <= limit {
        return Ok(size.channels * size.voxels);
    }
    Err(PipelineError::Memory {
        path: protected.first().cloned().unwrap_or_default(),
        what: "the case".to_owned(),
        voxels: size.voxels,
        needed,
        limit,
        advice: "",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_parse_and_print() {
        for (text, bytes, printed) in [
            ("12G", 12 << 30, "12.0 GiB"),
            ("1.5 GiB", 3 << 29, "1.5 GiB"),
            ("500MiB", 500 << 20, "500.0 MiB"),
            ("2K", 2048, "2.0 KiB"),
            ("1000", 1000, "1000 bytes"),
            ("3T", 3 << 40, "3.0 TiB"),
        ] {
            let limit: MemoryLimit = text.parse().unwrap();
            assert_eq!(limit, MemoryLimit::bytes(bytes), "{text}");
            assert_eq!(limit.to_string(), printed);
        }
        for text in ["", "G", "-1G", "0", "x", "NaN", "1e30", "4GB"] {
            assert!(text.parse::<MemoryLimit>().is_err(), "{text}");
        }
        assert!(MemoryLimit::of_machine() > MemoryLimit::bytes(1 << 26));
    }
}
