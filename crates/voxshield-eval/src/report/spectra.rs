use super::chart::{Axis, Chart, Series};
use crate::record::EvaluationRecord;

/// Power along z of the clean volumes, the protected ones and the perturbation, one chart a training
/// set.
pub(super) fn spectra(record: &EvaluationRecord) -> Vec<Chart> {
    let frequency = Axis {
        label: "cycles per slice",
        limits: Some([0.0, 0.5]),
        logarithmic: false,
    };
    let power = Axis {
        label: "power",
        limits: None,
        logarithmic: true,
    };
    let charts = record.quality.iter().map(|quality| {
        let spectrum = &quality.spectrum;
        let series = [
            ("clean", &spectrum.clean),
            ("protected", &spectrum.protected),
            ("perturbation", &spectrum.delta),
        ];
        let series = series
            .into_iter()
            .enumerate()
            .map(|(style, (name, values))| Series {
                name: name.into(),
                style,
                points: spectrum
                    .frequencies
                    .iter()
                    .zip(values)
                    .map(|(&f, &p)| [f, p])
                    .collect(),
            });
        let series: Vec<Series> = series.collect();
        let text = "Mean power over the frequencies along the slice axis, logarithmic: clean \
                    volumes, protected volumes, and their difference."
            .to_owned();
        Chart::new(
            quality.training_set.clone(),
            text,
            [frequency, power],
            &series,
        )
    });
    charts.collect()
}
