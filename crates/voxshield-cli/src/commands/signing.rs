use std::{fs, path::Path};

use anyhow::ensure;
use voxshield::{
    data::{MANIFEST_NAME, SIGNATURE_NAME},
    pipeline::{MemoryLimit, verify_within},
};

use crate::args::ProtectArgs;

/// An error unless the output, of which an earlier run wrote a part or all, is what `verify` accepts: a signature says so.
pub(super) fn check(args: &ProtectArgs, max_memory: Option<MemoryLimit>) -> anyhow::Result<()> {
    let report = verify_within(&args.dataset, &args.output, max_memory, &mut |_| {})?;
    let of_cases = report.cases.iter().flat_map(|case| {
        let named = |problem| format!("case {}: {problem}", case.id);
        case.problems.iter().map(named)
    });
    let problems: Vec<String> = report.problems.iter().cloned().chain(of_cases).collect();
    ensure!(
        problems.is_empty(),
        "{}: not signed, since it is not what was written: {}",
        args.output.display(),
        problems.join("; ")
    );
    Ok(())
}

/// What to say about the signature of an output that is complete, and was not to be signed now.
pub(super) fn about(output: &Path) -> Option<String> {
    let written = |name: &str| fs::metadata(output.join(name)).and_then(|file| file.modified());
    match (written(MANIFEST_NAME), written(SIGNATURE_NAME)) {
        (Ok(_), Err(_)) => Some(format!(
            "{MANIFEST_NAME} has no signature; --sign makes one"
        )),
        (Ok(manifest), Ok(signature)) if signature < manifest => Some(format!(
            "{SIGNATURE_NAME} is older than {MANIFEST_NAME}, and may be of another one; --sign makes a new one"
        )),
        _ => None,
    }
}
