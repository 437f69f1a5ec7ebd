//! The command line from outside: exit codes, messages, and that nothing is started when something is wrong.

use crate::{
    exporter::{Exporter, Scratch, get, request},
    process::{Process, wait_for},
};
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::Signal,
};
use std::{fs, net::TcpListener, path::PathBuf, time::Duration};

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the binary to its end: exit code and output.
fn run(flags: &[&str]) -> (Option<i32>, String) {
    let mut process = Process::start(Exporter::command().args(flags));
    let status = process.wait(PATIENCE);
    let output =
        wait_for("the rest of the output", PATIENCE, || process.has_said_all().then(|| process.output()));
    (status.code(), output)
}

fn bad_configurations() -> Vec<PathBuf> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config/bad");
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .expect("the broken configurations")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yml"))
        .collect();
    files.sort();
    files
}

#[test]
fn each_broken_configuration_is_refused_with_all_its_mistakes_and_nothing_starts() {
    let files = bad_configurations();
    assert!(files.len() >= 20, "{} broken configurations", files.len());
    for file in files {
        let expected = fs::read_to_string(file.with_extension("err")).expect("the messages");
        // An address that cannot be bound: had it been tried, the code would be another one.
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("bound").to_string();
        let (code, output) =
            run(&[&format!("--config.file={}", file.display()), &format!("--web.listen-address={address}")]);
        let name = file.file_name().expect("a file").to_string_lossy().into_owned();
        let shown = output.replace(&file.display().to_string(), &name);
        assert_eq!((code, shown.trim_end()), (Some(78), expected.trim_end()), "{name}");
    }
}

#[test]
fn the_check_says_what_is_wrong_or_that_all_is_good() {
    let scratch = Scratch::new("check");
    let good = scratch.write("good.yml", "sampling:\n  interval: 5s\n");
    let (code, output) = run(&["--config.check", &format!("--config.file={}", good.display())]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("the configuration is good"), "{output}");
    let bad = scratch.write("bad.yml", "sampling:\n  interval: soon\n");
    let (code, output) = run(&["--config.check", &format!("--config.file={}", bad.display())]);
    assert_eq!(code, Some(78), "{output}");
    assert!(output.contains(":2:"), "{output}");
}

#[test]
fn wrong_flags_and_taken_addresses_say_so() {
    let (code, output) = run(&["--web.listen-adress=:1"]);
    assert_eq!(code, Some(2));
    assert!(output.contains("--web.listen-address"), "{output}");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let (code, output) = run(&[&format!("--web.listen-address={address}")]);
    assert_eq!(code, Some(1));
    assert!(output.contains(&address), "{output}");
}

#[test]
fn flags_that_cannot_be_meant_are_errors_of_the_command_line() {
    for flag in [
        "--web.listen-address=10099",
        "--web.telemetry-path=/-/metrics",
        "--web.external-url=a.example",
        "--web.route-prefix=/a?b",
    ] {
        let (code, output) = run(&[flag]);
        let name = flag.split('=').next().expect("not empty");
        assert_eq!(code, Some(2), "{flag}: {output}");
        assert!(output.contains(name), "{flag}: {output}");
    }
}

#[test]
fn without_a_collector_it_does_not_say_that_it_watches() {
    let exporter =
        Exporter::start(&["--collector.disable-defaults", "--web.external-url=http://a.example/leaks/"]);
    let output = exporter.process.output();
    assert!(output.contains("nothing is watched") && !output.contains("watching "), "{output}");
    assert!(output.contains("/leaks/metrics"), "{output}");
    assert_eq!(get(&exporter.url("/metrics")).0, 200);
}

/// An exporter whose collector hangs: nobody ever writes to the file that it reads first of the only process.
fn hanging(scratch: &Scratch) -> Exporter {
    let process = scratch.path.join("proc/1");
    fs::create_dir_all(&process).expect("our own directory");
    mknodat(CWD, process.join("statm"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
    let procfs = format!("--path.procfs={}", scratch.path.join("proc").display());
    Exporter::start_configured(scratch, "sampling:\n  interval: 30s\n", &[&procfs])
}

#[test]
fn a_collector_that_hangs_holds_up_neither_the_pages_nor_the_end() {
    let scratch = Scratch::new("hanging");
    let mut exporter = hanging(&scratch);
    assert_eq!(get(&exporter.url("/-/healthy")).0, 200);
    assert_eq!(get(&exporter.url("/metrics")).0, 200);
    exporter.process.signal(Signal::TERM);
    assert!(exporter.process.wait(Duration::from_secs(15)).success(), "in the midst of a tick");
}

#[test]
fn a_collector_that_hangs_is_a_failed_one() {
    let scratch = Scratch::new("hanging-on");
    let mut exporter = hanging(&scratch);
    let success = exporter.scrape_until("the first tick", PATIENCE, |scrape| {
        scrape.value("memleak_exporter_ticks_total", &[]).filter(|ticks| *ticks > 0.0)?;
        scrape.value("memleak_exporter_collector_success", &[("collector", "process")])
    });
    assert!(success.abs() < 1e-9, "{success}");
    assert_eq!(get(&exporter.url("/-/healthy")).0, 200);
    assert!(exporter.process.end().success());
}

#[test]
fn who_is_told_twice_to_end_ends_at_once() {
    let scratch = Scratch::new("twice");
    // It takes connections and never answers, so that the last push takes all of its time.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = silent.local_addr().expect("bound");
    let configuration = format!("otlp:\n  endpoint: http://{endpoint}\n  protocol: http/protobuf\n");
    let mut exporter = Exporter::start_configured(&scratch, &configuration, &[]);
    wait_for("a batch to push", PATIENCE, || (exporter.ticks() > 0.0).then_some(()));
    exporter.process.signal(Signal::TERM);
    exporter.process.line_with("told to end", PATIENCE);
    exporter.process.signal(Signal::INT);
    assert_eq!(exporter.process.wait(PATIENCE).code(), Some(1));
    let output = exporter.process.output();
    assert!(!output.contains("stopped"), "{output}");
}

#[test]
fn it_says_what_it_watches_serves_its_pages_and_ends_on_request() {
    let mut exporter = Exporter::start(&["--log.format=json"]);
    let line = exporter.process.line_with("watching every process", PATIENCE);
    let line: serde_json::Value = serde_json::from_str(&line).expect("a JSON log line");
    assert_eq!(line["collectors"], "process,cgroup,host,application,attribution,jvm,directory,push");
    assert_eq!(get(&exporter.url("/-/healthy")).0, 200);
    wait_for("readiness", PATIENCE, || (get(&exporter.url("/-/ready")).0 == 200).then_some(()));
    let (code, page) = get(&exporter.url("/"));
    assert_eq!(code, 200);
    assert!(page.contains("memleak_exporter") && page.contains("/metrics"), "{page}");
    assert_eq!(get(&exporter.url("/nowhere")).0, 404);
    assert_eq!(get(&exporter.url("/metrics?collect[]=nothing")).0, 400);
    assert_eq!(get(&exporter.url("/metrics?collect[]=process&exclude[]=process")).0, 400);
    let (_, without) = get(&exporter.url("/metrics?exclude[]=process"));
    assert!(without.contains("build_info") && !without.contains("kind=\"process\""), "{without}");
    let (_, host) = get(&exporter.url("/metrics?collect[]=host"));
    assert!(host.contains("memleak_area") && !host.contains("kind=\"cgroup\""), "{host}");
    assert!(exporter.process.end().success());
    assert!(exporter.process.output().contains("stopped"));
}

#[test]
fn it_shows_this_machines_processes_and_itself_within_two_intervals() {
    let exporter = Exporter::start(&[]);
    let scrape = exporter.scrape_until("this machine's processes", PATIENCE, |scrape| {
        scrape.area("memleak_area_size_bytes", "memleak_exporter", "anon").map(|_| scrape.clone())
    });
    assert!(scrape.value("memleak_exporter_ticks_total", &[]).expect("ticks") <= 2.0);
    let own = i32::try_from(exporter.process.pid()).expect("a pid");
    let seen = scrape.all("memleak_target_present", &[]).count();
    assert!(seen > 3, "{seen} targets, with pid {own}");
    for area in ["anon", "rss", "rss_peak", "swap"] {
        assert!(scrape.area("memleak_area_size_bytes", "memleak_exporter", area).is_some(), "{area}");
    }
    for area in ["fds", "threads"] {
        assert!(scrape.area("memleak_area_size_objects", "memleak_exporter", area) > Some(0.0), "{area}");
    }
    let limit =
        scrape.area("memleak_area_limit_bytes", "memleak_exporter", "anon").expect("the host's at least");
    assert!(limit > 1e8, "{limit}");
}

#[test]
fn collectors_are_switched_by_their_names() {
    for (flags, watching) in [
        (
            &["--no-collector.cgroup"][..],
            "watching every process, the machine itself, the parts of suspects and the heaps of JVMs",
        ),
        (&["--collector.disable-defaults", "--collector.host"], "watching the machine itself"),
        (
            &["--no-collector.host", "--collector.host", "--no-collector.attribution"],
            "watching every process, every control group, the machine itself and the heaps of JVMs",
        ),
    ] {
        let mut exporter = Exporter::start(flags);
        exporter.process.line_with(&format!("message=\"{watching}\""), PATIENCE);
    }
    let (code, output) = run(&["--collector.nothing"]);
    assert_eq!(code, Some(2), "{output}");
}

#[test]
fn formats_are_negotiated_as_prometheus_asks_for_them() {
    let exporter = Exporter::start(&[]);
    exporter.scrape_until("a tick", PATIENCE, |scrape| {
        scrape.value("memleak_exporter_ticks_total", &[]).filter(|t| *t > 0.0)
    });
    let open = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let (_, body) = request(&exporter.url("/metrics"), &[("Accept", open)]);
    assert!(body.ends_with("# EOF\n"), "{}", &body[body.len().saturating_sub(200)..]);
    assert!(body.contains("# TYPE memleak_exporter_ticks counter\n"));
    let (_, body) = request(&exporter.url("/metrics"), &[("Accept", "text/plain")]);
    assert!(!body.contains("# EOF") && body.contains("# TYPE memleak_exporter_ticks_total counter\n"));
}
