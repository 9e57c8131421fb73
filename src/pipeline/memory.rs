//! How much memory a case may take, and what is refused before it takes any.

use std::{fmt, str::FromStr, sync::OnceLock};

use sysinfo::{MemoryRefreshKind, System};

use super::{PipelineError, ProtectOptions};
use crate::{
    data::{Case, Dataset, StoredVolume},
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
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("'{text}': expected a number of bytes, such as 12G or 500MiB");
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

/// Refuses a case that takes more memory than the run's limit. What cannot be read is refused by whoever reads it.
pub(super) fn check(
    dataset: &Dataset,
    case: &Case,
    options: &ProtectOptions,
) -> Result<(), PipelineError> {
    let limit = options.max_memory.unwrap_or_else(MemoryLimit::of_machine);
    let (mut stored, mut grid, mut channels) = (0, 0, 0);
    let mut shape = [0; 3];
    for image in &case.images {
        let Ok(frame) = StoredVolume::frame_of(&dataset.root.join(image)) else {
            return Ok(());
        };
        let [i, j, k, many] = frame.dims();
        shape = [k, j, i];
        grid = shape.iter().map(|&n| n as u64).product();
        channels += many as u64;
        stored += grid * many as u64 * frame.datatype().size() as u64;
    }
    // Labels are a byte.
    let case_bytes = stored + grid;
    // The optimiser sees f32 and has i32 labels and an f32 support.
    let method = match options.method.common() {
        Some(_) => grid * (4 * channels + 8),
        None => 0,
    };
    let support = match options.support {
        Support::SoftRoi(_) | Support::Contour { .. } => {
            options.support.voxels_at_once(shape) as u64 * MASK
        }
        _ => 0,
    };
    let needed = MemoryLimit(case_bytes + method.max(support));
    if needed <= limit {
        return Ok(());
    }
    let (what, advice) = if case_bytes > limit.0 {
        ("the case".to_owned(), "")
    } else if method > support {
        let what = format!("the method {}", options.method.name());
        let advice = "take a method without training, or the saved generator of smaller volumes; ";
        (what, advice)
    } else {
        let what = format!("the support {}", options.support.name());
        (what, "take a narrower one, or another; ")
    };
    Err(PipelineError::Memory {
        path: case.images.first().cloned().unwrap_or_default(),
        what,
        voxels: grid,
        needed,
        limit,
        advice,
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
