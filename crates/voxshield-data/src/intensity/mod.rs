//! Intensities: ranges, normalisation and dataset statistics.

mod modality;
mod normalisation;
mod range;
mod statistics;

pub use modality::Modality;
pub use normalisation::Normalisation;
pub use range::IntensityRange;
pub use statistics::{CtStatistics, CtStatisticsBuilder, Foreground};
