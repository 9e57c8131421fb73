//! The only place that prints.
//!
//! Not with `println!`, which panics where the reader has gone.

use std::{
    io::{self, Write},
    sync::OnceLock,
};

use anyhow::bail;
use serde::Serialize;
use voxshield::{data::DataError, pipeline::PipelineError};

/// How a command ended.
pub(crate) enum Outcome {
    /// All is well.
    Done,
    /// Some cases failed or a check said no.
    Refused,
}

impl Outcome {
    pub(crate) fn of(good: bool) -> Self {
        if good { Self::Done } else { Self::Refused }
    }
}

/// The first write to stdout that failed; nothing is written after it, and the work goes on.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// A line of the result.
pub(crate) fn line(text: impl AsRef<str>) {
    if FAILED.get().is_none()
        && let Err(error) = writeln!(io::stdout().lock(), "{}", text.as_ref())
    {
        // One thread prints, so that there is none yet.
        let _ = FAILED.set(error);
    }
}

/// The result as JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?);
    Ok(())
}

/// An error if a part of the result is lost. A reader that has seen enough, such as `head`, lost nothing: the exit code is that of
/// the work.
pub(crate) fn finish() -> anyhow::Result<()> {
    let flushed = io::stdout().flush().err();
    match FAILED.get().or(flushed.as_ref()) {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => bail!(
            "stdout: the result could not be written: {error}; files that the command made are complete"
        ),
        _ => Ok(()),
    }
}

/// Something for the person at the terminal; who closed stderr does not miss it.
pub(crate) fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// The error with its causes, and a hint where there is one.
pub(crate) fn error(error: &anyhow::Error) {
    note(format!("error: {}", chain(error)));
    if let Some(hint) = error.downcast_ref().and_then(hint) {
        note(format!("hint: {hint}"));
    }
}

/// The message and those of its causes that it does not contain already.
fn chain(error: &anyhow::Error) -> String {
    let mut causes = error.chain().map(ToString::to_string);
    let first = causes.next().unwrap_or_default();
    causes.fold(first, |text, cause| match text.contains(&cause) {
        true => text,
        false => format!("{text}: {cause}"),
    })
}

fn hint(error: &PipelineError) -> Option<&'static str> {
    match error {
        PipelineError::NoUsableCase { .. } => {
            Some("run `voxshield inspect DATASET` to see what is wrong with each case")
        }
        PipelineError::Device { .. } => Some("`voxshield devices` lists what this build has"),
        PipelineError::Data(DataError::EpsilonBelowOneStep { .. }) => {
            Some("pass a larger --epsilon, or store the data with more bits")
        }
        _ => None,
    }
}

/// A table; columns of numbers (or `-`) are right-aligned.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) {
    let columns = header.len();
    let width = |c: usize| {
        let cells = rows.iter().map(|row| row[c].chars().count());
        cells.chain([header[c].chars().count()]).max().unwrap_or(0)
    };
    let number = |cell: &String| cell == "-" || cell.parse::<f64>().is_ok();
    let shape: Vec<(usize, bool)> = (0..columns)
        .map(|c| (width(c), rows.iter().all(|row| number(&row[c]))))
        .collect();
    let print = |cells: &[String]| {
        let cells: Vec<String> = cells
            .iter()
            .zip(&shape)
            .map(|(cell, &(w, right))| match right {
                true => format!("{cell:>w$}"),
                false => format!("{cell:<w$}"),
            })
            .collect();
        line(cells.join("  ").trim_end());
    };
    print(&header.iter().map(|&h| h.to_owned()).collect::<Vec<_>>());
    line(
        shape
            .iter()
            .map(|&(w, _)| "-".repeat(w))
            .collect::<Vec<_>>()
            .join("  "),
    );
    rows.iter().for_each(|row| print(row));
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let error = Err::<(), _>(anyhow!("disk full")).context("write a.nii: disk full");
        assert_eq!(chain(&error.unwrap_err()), "write a.nii: disk full");
        let error = Err::<(), _>(anyhow!("disk full")).context("write a.nii");
        assert_eq!(chain(&error.unwrap_err()), "write a.nii: disk full");
    }
}
