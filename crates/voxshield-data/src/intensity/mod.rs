//! Intensities: ranges, normalisation and dataset statistics.

mod error;
mod modality;
mod normalisation;
mod range;
mod statistics;

pub use error::IntensityError;
pub use modality::Modality;
pub use normalisation::Normalisation;
pub use range::IntensityRange;
pub use statistics::{CtStatistics, CtStatisticsBuilder, Foreground};
