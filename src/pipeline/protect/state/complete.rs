//! What a finished run, and a finished case, is compared by.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};

use super::STATE_FOLDER;
use crate::{
    data::{CaseRecord, MANIFEST_NAME, Manifest, discover, sha256_file, sha256_volume},
    pipeline::{Method, PipelineError, ProtectOptions, lanes::in_order},
};

/// The manifest, if the output was complete before the run was resumed.
///
/// An error if it is not the output of this very run: other options, sources that have changed since, or files that are not what
/// was written. Who the recipients were is in no manifest, only whether there were any.
pub(in crate::pipeline::protect) fn completed(
    root: &Path,
    output: &Path,
    options: &ProtectOptions,
) -> Result<Option<Manifest>, PipelineError> {
    if !options.resume || output.join(STATE_FOLDER).exists() {
        return Ok(None);
    }
    // Without one the folder is judged by what is in it.
    let Ok(manifest) = Manifest::read(&output.join(MANIFEST_NAME)) else {
        return Ok(None);
    };
    let run = |version: &str, device: String, options: Value, generator: bool, unlock: bool| {
        json!({
            "version": version,
            "device": device,
            "options": without_generator(options),
            "save_generator": generator,
            "unlock_to": unlock,
        })
    };
    let there = run(
        &manifest.version,
        manifest.device.clone(),
        manifest.method.clone(),
        manifest.method.get("save_generator").is_some(),
        manifest.cases.iter().any(|case| case.unlock.is_some()),
    );
    let here = run(
        env!("CARGO_PKG_VERSION"),
        options.device.to_string(),
        options.to_json(),
        options.save_generator.is_some(),
        !options.unlock_to.is_empty(),
    );
    let mut what = differences(&there, &here);
    let known: BTreeSet<&String> = (manifest.cases.iter().map(|case| &case.id))
        .chain(manifest.failed.iter().map(|case| &case.id))
        .chain(manifest.skipped.iter().map(|case| &case.id))
        .collect();
    let dataset = discover(root)?;
    let unknown = dataset.cases.iter().find(|case| !known.contains(&case.id));
    what.extend(unknown.map(|case| format!("the dataset, which has a case {}", case.id)));
    in_order(
        manifest.cases.len(),
        |index| is_intact(root, output, &manifest.cases[index]),
        |index, intact| {
            if !intact {
                what.push(format!("the files of case {}", manifest.cases[index].id));
            }
        },
    );
    same_run(output, &what)?;
    Ok(Some(manifest))
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
        "sources" | "recipients" => format!("its {name}"),
        _ => format!("{name} ({} there, {} here)", text(there), text(here)),
    });
}

/// The name of a method by which users ask for it; `None` for any other value of that key.
fn method_name(value: Option<&Value>) -> Option<&'static str> {
    let method: Method = serde_json::from_value(value?.clone()).ok()?;
    Some(method.name())
}
