use askama::Template;

use super::{
    chart::Chart,
    curves::{Curves, curves},
    headline::{Headline, headlines},
    heat_map::{HeatMap, heat_maps},
    labels::Labels,
    montages::MontageView,
    quality::QualityTable,
    settings::Settings,
    spectra::spectra,
    table::{Controls, Rows},
};
use crate::{EvalError, picture::Montage, record::EvaluationRecord};

#[derive(Template)]
#[template(path = "report/page.html")]
struct Page<'a> {
    headlines: Vec<Headline>,
    notes: &'a [String],
    controls: Controls,
    heat_maps: Vec<HeatMap>,
    labels: Labels,
    curves: Curves,
    montages: Vec<MontageView>,
    spectra: Vec<Chart>,
    quality: QualityTable,
    rows: Rows,
    settings: Settings,
}

/// The report of an evaluation, one self-contained HTML file.
///
/// `montages` are shown in their order; without any, their section is left out.
///
/// # Errors
/// [`EvalError::Picture`] for a montage without pixels, [`EvalError::Report`] if a template fails.
pub fn html(record: &EvaluationRecord, montages: &[Montage]) -> Result<String, EvalError> {
    let page = Page {
        headlines: headlines(record),
        notes: &record.notes,
        controls: Controls::of(record),
        heat_maps: heat_maps(record),
        labels: Labels::of(record),
        curves: curves(record),
        montages: montages
            .iter()
            .map(MontageView::of)
            .collect::<Result<_, _>>()?,
        spectra: spectra(record),
        quality: QualityTable::of(record),
        rows: Rows::of(record),
        settings: Settings::of(record),
    };
    Ok(page.render()?)
}
