//! From the path of a parameter to its name in MONAI.

/// The name of a parameter of [`Unetr`](super::Unetr).
pub(super) fn monai(path: &[String]) -> String {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["vit", "patch_embeddings", leaf] => {
            format!("vit.patch_embedding.patch_embeddings.{leaf}")
        }
        ["vit", "position_embeddings"] => "vit.patch_embedding.position_embeddings".to_string(),
        ["encoder", rest @ ..] => format!("encoder1.layer.{}", block_name(rest)),
        ["projections", index, rest @ ..] => {
            let index = number(index) + 2;
            match rest {
                ["steps", step, "up", leaf] => {
                    format!("encoder{index}.blocks.{step}.0.conv.{leaf}")
                }
                ["steps", step, "block", rest @ ..] => {
                    format!("encoder{index}.blocks.{step}.1.{}", block_name(rest))
                }
                ["up", leaf] => format!("encoder{index}.transp_conv_init.conv.{leaf}"),
                other => leaf_name(other),
            }
        }
        ["decoder", index, rest @ ..] => {
            let index = 5usize.saturating_sub(number(index));
            format!("decoder{index}.{}", up_block_name(rest))
        }
        ["out", leaf] => format!("out.conv.conv.{leaf}"),
        other => leaf_name(other),
    }
}

/// Of a parameter of [`UnetrUpBlock`](super::UnetrUpBlock) that joins the encoder's features.
pub(in crate::networks) fn up_block_name(path: &[&str]) -> String {
    match path {
        ["up", leaf] => format!("transp_conv.conv.{leaf}"),
        ["block", rest @ ..] => format!("conv_block.{}", block_name(rest)),
        other => leaf_name(other),
    }
}

/// Of a parameter of [`UnetrBlock`](super::UnetrBlock).
pub(in crate::networks) fn block_name(path: &[&str]) -> String {
    let [part, rest @ ..] = path else {
        return String::new();
    };
    let index = match *part {
        "first" => 1,
        "second" => 2,
        _ => 3,
    };
    match rest {
        ["norm", "batch", leaf] => format!("norm{index}.{leaf}"),
        other => format!("conv{index}.{}", leaf_name(other)),
    }
}

/// Joined by ".", with PyTorch's names for the parameters of a layer normalisation.
pub(in crate::networks) fn leaf_name(path: &[&str]) -> String {
    let renamed = path.iter().map(|part| match *part {
        "gamma" => "weight",
        "beta" => "bias",
        other => other,
    });
    renamed.collect::<Vec<_>>().join(".")
}

fn number(index: &str) -> usize {
    index.parse().unwrap_or_default()
}
