//! Names of the parameters in nnU-Net's checkpoints.

use crate::parameters::pytorch_name;

/// From the path of a parameter in [`NnUnet`](super::NnUnet) to its name; `pooled` says which stages
/// begin with a pooled skip connection.
pub(super) fn nnunet(path: &[String], pooled: impl Fn(usize) -> bool) -> String {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let named = |head: &str, rest: &[&str]| format!("{head}.{}", pytorch_name(rest));
    match path.as_slice() {
        ["encoder", "stem", rest @ ..] => named("encoder.stem.convs.0", rest),
        ["encoder", "stages", stage, "Plain", conv, rest @ ..] => {
            named(&format!("encoder.stages.{stage}.0.convs.{conv}"), rest)
        }
        [
            "encoder",
            "stages",
            stage,
            "Residual",
            block,
            "skip",
            rest @ ..,
        ] => {
            let first = *block == "0" && stage.parse().is_ok_and(&pooled);
            let index = usize::from(first);
            named(
                &format!("encoder.stages.{stage}.blocks.{block}.skip.{index}"),
                rest,
            )
        }
        ["encoder", "stages", stage, "Residual", block, rest @ ..] => {
            named(&format!("encoder.stages.{stage}.blocks.{block}"), rest)
        }
        ["decoder", "stages", stage, conv, rest @ ..] => {
            named(&format!("decoder.stages.{stage}.convs.{conv}"), rest)
        }
        other => pytorch_name(other),
    }
}

/// The first name of a tensor that nnU-Net's checkpoints hold under several: the decoder refers to
/// the encoder, and every convolution block lists its layers a second time.
pub(super) fn canonical(stored: &str) -> String {
    let name = match stored.strip_prefix("decoder.encoder.") {
        Some(rest) => format!("encoder.{rest}"),
        None => stored.to_string(),
    };
    name.replace(".all_modules.0.", ".conv.")
        .replace(".all_modules.1.", ".norm.")
}
