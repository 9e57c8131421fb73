//! What a finished run, and a finished case, is compared by.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};

use super::STATE_FOLDER;
use crate::{
    data::{CaseRecord, Dataset, MANIFEST_NAME, Manifest, discover, sha256_file, sha256_volume},
    pipeline::{Method, PipelineError, ProtectOptions, lanes::in_order, verify::folder_problems},
};

/// The manifest, if the output was complete before the run was resumed.
///
/// # Errors
/// As [`finished_run`].
pub(in crate::pipeline::protect) fn completed(
    root: &Path,
    output: &Path,
    options: &ProtectOptions,
) -> Result<Option<Manifest>, PipelineError> {
    let there = |name: &str| output.join(name).exists();
    if !options.resume || there(STATE_FOLDER) || !there(MANIFEST_NAME) {
        return Ok(None);
    }
    let dataset = discover(root)?;
    let dataset = match options.labels.is_files() {
        true => dataset,
        false => dataset.without_need_of_labels(),
    };
    finished_run(&dataset, output, options)
}

/// The manifest of an output that is complete, whatever is left of the run's state; `None` where there is none that can be read: then
/// the folder is judged by what is in it.
///
/// # Errors
/// [`PipelineError::OtherRun`] if it is not the output of this very run: other options or recipients, sources that have changed since,
/// or files that are not what was written; [`PipelineError::ChangedOutput`] if anything was added to the folder, or taken away.
pub(super) fn finished_run(
    dataset: &Dataset,
    output: &Path,
    options: &ProtectOptions,
) -> Result<Option<Manifest>, PipelineError> {
    let Ok(manifest) = Manifest::read(&output.join(MANIFEST_NAME)) else {
        return Ok(None);
    };
    let recipients = options.unlock_to.fingerprint();
    let there = json!({
        "version": manifest.version,
        "device": manifest.device,
        "options": without_generator(manifest.method.clone()),
        "save_generator": manifest.method.get("save_generator").is_some(),
        "recipients": recipients_of(&manifest, recipients.as_deref()),
    });
    let here = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "device": options.device.to_string(),
        "options": without_generator(options.to_json()),
        "save_generator": options.save_generator.is_some(),
        "recipients": recipients,
    });
    let mut what = differences(&there, &here);
    let known: BTreeSet<&String> = (manifest.cases.iter().map(|case| &case.id))
        .chain(manifest.failed.iter().map(|case| &case.id))
        .chain(manifest.skipped.iter().map(|case| &case.id))
        .collect();
    let unknown = dataset.cases.iter().find(|case| !known.contains(&case.id));
    what.extend(unknown.map(|case| format!("the dataset, which has a case {}", case.id)));
    in_order(
        manifest.cases.len(),
        |index| is_intact(&dataset.root, output, &manifest.cases[index]),
        |index, intact| {
            if !intact {
                what.push(format!("the files of case {}", manifest.cases[index].id));
            }
        },
    );
    same_run(output, &what)?;
    let problems = folder_problems(Some(dataset), &manifest, output)?;
    if !problems.is_empty() {
        return Err(PipelineError::ChangedOutput {
            path: output.to_path_buf(),
            problems: problems.join("; "),
        });
    }
    Ok(Some(manifest))
}

/// The fingerprint of the recipients of a finished run: all cases have the same. Older manifests say only whether there were any, and
/// one without cases says nothing: they count as `asked`.
fn recipients_of(manifest: &Manifest, asked: Option<&str>) -> Option<String> {
    let Some(case) = manifest.cases.first() else {
        return asked.map(str::to_owned);
    };
    let unlock = case.unlock.as_ref()?;
    let known = unlock.recipients.as_deref().or(asked);
    Some(known.unwrap_or_default().to_owned())
}

/// An error naming in what the run that `output` holds differs from this one, if it does.
pub(super) fn same_run(output: &Path, differences: &[String]) -> Result<(), PipelineError> {
    match differences.is_empty() {
        true => Ok(()),
        false => Err(PipelineError::OtherRun {
            path: output.to_path_buf(),
            what: differences.join(", "),
        }),
    }
}

/// Options without the generator's hash, which the run fills in.
fn without_generator(mut options: Value) -> Value {
    if let Some(object) = options.as_object_mut() {
        object.remove("save_generator");
    }
    options
}

/// Whether the files of a finished case are what they were, source and result.
pub(super) fn is_intact(root: &Path, output: &Path, record: &CaseRecord) -> bool {
    let is = |folder: &Path, path: &str, hash: &str| {
        sha256_file(&folder.join(path)).is_ok_and(|found| found == hash)
    };
    let volume = |folder: &Path, path: &str, hash: &str| {
        sha256_volume(&folder.join(path)).is_ok_and(|found| found == hash)
    };
    record.files.iter().all(|file| {
        volume(root, &file.path, &file.sha256_before)
            && volume(output, &file.path, &file.sha256_after)
    }) && record
        .labels
        .iter()
        .all(|label| is(root, &label.path, &label.sha256) && is(output, &label.path, &label.sha256))
        && (record.unlock.iter()).all(|unlock| is(output, &unlock.path, &unlock.sha256))
}

/// In what two runs differ, options by their names and values.
pub(super) fn differences(there: &Value, here: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect("", Some(there), Some(here), &mut found);
    found
}

fn collect(name: &str, there: Option<&Value>, here: Option<&Value>, found: &mut Vec<String>) {
    if there == here {
        return;
    }
    // All settings of another method differ, and say nothing.
    if name == "method"
        && let (Some(there), Some(here)) = (method_name(there), method_name(here))
        && there != here
    {
        found.push(format!("method ({there} there, {here} here)"));
        return;
    }
    if let (Some(Value::Object(there)), Some(Value::Object(here))) = (there, here) {
        let names: BTreeSet<&String> = there.keys().chain(here.keys()).collect();
        for name in names {
            collect(name, there.get(name), here.get(name), found);
        }
        return;
    }
    let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    found.push(match name {
        // Hashes say nothing to a reader.
        "sources" => "its sources".to_owned(),
        "recipients" => "the recipients (--unlock-to)".to_owned(),
        _ => format!("{name} ({} there, {} here)", text(there), text(here)),
    });
}

/// The name of a method by which users ask for it; `None` for any other value of that key.
fn method_name(value: Option<&Value>) -> Option<&'static str> {
    let method: Method = serde_json::from_value(value?.clone()).ok()?;
    Some(method.name())
}
