use std::time::Instant;

use super::{
    EvaluateEvent, EvaluateOptions, EvaluatePaths,
    cell::{caught, run_cell},
    controls::random_control,
    countermeasure::Countermeasure,
    labelled::LabelledSet,
    plan::{Context, NamedSet, PlannedCell, left_out, plan},
    purify::{PURIFIER, Pairs, attackers_data},
    quality::quality,
    record::record,
    report::write_report,
    store::{Store, write_json},
    utility::{utility, without_weights},
};
use crate::{
    eval::{
        EvalError, Preprocessing,
        record::{Cell, EvaluationRecord, Quality, Role},
    },
    models::{Architecture, ModelError, NetworkSpec},
    perturb::PerturbError,
    pipeline::{PipelineError, check_apart},
};

/// Trains every victim on the files of every training set and tests it on clean cases.
///
/// With `clean`, the table has its controls: the clean originals, and random noise of the same budget and
/// support, which the program writes into the work folder. Finished cells are kept there and
/// never computed twice; a cell that fails is reported as failed, and the others go on. The record is
/// written there as `evaluation.json` and `report.html`.
///
/// # Errors
/// [`PipelineError`] if the evaluation cannot be done at all: a patch that a victim's network does not take, a test case that
/// is in a training set, an unknown defence, a work folder inside a dataset, a dataset without labelled cases, a full disk.
pub fn evaluate(
    paths: &EvaluatePaths,
    options: &EvaluateOptions,
    observer: &mut dyn FnMut(EvaluateEvent<'_>),
) -> Result<EvaluationRecord, PipelineError> {
    validate(options)?;
    let defences = Countermeasure::resolve(&options.defences)?;
    let datasets = [&paths.protected, &paths.test]
        .into_iter()
        .chain(&paths.clean)
        .chain(&paths.attacker);
    for root in datasets.chain(paths.compare.iter().map(|(_, root)| root)) {
        check_apart(root, &paths.work)?;
    }
    let (context, mut notes) = open(paths, options, defences, observer)?;
    notes.extend(left_out(&context)?);
    for note in &notes {
        observer(EvaluateEvent::Note(note));
    }
    let planned = plan(&context)?;
    let store = Store::open(&paths.work)?;
    let cells = run_cells(&context, &planned, &store, observer)?;
    observer(EvaluateEvent::Stage("comparing"));
    let quality = qualities(&context, &planned, &store, &mut notes);
    let failed = cells
        .iter()
        .filter(|cell| cell.outcome.result().is_none())
        .count();
    if failed > 0 {
        notes.push(format!(
            "{failed} of {} victims failed; see the cells",
            cells.len()
        ));
    }
    let record = record(&context, cells, quality, notes);
    write_json(&paths.work.join("evaluation.json"), &record)?;
    write_report(&context, &record, &paths.work.join("report.html"))?;
    Ok(record)
}

/// Refuses what can be refused before anything is read: that is hours before the victim that it is about.
fn validate(options: &EvaluateOptions) -> Result<(), PipelineError> {
    let positive = [
        ("steps", options.training.steps),
        ("steps between two tests", options.test_every),
        ("batch", options.training.batch),
        ("seeds", options.seeds as usize),
        ("victims", options.victims.len()),
        ("augmentations", options.augmentations.len()),
    ];
    if let Some((what, _)) = positive.iter().find(|(_, value)| *value == 0) {
        return Err(PipelineError::NothingToDo { what });
    }
    let device = options.device.open()?;
    for victim in &options.victims {
        let network = &victim.network;
        let (what, patch) = match victim.preprocessing {
            Preprocessing::Paper => ("grid (--grid)", options.grid),
            _ => ("patch size (--patch)", options.training.patch),
        };
        let spacing = match victim.preprocessing {
            // nnU-Net's networks are planned for the spacing of the dataset where none was asked for: not known yet.
            Preprocessing::NnUnet if network.starts_with("nnunet") => options.target_spacing,
            _ => Some([1.0; 3]),
        };
        let Some(spacing) = spacing else { continue };
        let spec = NetworkSpec {
            patch,
            spacing,
            width: options.width(),
            ..NetworkSpec::new(1, 2)
        };
        let known = Architecture::find(network).map_err(EvalError::from)?;
        let [depth, height, width] = patch;
        let fits = known
            .init(&spec, 0, &device)
            .and_then(|built| built.check_input(&[1, 1, depth, height, width]));
        if let Err(error) = fits {
            let expected = match error {
                ModelError::InputSize { multiple, .. } => {
                    format!("multiples of {multiple:?} voxels for {network}")
                }
                error => format!("what {network} takes ({error})"),
            };
            let found = format!("{patch:?}");
            return Err(PerturbError::Config {
                what,
                expected,
                found,
            }
            .into());
        }
    }
    Ok(())
}

/// Reads the datasets, writes the random control, and checks that no test case is trained on.
fn open<'a>(
    paths: &EvaluatePaths,
    options: &'a EvaluateOptions,
    defences: Vec<String>,
    observer: &mut dyn FnMut(EvaluateEvent<'_>),
) -> Result<(Context<'a>, Vec<String>), PipelineError> {
    observer(EvaluateEvent::Stage("reading"));
    let device = options.device.open()?;
    let test = LabelledSet::open(&paths.test, options.max_memory)?;
    let protected = LabelledSet::open(&paths.protected, options.max_memory)?;
    let (mut sets, mut notes) = (Vec::new(), Vec::new());
    let named = |name: &str, role, set| NamedSet {
        name: name.to_owned(),
        role,
        set,
        pairs: None,
    };
    match &paths.clean {
        None => notes.push(
            "no clean originals were given, so the clean and random controls are missing: \
             the numbers of the protected set alone say little"
                .to_owned(),
        ),
        Some(root) => {
            let clean = LabelledSet::open(root, options.max_memory)?;
            match protected.manifest {
                Some(_) => {
                    let folder =
                        random_control(&clean, &protected, options, &paths.work, observer)?;
                    sets.push(named("clean", Role::Clean, clean));
                    sets.push(named(
                        "random",
                        Role::Random,
                        LabelledSet::open(&folder, options.max_memory)?,
                    ));
                }
                None => {
                    notes.push(
                        "the set under test has no manifest, so the random control is missing: \
                         its budget and support are not known"
                            .to_owned(),
                    );
                    sets.push(named("clean", Role::Clean, clean));
                }
            }
        }
    }
    for (name, root) in &paths.compare {
        sets.push(named(
            name,
            Role::Other,
            LabelledSet::open(root, options.max_memory)?,
        ));
    }
    sets.push(named("protected", Role::Protected, protected));
    for (index, set) in sets.iter().enumerate() {
        set.set.check_disjoint(&test)?;
        if set.set.channels != test.channels {
            return Err(PipelineError::Channels {
                path: paths.test.clone(),
                expected: set.set.channels,
                found: test.channels,
            });
        }
        notes.extend(set.set.compare_labels(&set.name, &test)?);
        if sets[..index].iter().any(|other| other.name == set.name) {
            return Err(PipelineError::SameName {
                name: set.name.clone(),
            });
        }
    }
    if defences.iter().any(|name| name == PURIFIER) {
        match &paths.attacker {
            None => notes.push(
                "the paired purifier is left out: it needs clean data of the attacker's own"
                    .to_owned(),
            ),
            Some(root) => {
                let others = sets.iter().map(|set| &set.set).chain([&test]);
                let attacker = attackers_data(root, others, options.max_memory)?;
                for set in sets
                    .iter_mut()
                    .filter(|set| set.set.manifest.is_some() && set.role != Role::Random)
                {
                    let pairs = Pairs::make(&attacker, &set.set, options, &paths.work, observer)?;
                    set.pairs = Some(pairs);
                }
            }
        }
    }
    let context = Context {
        options,
        device,
        defences,
        sets,
        test,
    };
    Ok((context, notes))
}

fn run_cells(
    context: &Context<'_>,
    planned: &[PlannedCell],
    store: &Store,
    observer: &mut dyn FnMut(EvaluateEvent<'_>),
) -> Result<Vec<Cell>, PipelineError> {
    let keep_failed = !context.options.retry_failed;
    let mut cells: Vec<Option<Cell>> = planned
        .iter()
        .map(|cell| {
            let key = cell.key.clone();
            store
                .cell(&cell.hash, keep_failed)
                .map(|found| Cell { key, ..found })
        })
        .collect();
    let total = planned.len();
    let mut done = cells.iter().flatten().count();
    observer(EvaluateEvent::Planned {
        cells: total,
        finished: done,
    });
    let (start, before) = (Instant::now(), done);
    for (planned, cell) in planned.iter().zip(&mut cells) {
        if cell.is_some() {
            continue;
        }
        let key = &planned.key;
        observer(EvaluateEvent::CellStarted { key, done, total });
        let finished = run_cell(context, planned, store, &mut |done, total| {
            observer(EvaluateEvent::CellStep { done, total });
        });
        store.write(&finished.hash, &finished)?;
        done += 1;
        let each = start.elapsed().as_secs_f64() / (done - before) as f64;
        observer(EvaluateEvent::CellFinished {
            cell: &finished,
            seconds_left: each * (total - done) as f64,
        });
        *cell = Some(finished);
    }
    Ok(cells.into_iter().flatten().collect())
}

/// How much each set differs from the clean one. What cannot be compared is a note: hours of training are not lost for it.
fn qualities(
    context: &Context<'_>,
    planned: &[PlannedCell],
    store: &Store,
    notes: &mut Vec<String>,
) -> Vec<Quality> {
    let Some(clean) = context.clean() else {
        return Vec::new();
    };
    let missing = without_weights(context, planned, store);
    if !missing.is_empty() {
        let networks: Vec<String> = missing
            .iter()
            .map(|key| format!("{}@{}", key.network, key.preprocessing.name()))
            .collect();
        notes.push(format!(
            "what protected files cost honest users of these networks is not known, because the work folder has no weights of the clean control: {}",
            networks.join(", ")
        ));
    }
    let mut all = Vec::new();
    for named in context.sets.iter().filter(|set| set.role != Role::Clean) {
        let name = &named.name;
        match caught(|| quality(context, named, clean)) {
            Ok(None) => {}
            Ok(Some(mut quality)) => {
                match caught(|| utility(context, planned, named, clean, store)) {
                    Ok(utility) => quality.utility = utility,
                    Err(reason) => {
                        notes.push(format!(
                            "what {name} costs honest users is not known: {reason}"
                        ));
                    }
                }
                all.push(quality);
            }
            Err(reason) => notes.push(format!("{name} cannot be compared with clean: {reason}")),
        }
    }
    all
}
