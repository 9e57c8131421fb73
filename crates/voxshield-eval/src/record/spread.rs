use serde::{Deserialize, Serialize};

/// Mean and spread of a score over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// Standard deviation of the sample (divisor n - 1); 0 for a single seed.
    pub sd: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// How many.
    pub count: usize,
}

impl Spread {
    /// Of these values; `None` if there is none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let count = values.len();
        let (min, max) = values.iter().fold(None, |bounds, &v| {
            let (lo, hi) = bounds.unwrap_or((v, v));
            Some((f64::min(lo, v), f64::max(hi, v)))
        })?;
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Some(Self {
            mean,
            sd: (squares / (count - 1).max(1) as f64).sqrt(),
            min,
            max,
            count,
        })
    }
}
