//! A directory in which a real program lets files pile up: the exporter counts them, and says that it is they that grow.

use crate::{
    exporter::{Exporter, Scratch},
    process::Process,
};
use std::{fs, path::Path, time::Duration};

const PATIENCE: Duration = Duration::from_secs(600);
/// Files that the program makes in a second.
const FILES_PER_SEC: f64 = 50.0;

/// Files whose name ends so.
fn count(directory: &Path, ending: &str) -> f64 {
    let entries = fs::read_dir(directory).expect("our own directory").filter_map(Result::ok);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    f64::from(u32::try_from(names.filter(|name| name.ends_with(ending)).count()).expect("few"))
}

/// Large directories are gone through at every reading: once a minute would be half an hour of this trial.
fn configuration(directory: &Path, run: &str) -> String {
    let directory = directory.display();
    format!(
        "sampling: {{interval: 100ms}}\ncgroups: {{include: [nobody]}}\nhost: {{judge: []}}\n\
         attribution: {{targets: [planted], interval: 1s}}\ndirectories:\n\
         - {{name: event_files, path: {directory}, pattern: '.*\\.json', limit: {{files: 1000000}}}}\n\
         - {{name: missing, path: {directory}/none}}\nprocesses:\n  include: [planted]\n  rules:\n  \
         - {{name: planted, command_line: 'planted\\.py events .* {run}$'}}\n"
    )
}

#[test]
fn files_that_pile_up_are_told_to_be_what_grows() {
    let scratch = Scratch::new("directories");
    let directory = scratch.path.join("events");
    fs::create_dir(&directory).expect("our own directory");
    fs::write(directory.join("notes.txt"), "not counted").expect("our own directory");
    let run = format!("--run={}", std::process::id());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/planted/planted.py");
    let mut command = Process::command("python3");
    command.args(["-B", source, "events"]).arg(&directory).arg(&run);
    let mut program = Process::start(&mut command);
    program.line_with("ready", PATIENCE);
    let exporter = Exporter::start_configured(&scratch, &configuration(&directory, &run), &[]);
    exporter.scrape_until("the files as they are", PATIENCE, |scrape| {
        let shown = scrape.area("memleak_area_size_objects", "event_files", "files")?;
        // Counting takes a while in which more are made, and only in one direction.
        let made = count(&directory, ".json");
        (shown >= 100.0 && shown <= made && shown >= made - 5.0 * FILES_PER_SEC).then_some(())
    });
    let scrape = exporter.scrape_until("the files to be suspected", PATIENCE, |scrape| {
        let state = scrape.area("memleak_area_leak_state", "event_files", "files")?;
        (state >= 1.0).then(|| exporter.scrape())
    });
    // Its interval may hold zero for the first seconds of a suspicion.
    let growth = scrape.area("memleak_area_growth_objects_per_second", "event_files", "files");
    let close = growth.is_none_or(|growth| (0.5..=1.2).contains(&(growth / FILES_PER_SEC)));
    assert!(close, "{growth:?} files a second");
    let memory = scrape.area("memleak_area_leak_state", "planted", "anon");
    assert!(memory.is_none_or(|state| state == 0.0), "its memory does not leak: {memory:?}");
    let present = |name: &str| scrape.value("memleak_target_present", &[("target", name)]);
    assert_eq!((present("event_files"), present("missing")), (Some(1.0), Some(0.0)));
}
