//! The report as text: what it says, that it is self-contained, and that names cannot break out.

mod sample;

use base64::{Engine, prelude::BASE64_STANDARD};
use sample::{montages, record};
use voxshield_eval::record::{EvaluationRecord, Outcome, Summary};
use voxshield_eval::report::html;

/// What a browser sees as markup: the name of each tag with those of its attributes.
fn tags(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let mut tag = String::new();
        let mut quoted = false;
        let mut end = rest.len();
        for (i, c) in rest[start..].char_indices() {
            match c {
                '"' => quoted = !quoted,
                '>' if !quoted => {
                    end = start + i + 1;
                    break;
                }
                c if !quoted => tag.push(c),
                _ => {}
            }
        }
        found.push(tag);
        rest = &rest[end..];
    }
    found
}

const HOSTILE: &str = "</style></title></td>--><script>alert(1)</script><img src=x onerror=alert(2)>\" onclick=\"alert(3)\" '&amp;{{7*7}}";

#[test]
fn names_from_files_cannot_become_markup() {
    let benign = html(&record("set"), &montages("case").unwrap()).unwrap();
    let hostile = html(&record(HOSTILE), &montages(HOSTILE).unwrap()).unwrap();
    assert!(tags(&benign).len() > 500);
    assert_eq!(tags(&hostile), tags(&benign));
    assert!(hostile.contains("&#60;script&#62;alert(1)&#60;/script&#62;"));
    assert!(!hostile.contains("<script") && !hostile.contains("onerror=alert(2)>"));
    assert!(hostile.contains("{{7*7}}"), "shown as it is, not evaluated");
}

#[test]
fn nothing_is_fetched_and_nothing_runs() {
    let page = html(&record("set"), &montages("case").unwrap()).unwrap();
    // Base64 may hold two slashes.
    let mut parts = page.split("data:image/png;base64,");
    let first = parts.next().unwrap();
    let rest = parts.map(|part| part.split_once('"').unwrap().1);
    let outside: String = [first].into_iter().chain(rest).collect();
    for word in [
        "http:", "https:", "//", "<script", "<link", "<iframe", "@import", "url(", "srcset",
    ] {
        assert!(!outside.contains(word), "{word}");
    }
    assert!(page.contains("default-src 'none'"));
    let sources = page.matches("src=\"").count();
    assert_eq!(
        sources,
        page.matches("src=\"data:image/png;base64,").count()
    );
    assert_eq!(sources, 6);
}

#[test]
fn pictures_are_those_of_the_montages() {
    let montages = montages("case").unwrap();
    let page = html(&record("set"), &montages).unwrap();
    let pictures = montages.iter().flat_map(|montage| &montage.pictures);
    let data = page.split("data:image/png;base64,").skip(1);
    for (data, picture) in data.zip(pictures) {
        let file = BASE64_STANDARD
            .decode(data.split('"').next().unwrap())
            .unwrap();
        let decoded = image::load_from_memory(&file).unwrap().into_luma8();
        assert_eq!(decoded.into_raw(), picture.pixels());
    }
}

#[test]
fn the_worst_case_is_the_headline_beside_its_controls() {
    let record = record("mine");
    let page = html(&record, &[]).unwrap();
    // The sample's victims reach 0.62 (+-0.02 by seed) behind a blur, 0.9 on clean files.
    let headline = page.split("<section class=\"headline\">").nth(1).unwrap();
    let headline = headline.split("</section>").next().unwrap();
    for text in [
        "Worst case of “mine”: Dice <strong>0.620 ± 0.020</strong>",
        "69 % of what clean files teach is left",
        "residual-unet, plain preprocessing, no augmentation, defence gaussian-blur:1",
        "best victim of “clean”",
        "0.900 ± 0.020",
        "0.880 ± 0.020",
        "failed cells: 1",
        "Random noise was not tried with this victim and defence",
    ] {
        assert!(headline.contains(text), "{text}: {headline}");
    }
    assert!(!headline.contains("Random noise does about the same"));
    assert!(!headline.contains("with clean cases too"));
}

#[test]
fn every_number_of_the_record_is_in_its_table() {
    let record = record("mine");
    let page = html(&record, &[]).unwrap();
    for row in &record.summary.rows {
        for spread in [row.last, row.peak].into_iter().flatten() {
            let text = match spread.count {
                1 => format!("<td>{:.3}</td>", spread.mean),
                _ => format!("<td>{:.3} ± {:.3}</td>", spread.mean, spread.sd),
            };
            assert!(page.contains(&text), "{text}");
        }
    }
    for text in [
        "38.12",
        "0.0157",
        "out of memory",
        "a note",
        "0123456789abcdef",
        "clean control",
        "44.82",
        "no augmentation, seed 0, 16 cases: 0.900 → 0.897",
        // The standard error over nine cases.
        "<td>0.009</td>",
        "evaluation revision 7",
        "4 patches of 32 × 32 × 32 (plain), 160 × 144 × 128 (paper: the grid) voxels",
        "2.5 × 0.8 × 0.8 mm",
        "bf16, checkpointing",
        "Rademacher",
        "without defences",
    ] {
        assert!(page.contains(text), "{text}");
    }
    // Each finished victim without a defence is a line for Dice and one for the loss; of the others only
    // the three seeds of the worst case are drawn.
    let plain = record
        .cells
        .iter()
        .filter(|cell| cell.key.defence == "none");
    let plain = plain.filter(|cell| cell.outcome.result().is_some()).count();
    let lines = page.matches("<polyline class=\"line s").count();
    let spectra = 3 * record.quality.len();
    assert_eq!(lines, 2 * (plain + 3) + spectra);
}

/// With two seeds there is no verdict, and what clean cases teach stands apart.
#[test]
fn few_seeds_are_no_verdict_and_clean_cases_stand_apart() {
    let full = record("mine");
    let mut cells: Vec<_> = full
        .cells
        .iter()
        .filter(|c| c.key.seed < 2)
        .cloned()
        .collect();
    let mixed = cells.iter().filter(|cell| cell.key.training_set == "mine");
    let mixed = mixed.filter(|cell| cell.key.defence == "gaussian-blur:1");
    let mixed: Vec<_> = mixed
        .cloned()
        .map(|mut cell| {
            cell.key.defence = "clean-mix".into();
            if let Outcome::Done(result) = &mut cell.outcome {
                result.peak.mean_dice += 0.13;
            }
            cell
        })
        .collect();
    cells.extend(mixed);
    let two = EvaluationRecord {
        summary: Summary::of(&cells),
        cells,
        ..full
    };
    let page = html(&two, &[]).unwrap();
    for text in [
        "No verdict from 2 seeds:",
        "Dice <strong>0.620 ± 0.028</strong>",
        "with clean cases too",
        "0.750 ± 0.028, residual-unet, plain preprocessing, no augmentation, defence clean-mix",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("of what clean files teach is left"));
}

#[test]
fn tables_and_pictures_are_described() {
    let page = html(&record("set"), &montages("case").unwrap()).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
    for tag in tags(&page) {
        let name = tag.split_whitespace().next().unwrap_or_default();
        let has = |attribute: &str| tag.contains(&format!(" {attribute}="));
        match name {
            "<th" => assert!(has("scope"), "{tag}"),
            "<img" => assert!(has("alt") && has("width") && has("height"), "{tag}"),
            "<svg" => assert!(
                has("role") && has("aria-label") || has("aria-hidden"),
                "{tag}"
            ),
            _ => {}
        }
    }
    // Every element is closed.
    let count = |name: &str| page.matches(&format!("<{name}")).count();
    for name in [
        "section", "table", "details", "figure", "svg", "dl", "div", "ul", "thead", "tbody",
    ] {
        let opened = count(&format!("{name}>")) + count(&format!("{name} "));
        assert_eq!(opened, count(&format!("/{name}>")), "{name}");
    }
}

#[test]
fn a_record_in_which_everything_failed_is_a_page_as_well() {
    let full = record("set");
    let cells: Vec<_> = full
        .cells
        .iter()
        .cloned()
        .map(|mut cell| {
            cell.outcome = Outcome::Failed {
                reason: "no memory".into(),
            };
            cell
        })
        .collect();
    let failed = EvaluationRecord {
        summary: Summary::of(&cells),
        cells,
        quality: Vec::new(),
        ..full
    };
    let page = html(&failed, &[]).unwrap();
    assert!(page.contains("<h2>No result</h2>"));
    assert!(page.contains("no memory"));
    assert!(!page.contains("<polyline") && !page.contains("What it looks like"));
}

/// For a look at it: `report.html` in the folder that cargo gives integration tests.
#[test]
fn the_sample_is_written_for_the_eye() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.html");
    let page = html(&record("protected"), &montages("hippocampus_042").unwrap()).unwrap();
    std::fs::write(&path, &page).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), page);
}
