//! From the path of a parameter in [`ResidualUnet`](super::ResidualUnet) to its name in MONAI.

/// MONAI nests each level inside the one above it: level `i` is `model` followed by `i` times
/// `.1.submodule`, its encoder is `.0` and its decoder `.2` there; `levels` is the bottom's `i`.
///
/// `residual` says whether there are residual units; without them the blocks are not nested.
pub(super) fn monai(path: &[String], levels: usize, residual: bool) -> String {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["down", index, rest @ ..] => format!("{}.0{}", level(index), unit(rest, residual)),
        ["bottom", rest @ ..] => format!("{}{}", nested(levels), unit(rest, residual)),
        ["up", index, "up", rest @ ..] => {
            let block = if residual { ".2.0" } else { ".2" };
            format!("{}{block}{}", level(index), leaf(rest))
        }
        ["up", index, "refine", rest @ ..] => {
            format!("{}.2.1{}", level(index), unit(rest, residual))
        }
        other => other.join("."),
    }
}

fn level(index: &str) -> String {
    nested(index.parse().unwrap_or_default())
}

fn nested(depth: usize) -> String {
    format!("model{}", ".1.submodule".repeat(depth))
}

fn unit(path: &[&str], residual: bool) -> String {
    match path {
        ["units", index, rest @ ..] if residual => format!(".conv.unit{index}{}", leaf(rest)),
        ["units", _, rest @ ..] => leaf(rest),
        other => leaf(other),
    }
}

fn leaf(path: &[&str]) -> String {
    match path {
        ["activation", ..] => ".adn.A.weight".to_string(),
        other => format!(".{}", other.join(".")),
    }
}
