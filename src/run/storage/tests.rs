//! The directory: what is saved is found again, what is broken is set aside, and one exporter alone uses it.

use super::*;
use crate::{
    export::own::{BuildInfo, Start},
    run::watch::tests::watching,
};
use std::os::unix::fs::PermissionsExt as _;

/// A directory with a procfs that knows the boot, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("memleak-storage-{name}-{}", std::process::id()));
        let place = Self(path);
        place.boots("first");
        place
    }

    fn boots(&self, id: &str) {
        let random = self.0.join("proc/sys/kernel/random");
        fs::create_dir_all(&random).unwrap();
        fs::write(random.join("boot_id"), format!("{id}\n")).unwrap();
    }

    fn directory(&self) -> PathBuf {
        self.0.join("a/b")
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.directory().join(name)).ok()
    }

    fn open(&self) -> anyhow::Result<Storage> {
        Storage::open(&self.directory(), &self.0.join("proc"))
    }

    /// Leaves a state behind.
    fn save(&self, own: &Own) {
        self.open().unwrap().finish(&watching(), &Clock::start(), own);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

fn own() -> Own {
    let build = BuildInfo { version: "1", revision: "a", rustversion: "1" };
    let own = Own::new(&build, &Start { loaded_at: 1.0, interval_secs: 3.0 }).unwrap();
    own.state_is_kept();
    own
}

/// Failures so far, and whether there was a save.
fn told(own: &Own) -> (f64, bool) {
    let families = own.gather();
    let family = |part: &str| families.iter().find(|family| family.name().contains(part));
    let failures =
        family("save_failures").map_or(f64::NAN, |family| family.get_metric()[0].get_counter().get_value());
    (failures, family("last_save").is_some())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_saved_is_found_by_the_next_run_and_its_clock_goes_on() {
    let place = Place::new("found");
    let own = own();
    let clock = Clock::start();
    let before = clock.now().steady;
    place.save(&own);
    assert_eq!(told(&own), (0.0, true));
    assert_eq!((mode(&place.directory()), mode(&place.directory().join(STATE))), (0o700, 0o600));
    assert_eq!(place.file(NEW), None);

    let mut next = place.open().unwrap();
    assert!(next.found.is_some());
    assert!(next.clock().unwrap().now().steady >= before);
    next.hand_over(&mut watching());
    assert!(next.found.is_none());
}

#[test]
fn a_state_that_cannot_be_used_is_set_aside() {
    let place = Place::new("broken");
    let own = own();
    let state = place.directory().join(STATE);
    place.save(&own);
    let whole = place.file(STATE).unwrap();
    for (name, spoilt) in [("cut", &whole[..whole.len() - 1]), ("foreign", b"else"), ("empty", b"")] {
        fs::write(&state, spoilt).unwrap();
        assert!(place.open().unwrap().found.is_none(), "{name}");
        assert_eq!((place.file(STATE), place.file(BROKEN).as_deref()), (None, Some(spoilt)), "{name}");
    }
    fs::write(&state, &whole).unwrap();
    place.boots("second");
    assert!(place.open().unwrap().found.is_none());
    assert_eq!(place.file(BROKEN), Some(whole.clone()));
    fs::write(&state, &whole).unwrap();
    place.boots("first");
    assert!(place.open().unwrap().found.is_some(), "the same boot after all");

    // As if the machine's monotonic clock had gone back.
    let mark = Mark { monotonic_secs: 1e15, ..Clock::start().mark() };
    let mut file = watching().encode(envelope::begin("first", mark).unwrap(), MOST_BYTES).unwrap().bytes;
    envelope::seal(&mut file);
    fs::write(&state, file).unwrap();
    let mut storage = place.open().unwrap();
    storage.clock().unwrap();
    assert!(storage.found.is_none() && place.file(STATE).is_none());
}

#[test]
fn what_keeps_it_from_starting_says_what_to_do() {
    let place = Place::new("refused");
    let refused = |storage: anyhow::Result<Storage>| format!("{:#}", storage.err().expect("refused"));
    let first = place.open().unwrap();
    let error = refused(place.open());
    assert!(error.contains("another memleak_exporter uses") && error.contains("a/b"), "{error}");
    drop(first);
    drop(place.open().unwrap());

    let file = place.0.join("file");
    fs::write(&file, "").unwrap();
    let error = refused(Storage::open(&file.join("below"), &place.0.join("proc")));
    assert!(error.contains("cannot create the directory"), "{error}");
    let error = refused(Storage::open(&place.directory(), &place.0));
    assert!(error.contains("boot_id"), "{error}");
}

#[test]
fn a_save_that_fails_is_counted_and_the_next_one_works_again() {
    let place = Place::new("fails");
    let (own, clock, watch) = (own(), Clock::start(), watching());
    let mut storage = place.open().unwrap();
    fs::remove_dir_all(place.directory()).unwrap();
    storage.tick(&watch, &clock, &own);
    storage.wait(&own);
    assert_eq!((told(&own), storage.is_failing), ((1.0, false), true));
    fs::create_dir_all(place.directory()).unwrap();
    storage.finish(&watch, &clock, &own);
    assert_eq!(told(&own), (1.0, true));
    assert!(place.file(STATE).is_some());
}

#[test]
fn nothing_is_begun_while_a_save_is_under_way() {
    let place = Place::new("busy");
    let (own, clock, watch) = (own(), Clock::start(), watching());
    let mut storage = place.open().unwrap();
    let (jobs, todo) = mpsc::sync_channel(1);
    let (_done, outcomes) = mpsc::sync_channel(1);
    storage.writer = Writer { jobs, outcomes, under_way: None };
    for _ in 0..3 {
        storage.taken_at = None;
        storage.tick(&watch, &clock, &own);
    }
    assert_eq!((todo.try_iter().count(), told(&own)), (1, (0.0, false)));
}

#[test]
fn a_save_is_due_every_minute_and_sooner_with_news() {
    for (since_secs, has_news, pace, due) in [
        (None, false, 1.0, true),
        (Some(59.0), false, 1.0, false),
        (Some(60.0), false, 1.0, true),
        (Some(4.0), true, 1.0, false),
        (Some(5.0), true, 1.0, true),
        (Some(2.0), false, 1.0 / 30.0, true),
    ] {
        assert_eq!(is_due(since_secs, has_news, pace), due, "{since_secs:?} {has_news} {pace}");
    }
}
