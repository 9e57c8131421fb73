//! Values of flags.

use std::path::PathBuf;

use voxshield::{
    models::Architecture,
    perturb::{IscMode, METHODS, PerturbationMethod, RandomNoise, SoftRoi, Support},
};

/// A number or a fraction such as 4/255.
pub(super) fn epsilon(text: &str) -> Result<f64, String> {
    let number = |s: &str| {
        s.trim()
            .parse::<f64>()
            .map_err(|_| format!("'{s}' is no number"))
    };
    let value = match text.split_once('/') {
        Some((above, below)) => number(above)? / number(below)?,
        None => number(text)?,
    };
    if value > 0.0 && value <= 1.0 {
        Ok(value)
    } else {
        Err("expected a number above 0 and at most 1, or a fraction such as 4/255".into())
    }
}

/// A seed, and whether it came from the system's generator.
#[derive(Clone, Copy)]
pub(crate) struct Seed {
    pub(crate) value: u64,
    pub(crate) drawn: bool,
}

pub(super) fn seed(text: &str) -> Result<Seed, String> {
    let drawn = text == "random";
    let value = match drawn {
        true => getrandom::u64().map_err(|error| format!("no random number: {error}"))?,
        false => text
            .parse()
            .map_err(|_| format!("expected a number from 0 to {}, or random", u64::MAX))?,
    };
    Ok(Seed { value, drawn })
}

pub(super) fn support(text: &str) -> Result<Support, String> {
    let found = match text.split_once(':') {
        None => match text {
            "roi" => Some(Support::Roi),
            "body" => Some(Support::Body),
            "full" => Some(Support::Full),
            "soft-roi" => Some(Support::SoftRoi(SoftRoi::REFERENCE)),
            "contour" => Some(Support::Contour { width: 3 }),
            _ => None,
        },
        Some(("soft-roi", settings)) => soft_roi(settings),
        Some(("contour", width)) => width.parse().ok().map(|width| Support::Contour { width }),
        Some(("top-k", share)) => share.parse().ok().map(|share| Support::TopK { share }),
        Some(("keyed-random", share)) => {
            let share = share.parse().ok();
            share.map(|share| Support::KeyedRandom { share })
        }
        Some(_) => None,
    };
    let found = found.ok_or(
        "expected roi, body, full, soft-roi[:KERNEL,ITERATIONS,SIGMA], contour[:WIDTH], top-k:SHARE or keyed-random:SHARE",
    )?;
    found.validate().map_err(|error| error.to_string())?;
    Ok(found)
}

fn soft_roi(settings: &str) -> Option<Support> {
    let mut parts = settings.split(',').map(str::trim);
    let soft = SoftRoi {
        kernel: parts.next()?.parse().ok()?,
        iterations: parts.next()?.parse().ok()?,
        sigma: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some(Support::SoftRoi(soft))
}

pub(super) fn isc_mode(text: &str) -> Result<IscMode, String> {
    match text {
        "reference" => Ok(IscMode::Reference),
        "normalised" => Ok(IscMode::Normalised),
        "phase" => Ok(IscMode::Phase),
        _ => Err("expected reference, normalised or phase".into()),
    }
}

pub(super) fn noise(text: &str) -> Result<RandomNoise, String> {
    let (name, share) = match text.split_once(':') {
        Some((name, share)) => {
            let share = share
                .parse::<f64>()
                .map_err(|_| format!("'{share}' is no share"))?;
            (name, Some(share))
        }
        None => (text, None),
    };
    match (name, share) {
        ("uniform", None) => Ok(RandomNoise::Uniform),
        ("gaussian", None) => Ok(RandomNoise::Gaussian),
        ("rademacher", None) => Ok(RandomNoise::Rademacher),
        ("salt-and-pepper", share) => Ok(RandomNoise::SaltAndPepper {
            share: share.unwrap_or(0.1),
        }),
        ("sparse", share) => Ok(RandomNoise::Sparse {
            share: share.unwrap_or(0.1),
        }),
        _ => Err(
            "expected uniform, gaussian, rademacher, salt-and-pepper[:SHARE] or sparse[:SHARE]"
                .into(),
        ),
    }
}

/// A number of things of which there has to be one.
pub(super) fn count(text: &str) -> Result<usize, String> {
    let number = text.trim().parse::<usize>().ok();
    number
        .filter(|&number| number > 0)
        .ok_or_else(|| "expected a whole number above 0".into())
}

pub(super) fn patch(text: &str) -> Result<[usize; 3], String> {
    let sizes = per_axis::<usize>(text)?;
    match sizes.contains(&0) {
        false => Ok(sizes),
        true => Err("expected sizes above 0".into()),
    }
}

pub(super) fn spacing(text: &str) -> Result<[f64; 3], String> {
    let spacing = per_axis::<f64>(text)?;
    match spacing.iter().all(|&mm| mm > 0.0 && mm.is_finite()) {
        true => Ok(spacing),
        false => Err("expected positive millimetres".into()),
    }
}

/// D,H,W or one value for all.
fn per_axis<T: std::str::FromStr + Copy>(text: &str) -> Result<[T; 3], String> {
    let hint = || "expected D,H,W or one number".to_owned();
    let values: Vec<T> = text
        .split(',')
        .map(|n| n.trim().parse().map_err(|_| hint()))
        .collect::<Result<_, _>>()?;
    match values[..] {
        [n] => Ok([n; 3]),
        [d, h, w] => Ok([d, h, w]),
        _ => Err(hint()),
    }
}

pub(super) fn network(text: &str) -> Result<String, String> {
    let known = Architecture::find(text).map_err(|error| error.to_string())?;
    Ok(known.name.to_owned())
}

pub(super) fn method(text: &str) -> Result<String, String> {
    match PerturbationMethod::find(text) {
        Some(method) => Ok(method.name.to_owned()),
        None => {
            let names: Vec<_> = METHODS.iter().map(|method| method.name).collect();
            Err(format!("expected one of {}", names.join(", ")))
        }
    }
}

pub(super) fn named(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), PathBuf::from(path)))
        }
        _ => Err("expected NAME=DIR".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parsed_or_refused() {
        assert_eq!(epsilon("4/255").unwrap(), 4.0 / 255.0);
        assert_eq!(epsilon("0.5").unwrap(), 0.5);
        for bad in ["0", "2", "-1/3", "x", "1/0", "0/0"] {
            assert!(epsilon(bad).is_err(), "{bad}");
        }
        assert_eq!(patch("16").unwrap(), [16; 3]);
        assert_eq!(patch("8,16,24").unwrap(), [8, 16, 24]);
        assert!(patch("8,16").is_err() && patch("8,0,8").is_err());
        assert_eq!(count("3"), Ok(3));
        assert!(count("0").is_err() && count("-1").is_err());
        assert_eq!(spacing("2.5,1,1").unwrap(), [2.5, 1.0, 1.0]);
        assert!(spacing("0").is_err() && spacing("1,nan,1").is_err());
        assert_eq!(method("checkerboard").unwrap(), "checkerboard");
        assert!(method("chequerboard").unwrap_err().contains("voxshield"));
        let error = network("u-net").unwrap_err();
        assert!(error.contains("residual-unet"), "{error}");
        assert_eq!(
            noise("sparse:0.3").unwrap(),
            RandomNoise::Sparse { share: 0.3 }
        );
        assert!(noise("uniform:0.3").is_err());
        assert_eq!(support("full").unwrap(), Support::Full);
        let contour = Support::Contour { width: 3 };
        assert_eq!(support("contour").unwrap(), contour);
        assert_eq!(support("contour:3").unwrap(), contour);
        let top = Support::TopK { share: 0.2 };
        assert_eq!(support("top-k:0.2").unwrap(), top);
        let soft = Support::SoftRoi(SoftRoi::REFERENCE);
        assert_eq!(support("soft-roi").unwrap(), soft);
        assert_eq!(support("soft-roi:3,2,2").unwrap(), soft);
        for bad in [
            "soft",
            "soft-roi:",
            "soft-roi:4,2,2",
            "soft-roi:3,2",
            "soft-roi:3,2,2,2",
            "soft-roi:3,2,-1",
            "contour:0",
            "top-k",
            "top-k:0",
            "keyed-random:1.5",
            "full:1",
        ] {
            assert!(support(bad).is_err(), "{bad}");
        }
    }
}
