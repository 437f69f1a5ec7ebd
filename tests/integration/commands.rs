//! The commands at a desk from outside: `demo`, `watch`, `profile`, `config` and what is shipped in the binary.

use crate::{
    exporter::{Exporter, Scratch, get},
    process::{Process, wait_for},
};
use rustix::process::Signal;
use serde_json::Value;
use std::{fs, path::Path, process::Output, time::Duration};

const PATIENCE: Duration = Duration::from_secs(60);

fn run(flags: &[&str]) -> Output {
    Exporter::command().args(flags).output().expect("our own binary")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A leaking program of the demonstration, bound to this thread.
fn leaking() -> Process {
    let of = std::process::id().to_string();
    let mut program = Process::start(Exporter::command().args(["demo-program", "leak", "--of", &of]));
    program.line_with("ready", PATIENCE);
    program
}

/// The processes whose arguments hold this.
fn running(arguments: &str) -> usize {
    let entries = fs::read_dir("/proc").expect("procfs").flatten();
    let lines = entries.map(|entry| fs::read(entry.path().join("cmdline")).unwrap_or_default());
    lines.filter(|line| String::from_utf8_lossy(line).replace('\0', " ").contains(arguments)).count()
}

#[test]
fn the_demonstration_confirms_a_leak_and_nothing_else_and_leaves_nothing_behind() {
    let mut demo = Process::start(Exporter::command().args(["demo", "--for", "1h"]));
    let page = demo.line_with("Its page", PATIENCE);
    let page = &page[page.find("http").expect("an address")..];
    // Less than half a minute, longer where other work makes samples and programs wait.
    let patience = Duration::from_secs(300);
    wait_for("a confirmed leak", patience, || {
        let said = demo.output();
        let line =
            said.lines().find(|line| line.contains("demo: leak: anon") && line.contains("confirmed leak"));
        line.map(str::to_owned)
    });
    let (code, shown) = get(page);
    assert!(code == 200 && shown.contains("demo: leak"), "{code}");
    for healthy in ["demo: garbage", "demo: steady", "demo: warm-cache"] {
        let said = demo.output();
        let is_accused = |line: &&str| line.contains(healthy) && line.contains("confirmed leak");
        assert!(!said.lines().any(|line| is_accused(&line)), "{said}");
    }
    let family = format!("--of {}", demo.pid());
    assert_eq!(running(&family), 5);
    // Not even its sudden end leaves one of them behind.
    demo.signal(Signal::KILL);
    demo.wait(PATIENCE);
    wait_for("the end of its programs", PATIENCE, || (running(&family) == 0).then_some(()));
}

#[test]
fn what_is_no_terminal_gets_a_line_for_each_look() {
    let program = leaking();
    let pid = program.pid().to_string();
    let output = run(&["watch", &pid, "--interval", "50ms", "--for", "8s"]);
    let said = out(&output);
    assert!(output.status.success(), "{}", err(&output));
    assert!(said.lines().count() > 20, "{said}");
    assert!(said.lines().all(|line| line.contains(&format!("(pid {pid}): anon"))), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
    assert!(said.lines().any(|line| line.contains("sure, +")), "{said}");
    let output = run(&["watch", &pid, "--interval", "50ms", "--for", "1s", "--format", "jsonl"]);
    for line in out(&output).lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert!(line["size"].as_f64() > Some(0.0) || line["area"] == "swap", "{line}");
    }
    // What ends meanwhile is told as it was seen last.
    let brief = Process::start(Process::command("sleep").arg("3"));
    let output = run(&[
        "watch",
        &brief.pid().to_string(),
        "--interval",
        "50ms",
        "--for",
        "1h",
        "--format",
        "markdown",
    ]);
    assert!(out(&output).contains("| anon |"), "{} {}", out(&output), err(&output));
    let output = run(&["watch", "no such program here", "--interval", "50ms"]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(err(&output).contains("no such process"), "{}", err(&output));
    assert_eq!(run(&["watch", &pid, "--format", "html"]).status.code(), Some(2));
}

/// A terminal of a usual size with a shell in it.
struct Terminal {
    socket: String,
}

impl Terminal {
    fn open(name: &str) -> Self {
        let terminal = Self { socket: format!("memleak-{name}-{}", std::process::id()) };
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            "env PS1='$ ' TERM=screen sh",
        ]);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output =
            Process::command("tmux").args(["-L", &self.socket]).args(arguments).output().expect("tmux");
        assert!(output.status.success(), "{arguments:?}: {}", err(&output));
        out(&output)
    }

    fn enter(&self, command: &str) {
        self.tmux(&["send-keys", "-l", command]);
        self.tmux(&["send-keys", "Enter"]);
    }

    fn shows(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn wait_for(&self, what: &str) -> String {
        wait_for(what, PATIENCE, || Some(self.shows()).filter(|shown| shown.contains(what)))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ended_already = Process::command("tmux").args(["-L", &self.socket, "kill-server"]).output();
    }
}

#[test]
fn a_terminal_shows_the_leak_follows_its_size_and_is_given_back() {
    let program = leaking();
    let terminal = Terminal::open("watch");
    let binary = env!("CARGO_BIN_EXE_memleak_exporter");
    terminal.enter("echo before");
    terminal.enter(&format!("{binary} watch {} --interval 50ms; echo \"ended $?\"", program.pid()));
    let shown = terminal.wait_for("confirmed leak");
    assert!(shown.contains("q quits; fast motion") && shown.contains('▁') && shown.contains('█'), "{shown}");
    assert!(shown.contains("anon: the floor rose") && !shown.contains("before"), "{shown}");
    assert!(shown.lines().next().is_some_and(|title| title.ends_with(" UTC")), "cut at the right: {shown}");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/watch.svg");
        fs::write(picture, drawn(&terminal.tmux(&["capture-pane", "-e", "-p"]))).expect("a writable tree");
    }
    terminal.tmux(&["resize-window", "-x", "40", "-y", "10"]);
    wait_for("a smaller view", PATIENCE, || {
        let shown = terminal.shows();
        let last = shown.trim_end().lines().last()?.to_owned();
        (shown.lines().count() <= 10 && last.starts_with("q quits")).then_some(())
    });
    terminal.tmux(&["resize-window", "-x", "80", "-y", "24"]);
    // A key that comes in the same instant as the resizing is seen with the next one only: pressed again, as people do.
    let shown = wait_for("its end", PATIENCE, || {
        terminal.tmux(&["send-keys", "q"]);
        Some(terminal.shows()).filter(|shown| shown.contains("ended 0"))
    });
    assert!(shown.contains("before") && !shown.contains("q quits"), "{shown}");
    assert_eq!(terminal.tmux(&["display-message", "-p", "#{cursor_flag} #{alternate_on}"]).trim(), "1 0");
}

/// What a terminal shows, in colours, as a picture for docs/command-line.md.
fn drawn(shown: &str) -> String {
    let mut picture = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 680 452\" role=\"img\" aria-label=\"A terminal\">\n\
         <style>text{font:14px/18px 'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#d7dde5;white-space:pre}\
         .c31{fill:#ff9a97}.c33{fill:#f6bd6b}.c32{fill:#86d9a1}.c2{fill:#8b98a8}</style>\n\
         <rect width=\"680\" height=\"452\" rx=\"6\" fill=\"#11161d\"/>\n",
    );
    for (row, line) in shown.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        picture += &format!("<text x=\"4\" y=\"{}\" textLength=\"", 18 + row * 18);
        let mut parts = String::new();
        let mut columns = 0;
        for (number, part) in line.split('\u{1b}').enumerate() {
            let (code, text) =
                if number == 0 { ("", part) } else { part[1..].split_once('m').expect("a colour") };
            columns += text.chars().count();
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            parts += &format!("<tspan class=\"c{code}\">{text}</tspan>");
        }
        picture +=
            &format!("{:.1}\">{parts}</text>\n", 8.4 * f64::from(u32::try_from(columns).expect("few")));
    }
    picture + "</svg>\n"
}

/// A command that takes so many megabytes and holds them, in a child of its child.
fn growing(megabytes: u32) -> String {
    format!(
        "python3 -c 'import time\nheld = []\nfor _ in range({megabytes}):\n    held.append(b\"x\" * 1000000)\n    time.sleep(0.02)\ntime.sleep(0.5)' & wait"
    )
}

#[test]
fn a_profile_fails_what_grows_and_hands_on_how_it_ended() {
    let scratch = Scratch::new("profile");
    let report = scratch.path.join("report.json");
    let command = growing(60);
    let flags = ["profile", "--format=json", "--output", text(&report), "--skip=300ms"];
    let output = run(&[&flags[..], &["--max-growth=20MB", "--", "bash", "-c", &command]].concat());
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    assert!(err(&output).contains("anon grew by") && err(&output).contains("--max-growth allows 20 MB"));
    let document: Value = serde_json::from_slice(&fs::read(&report).expect("the report")).expect("JSON");
    let anon = &document["areas"][0];
    assert_eq!(
        (&anon["area"], &anon["exceeded"], &document["exit_code"]),
        (&"anon".into(), &true.into(), &0.into())
    );
    let grown = anon["end"].as_f64().expect("a number") - anon["begin"].as_f64().expect("a number");
    assert!((2e7..9e7).contains(&grown), "{document}");
    let output =
        run(&["profile", "--max-growth=200MB", "--max-growth=threads=50", "--", "bash", "-c", &growing(10)]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("AREA") && err(&output).contains("exit code 0"), "{}", err(&output));
    for (script, code) in [("echo told; exit 7", 7), ("kill -9 $$", 137)] {
        let output = run(&["profile", "--", "bash", "-c", script]);
        assert_eq!(output.status.code(), Some(code), "{}", err(&output));
        assert_eq!(out(&output).trim() == "told", code == 7);
    }
    let output = run(&["profile", "--interval=10s", "--max-growth=1MB", "--", "true"]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(err(&output).contains("give it more time"), "{}", err(&output));
    let output = run(&["profile", "/no/such/program"]);
    assert!(
        output.status.code() == Some(1) && err(&output).contains("cannot start /no/such"),
        "{}",
        err(&output)
    );
    assert_eq!(run(&["profile", "--max-growth=5M", "true"]).status.code(), Some(2));
}

#[test]
fn a_configuration_is_begun_changed_and_shown() {
    let scratch = Scratch::new("config");
    let file = scratch.path.join("memleak.yml");
    let path = text(&file);
    let output = run(&["config", "init", path, "--preset=strict"]);
    assert!(output.status.success(), "{}", err(&output));
    let begun = fs::read_to_string(&file).expect("it");
    assert!(begun.contains("\nsensitivity: strict\n") && begun.contains("# How often to sample."));
    let output = run(&["config", "init", path]);
    assert!(output.status.code() == Some(1) && err(&output).contains("--force"), "{}", err(&output));
    assert_eq!(fs::read_to_string(&file).expect("it"), begun);
    assert!(run(&["config", "check", path]).status.success());
    let flag = format!("--config.file={path}");
    assert!(run(&["config", "set", "sampling.interval", "5s", &flag]).status.success());
    let changed = fs::read_to_string(&file).expect("it");
    assert_eq!(changed, begun.replacen("\n  interval: 3s\n", "\n  interval: 5s\n", 1));
    let output = run(&["config", "set", "sampling.interval", "never", &flag]);
    assert_eq!(output.status.code(), Some(78), "{}", err(&output));
    assert!(err(&output).contains("sampling.interval"), "{}", err(&output));
    assert_eq!(fs::read_to_string(&file).expect("it"), changed, "a wrong value is not written");
    let shown = run(&["config", "show", &flag, "--format=json"]);
    let shown: Value = serde_json::from_str(&out(&shown)).expect("JSON");
    assert_eq!(shown["sampling"]["interval"], "5s");
    assert!(run(&["config", "reset", "sampling.interval", &flag]).status.success());
    let shown = out(&run(&["config", "show", &flag]));
    let line = shown.lines().find(|line| line.starts_with("sampling.interval ")).expect("the key");
    assert!(line.ends_with("3s"), "{line}");
    let left: Vec<_> =
        fs::read_dir(&scratch.path).expect("ours").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["memleak.yml"], "nothing is left beside it");
}

#[test]
fn what_is_shipped_comes_out_as_it_went_in() {
    let scratch = Scratch::new("shipped");
    let shipped = |path: &str| {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    assert_eq!(out(&run(&["rules"])), shipped("alerts/memleak.rules.yml"));
    assert_eq!(out(&run(&["dashboards", "fleet"])), shipped("grafana/memleak-fleet.json"));
    let directory = scratch.path.join("all");
    for command in ["rules", "dashboards", "man"] {
        let output = run(&[command, "--output", text(&directory)]);
        assert!(output.status.success(), "{}", err(&output));
    }
    assert!(run(&["rules", "--format=operator", "--output", text(&directory)]).status.success());
    let rules = directory.join("memleak.rules.yml");
    let checked =
        Process::command("promtool").args(["check", "rules", text(&rules)]).output().expect("promtool");
    assert!(checked.status.success(), "{}", out(&checked));
    for name in
        ["prometheusrule.yml", "memleak-target.json", "memleak_exporter.1", "memleak_exporter-config-set.1"]
    {
        assert!(fs::metadata(directory.join(name)).is_ok_and(|file| file.len() > 300), "{name}");
    }
    let page = fs::read_to_string(directory.join("memleak_exporter-profile.1")).expect("a page");
    assert!(page.contains(".TH") && page.contains("max\\-growth"), "{page}");
    let script = scratch.write("completions.bash", &out(&run(&["completions", "bash"])));
    let asked = format!(
        "source {}; COMP_WORDS=(memleak_exporter pro); COMP_CWORD=1; _memleak_exporter memleak_exporter pro memleak_exporter; echo \"${{COMPREPLY[@]}}\"",
        script.display()
    );
    let completed = Process::command("bash").args(["-c", &asked]).output().expect("bash");
    assert_eq!(out(&completed).trim(), "profile", "{}", err(&completed));
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(out(&run(&["completions", shell])).contains("profile"), "{shell}");
    }
}
