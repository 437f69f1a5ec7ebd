//! The commands that ask a running exporter: the real binary on both ends, with a program that leaks between them.

use crate::{
    exporter::{Exporter, Scratch},
    peers::free_port,
    process::wait_for,
    programs::Family,
    web_file::certificates,
};
use serde_json::Value;
use std::{path::Path, time::Duration};

const PATIENCE: Duration = Duration::from_secs(200);
const PROGRAMS: Family = Family::new("client", 41);
/// Every command with the key of its items.
const COMMANDS: [(&str, &str); 9] = [
    ("status", "collectors"),
    ("health", "components"),
    ("targets", "targets"),
    ("areas", "areas"),
    ("leaks", "areas"),
    ("trends", "trends"),
    ("performance", "targets"),
    ("recommendations", "findings"),
    ("report", "findings"),
];

/// Exit code and both outputs of a command.
fn run(flags: &[&str]) -> (Option<i32>, String, String) {
    let output = Exporter::command()
        .args(flags)
        .env("TERM", "xterm")
        .env_remove("MEMLEAK_EXPORTER_URL")
        .output()
        .expect("our own binary");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn each_command_tells_what_the_exporter_knows_in_each_format() {
    let scratch = Scratch::new("client");
    let exporter = Exporter::start_configured(&scratch, &PROGRAMS.configuration("100ms", ""), &[]);
    let leaking = PROGRAMS.start("c", "leak", &["--rate", "2000000"]);
    let target = leaking.target.as_str();
    let ask = |flags: &[&str]| run(&[flags, &["--url", &exporter.base]].concat());
    let (code, table, _) = wait_for("a suspicion", PATIENCE, || {
        Some(ask(&["leaks", "--fail-on", "suspected"])).filter(|(_, table, _)| table.contains(target))
    });
    assert_eq!(code, Some(4), "{table}");
    assert!(
        table.contains("began at") && table.contains("the floor rose") && !table.contains('\u{1b}'),
        "{table}"
    );
    for (command, key) in COMMANDS {
        for format in ["table", "json", "jsonl", "markdown", "html"] {
            let (code, out, said) = ask(&[command, "--format", format]);
            let is_sick = command == "health" && matches!(code, Some(4 | 5));
            assert!((code == Some(0) || is_sick) && said.is_empty(), "{command} {format}: {code:?} {said}");
            match format {
                "json" => {
                    let document: Value = serde_json::from_str(&out).expect("JSON");
                    assert!(document[key].is_array(), "{command}: {document}");
                }
                "jsonl" => assert!(
                    out.lines()
                        .all(|line| serde_json::from_str::<Value>(line).is_ok_and(|item| item.is_object())),
                    "{command}: {out}"
                ),
                "html" => assert!(out.starts_with("<!doctype html>"), "{command}: {out}"),
                _ => assert!(!out.is_empty(), "{command} {format}"),
            }
        }
    }
    let (_, advice, _) = ask(&["recommendations", "--target", target]);
    assert!(advice.contains(target) && advice.contains("\n  - "), "{advice}");
    let (_, nothing, _) = ask(&["leaks", "--target", "nobody", "--fail-on", "suspected"]);
    assert!(nothing.contains("nothing leaks"), "{nothing}");
    let (_, areas, _) =
        ask(&["areas", "--format", "jsonl", "--sort", "name", "--target", target, "--limit", "2"]);
    let names: Vec<String> = areas
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["area"].to_string())
        .collect();
    assert!(names.len() == 2 && names[0] < names[1], "{names:?}");
    let (_, metrics, _) = ask(&["metrics", "memleak_exporter_build_info"]);
    assert!(
        metrics.starts_with("# HELP memleak_exporter_build_info") && metrics.lines().count() == 3,
        "{metrics}"
    );
    let (code, forgotten, said) = ask(&["reset", target]);
    assert!(code == Some(0) && forgotten.contains("is forgotten"), "{forgotten}{said}");
    wait_for("the next tick, which knows nothing of it", PATIENCE, || {
        ask(&["leaks", "--target", target, "--fail-on", "suspected"])
            .1
            .contains("nothing leaks")
            .then_some(())
    });
    for (flags, code, message) in [
        (&["areas", "--min-confidence", "7"][..], 1, "answers 400: "),
        (&["reset", "nobody"], 1, "no such target"),
        (&["areas", "--sort", "luck"], 2, "possible values"),
        (&["areas", "--limit", "0"], 2, "write a number from 1 to"),
        (&["metrics", "--path", "/absent"], 1, "(404)"),
    ] {
        let (found, _, said) = ask(flags);
        assert!(found == Some(code) && said.contains(message), "{flags:?}: {found:?} {said}");
    }
}

#[test]
fn whoever_cannot_be_asked_is_named_with_what_to_do() {
    let closed = format!("http://127.0.0.1:{}", free_port());
    let (code, out, said) = run(&["status", "--url", &closed]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        said.contains("cannot be reached: Connection refused")
            && said.contains("start one with `memleak_exporter`"),
        "{said}"
    );
    let (code, _, said) = run(&["status", "--url", "localhost"]);
    assert!(code == Some(2) && said.contains("is no http:// or https:// URL"), "{said}");
    let scratch = certificates("client-locked");
    let hash = bcrypt::hash("hunter2", 4).expect("a hash");
    let web_file = scratch.write(
        "web.yml",
        &format!("tls_server_config: {{cert_file: server.crt, key_file: server.key}}\nbasic_auth_users: {{me: '{hash}'}}\n"),
    );
    let exporter = Exporter::start(&["--web.config.file", web_file.to_str().expect("UTF-8")]);
    let password = scratch.write("password", "hunter2\n");
    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (ca, password) = (path(&scratch.path.join("ca.crt")), path(&password));
    let ask = |flags: &[&str]| run(&[&["status", "--url", &exporter.base][..], flags].concat());
    let known = ["--ca-file", &ca, "--user", "me", "--password-file", &password];
    let (code, table, said) = wait_for("the first samples", PATIENCE, || {
        Some(ask(&known)).filter(|(_, _, said)| !said.contains("503"))
    });
    assert!(code == Some(0) && table.contains("running since"), "{said}");
    let (code, _, said) = ask(&["--ca-file", &ca]);
    assert!(
        code == Some(1) && said.contains("asks who we are (401); set --user and --password-file"),
        "{said}"
    );
    let (code, _, said) = ask(&[]);
    assert!(code == Some(1) && said.contains("invalid peer certificate"), "{said}");
}
