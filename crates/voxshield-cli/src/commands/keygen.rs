use std::{fs, path::Path};

use anyhow::Context;
use voxshield::data::{generate_identity, generate_signing_key};

use crate::{
    args::Format,
    output::{self, Outcome},
};

pub(super) fn run(key: &Path, signing: bool, format: Format) -> anyhow::Result<Outcome> {
    let (name, public, warning) = if signing {
        let file = generate_signing_key(key)?;
        let public = fs::read_to_string(&file)
            .with_context(|| format!("{}: could not read the file", file.display()))?;
        ("public_key", public, "whoever has it can sign in your name")
    } else {
        let warning = "keep a copy apart from the data, for without it nothing can be unlocked";
        ("recipient", generate_identity(key)?, warning)
    };
    if format == Format::Json {
        output::json(&serde_json::json!({ name: public }))?;
    } else {
        public.lines().for_each(output::line);
    }
    output::note(format!(
        "the private key is in {}: {warning}",
        key.display()
    ));
    Ok(Outcome::Done)
}
