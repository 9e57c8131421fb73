//! An evaluation as one HTML file that opens offline.
//!
//! Everything is in the file: style, charts (SVG) and pictures (PNG as data). There is no script and
//! nothing is fetched; a content policy in the file forbids both. Whatever comes from files, names of
//! training sets and cases above all, is escaped by the templates (`templates/report`).

mod chart;
mod curves;
mod format;
mod headline;
mod heat_map;
mod labels;
mod montages;
mod page;
mod quality;
mod settings;
mod spectra;
mod table;

pub use page::html;
