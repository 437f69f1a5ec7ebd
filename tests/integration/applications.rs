//! Applications that tell of themselves: real ones in four runtimes, and hostile ones.

use crate::{
    exporter::{Exporter, Scratch, get},
    exposition::Scrape,
    peers::{directory, free_port, program},
    process::{Process, wait_for},
};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How long a busy machine may take to start a runtime and to sample it a few times.
const PATIENCE: Duration = Duration::from_secs(180);
/// Nothing but applications.
const FLAGS: [&str; 3] = ["--no-collector.process", "--no-collector.cgroup", "--no-collector.host"];
const SAMPLING: &str = "sampling: {interval: 2s}\ncollectors: {application: {timeout: 2s}}\n";

/// A program that serves pages.
pub(crate) struct Application {
    pub(crate) process: Process,
    base: String,
}

impl Application {
    pub(crate) fn start(program: PathBuf, arguments: &[&str]) -> Self {
        let mut process = Process::start(Process::command(program).args(arguments));
        let line = process.line_with("ready port=", PATIENCE);
        let port = line.rsplit('=').next().expect("a port").trim();
        Self { base: format!("http://127.0.0.1:{port}"), process }
    }

    pub(crate) fn python(arguments: &[&str]) -> Self {
        let script = installed("app.py").display().to_string();
        Self::start(directory().join("venv/bin/python"), &[&[script.as_str()][..], arguments].concat())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A number of the JSON on one of its pages.
    fn account(&self, page: &str, pointer: &str) -> f64 {
        let (_, text) = get(&self.url(page));
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        json.pointer(pointer)
            .and_then(serde_json::Value::as_f64)
            .unwrap_or_else(|| panic!("{pointer}: {text}"))
    }
}

pub(crate) fn installed(name: &str) -> PathBuf {
    let programs = std::env::var_os("MEMLEAK_TEST_PROGRAMS");
    let path = PathBuf::from(programs.expect("MEMLEAK_TEST_PROGRAMS: run tests/run"))
        .join("applications")
        .join(name);
    assert!(path.is_file() || path.is_dir(), "{}: tests/programs/build provides it", path.display());
    path
}

/// Waits until an area is shown as its program says itself, to 2 %.
fn agrees(exporter: &Exporter, (target, area): (&str, &str), account: impl Fn() -> f64) {
    let close = |shown: f64| {
        let own = account();
        (shown - own).abs() <= 0.02 * own
    };
    exporter.scrape_until(&format!("{target} {area} to agree"), PATIENCE, |scrape| {
        let shown = ["memleak_area_size_bytes", "memleak_area_size_objects"]
            .iter()
            .find_map(|name| scrape.area(name, target, area))?;
        close(shown).then_some(())
    });
}

fn is_judged(scrape: &Scrape, target: &str, area: &str) -> bool {
    scrape.area("memleak_area_leak_state", target, area).is_some()
}

fn source(scrape: &Scrape, name: &str) -> Option<f64> {
    scrape.value("memleak_exporter_source_success", &[("source", name)])
}

/// An application with areas of every origin.
fn configuration_of(node: &Application, scratch: &Scratch) -> String {
    let (pool, config_file) = (scratch.write("pool", "17\n"), scratch.write("security", &"x".repeat(12_345)));
    format!(
        "{SAMPLING}applications:\n- name: checkout\n  prometheus: {metrics}\n  areas:\n  \
         - {{name: rate_limiter, limit: 50MB, metric: 'rate_limiter_bytes{{shard=\"a\"}}', entries: rate_limiter_keys}}\n  \
         - {{name: bridge_cache, json: '{memory}', field: /caches/bridge/bytes, entries: /caches/bridge/entries}}\n  \
         - {{name: array_buffers, json: '{memory}', field: /process/arrayBuffers}}\n  \
         - {{name: http_pool, unit: objects, file: {pool}, judge: false}}\n  \
         - {{name: security_config, command: [stat, -c, '%s', {config}]}}\n  \
         - {{name: timers, unit: objects, judge: true, limit: 1000}}\n",
        metrics = node.url("/metrics"),
        memory = node.url("/debug/memory"),
        pool = pool.display(),
        config = config_file.display(),
    )
}

#[test]
fn node_tells_of_its_heap_and_every_origin_makes_an_area() {
    let node = Application::start(program("node"), &[&installed("node/app.js").display().to_string()]);
    let scratch = Scratch::new("node");
    let configuration = configuration_of(&node, &scratch);
    let exporter = Exporter::start_configured(&scratch, &configuration, &FLAGS);
    let page = "/debug/memory";
    for (area, pointer) in
        [("rss", "/process/rss"), ("heap", "/process/heapUsed"), ("heap_committed", "/process/heapTotal")]
    {
        agrees(&exporter, ("checkout", area), || node.account(page, pointer));
    }
    agrees(&exporter, ("checkout", "external"), || {
        node.account(page, "/process/rss") - node.account(page, "/process/heapTotal")
    });
    agrees(&exporter, ("checkout", "array_buffers"), || node.account(page, "/process/arrayBuffers"));
    agrees(&exporter, ("checkout", "bridge_cache"), || node.account(page, "/caches/bridge/bytes"));
    for (area, exactly) in [
        ("rate_limiter", 4096.0),
        ("rate_limiter_entries", 64.0),
        ("bridge_cache_entries", 1000.0),
        ("http_pool", 17.0),
        ("security_config", 12_345.0),
    ] {
        agrees(&exporter, ("checkout", area), || exactly);
    }
    let scrape = exporter.scrape();
    let judged = [
        "heap",
        "external",
        "array_buffers",
        "rate_limiter",
        "bridge_cache",
        "bridge_cache_entries",
        "timers",
    ];
    for area in judged {
        assert!(is_judged(&scrape, "checkout", area), "{area} is not judged");
    }
    for area in ["rss", "heap_committed", "http_pool", "fds"] {
        assert!(!is_judged(&scrape, "checkout", area), "{area} is judged");
    }
    let of = |name| scrape.value(name, &[("target", "checkout"), ("kind", "application")]);
    let size = |area| scrape.area("memleak_area_size_bytes", "checkout", area).expect("shown");
    let ratio = of("memleak_target_external_to_heap_ratio").expect("a ratio");
    assert!((ratio - size("external") / size("heap")).abs() < 1e-6);
    for name in [
        "memleak_gc_collections_total",
        "memleak_gc_duration_seconds_total",
        "memleak_event_loop_lag_seconds",
        "memleak_target_cpu_seconds_total",
    ] {
        assert!(of(name).is_some(), "no {name}");
    }
    assert_eq!(scrape.area("memleak_area_limit_objects", "checkout", "timers"), Some(1000.0));
    assert!(scrape.value("memleak_target_info", &[("target", "checkout"), ("runtime", "node")]).is_some());
    let sources = [
        "checkout",
        "checkout/rate_limiter",
        "checkout/bridge_cache",
        "checkout/http_pool",
        "checkout/security_config",
    ];
    assert_eq!(sources.map(|name| source(&scrape, name)), [Some(1.0); 5]);
    let (status, others) = get(&exporter.url("/metrics?exclude[]=application"));
    assert_eq!((status, others.contains("checkout\",kind")), (200, false));
}

/// Blocks the event loop for 60 ms at a time, without taking any processor.
const BLOCK: &str = "const lock = new Int32Array(new SharedArrayBuffer(4));\n\
                     const block = () => { Atomics.wait(lock, 0, 0, 60); setImmediate(block); };\n\
                     setImmediate(block);\n";

#[test]
fn a_blocked_event_loop_is_over_its_number_and_a_calm_one_is_not() {
    let scratch = Scratch::new("lag");
    let (script, block) = (installed("node/app.js"), scratch.write("block.js", BLOCK));
    let (script, block) = (script.display().to_string(), block.display().to_string());
    let calm = Application::start(program("node"), &[&script]);
    let blocked = Application::start(program("node"), &["--require", &block, &script]);
    let configuration = format!(
        "{SAMPLING}targets: [{{name: 'calm|blocked', thresholds: {{event_loop_lag: {{warning: 30ms, critical: 30s}}}}}}]\n\
         applications:\n- {{name: calm, prometheus: {}}}\n- {{name: blocked, prometheus: {}}}\n",
        calm.url("/metrics"),
        blocked.url("/metrics"),
    );
    let exporter = Exporter::start_configured(&scratch, &configuration, &FLAGS);
    let breached = |scrape: &Scrape, target, level| {
        let labels = [("target", target), ("rule", "event_loop_lag"), ("level", level)];
        scrape.value("memleak_area_budget_breached", &labels)
    };
    let scrape = exporter.scrape_until("the breach", PATIENCE, |scrape| {
        (breached(scrape, "blocked", "warning")? > 0.0).then(|| scrape.clone())
    });
    assert_eq!(breached(&scrape, "blocked", "critical"), Some(0.0));
    let scrape = exporter.scrape_until("the calm one to be known", PATIENCE, |scrape| {
        breached(scrape, "calm", "warning").map(|_| scrape.clone())
    });
    assert_eq!(breached(&scrape, "calm", "warning"), Some(0.0));
    let numbers: Vec<_> = scrape.all("memleak_threshold_seconds", &[("target", "blocked")]).collect();
    assert_eq!(numbers.len(), 2);
    assert!(numbers.iter().all(|series| !series.labels.contains_key("area")), "it is about no area");
    // It answers us, and has been asked for a minute by now.
    let times = exporter.scrape_until("how long answers take", PATIENCE, |scrape| {
        let time = |percentile| {
            let labels = [("target", "blocked"), ("percentile", percentile)];
            scrape.value("memleak_target_response_time_seconds", &labels)
        };
        Some([time("50")?, time("95")?, time("99")?])
    });
    assert!(times.is_sorted() && times[0] > 0.0 && times[2] <= 10.0, "{times:?}");
    let said = exporter.process.output();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("budget exceeded")).collect();
    assert!(lines.len() == 1 && lines[0].contains("target=blocked"), "{lines:?}");
}

#[test]
fn three_libraries_on_a_jvm_tell_what_the_jvm_tells() {
    let java = installed("java").display().to_string();
    let classes = format!("{java}/lib/*:{java}/classes");
    let jvm = Application::start(program("java"), &["-XX:+UseSerialGC", "-Xmx512m", "-cp", &classes, "App"]);
    let scratch = Scratch::new("jvm");
    let pages = ["micrometer", "client", "simpleclient"];
    let applications: String =
        pages.iter().map(|page| format!("- {{name: {page}, prometheus: {}/{page}}}\n", jvm.base)).collect();
    let exporter =
        Exporter::start_configured(&scratch, &format!("{SAMPLING}applications:\n{applications}"), &FLAGS);
    for page in pages {
        for area in ["heap", "heap_committed", "heap_after_gc", "metaspace", "direct_buffers"] {
            agrees(&exporter, (page, area), || jvm.account("/account", &format!("/{area}")));
        }
        let scrape = exporter.scrape();
        let limit = scrape.area("memleak_area_limit_bytes", page, "heap").expect("a limit");
        assert!((limit - jvm.account("/account", "/heap_max")).abs() < 0.02 * limit, "{page}: {limit}");
        // The heap gives way at the reading after the first that tells of a collection.
        exporter.scrape_until("the better area", PATIENCE, |scrape| {
            (is_judged(scrape, page, "heap_after_gc") && !is_judged(scrape, page, "heap")).then_some(())
        });
        let of_page = [("target", page)];
        let pools = scrape.all("memleak_area_size_bytes", &of_page);
        assert!(pools.filter(|series| series.labels["area"].starts_with("pool_")).count() >= 7, "{page}");
    }
}

/// Has a JVM collect its garbage.
fn collect_garbage(jvm: &Application) {
    let jcmd = program("java").canonicalize().expect("java").with_file_name("jcmd");
    let pid = jvm.process.pid().to_string();
    let done = Process::command(jcmd).args([&pid, "GC.run"]).output().expect("jcmd runs");
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn a_jvm_is_read_without_being_asked() {
    let java = installed("java").display().to_string();
    let classes = format!("{java}/lib/*:{java}/classes");
    for collector in ["Serial", "G1", "Parallel"] {
        let flag = format!("Use{collector}GC");
        let jvm = Application::start(
            program("java"),
            &[&format!("-XX:+{flag}"), "-Xmx512m", "-Dshop=perfdata", "-cp", &classes, "App"],
        );
        let scratch = Scratch::new(&format!("perfdata-{collector}"));
        let configuration = format!(
            "sampling: {{interval: 1s}}\nprocesses: {{include: [shop], rules: [{{name: shop, command_line: '{flag} .*shop=perfdata'}}]}}\n"
        );
        let exporter = Exporter::start_configured(&scratch, &configuration, &FLAGS[1..]);
        let shown = |scrape: &Scrape, area| scrape.area("memleak_area_size_bytes", "shop", area);
        exporter.scrape_until("its heap", PATIENCE, |scrape| shown(scrape, "heap"));
        let of = |name| exporter.scrape().value(name, &[("target", "shop"), ("kind", "process")]);
        // Answering loads classes, and memory of classes is counted at a collection.
        jvm.account("/account", "/heap");
        collect_garbage(&jvm);
        exporter.scrape_until("a collection", PATIENCE, |scrape| shown(scrape, "heap_after_gc"));
        for area in ["heap", "heap_committed", "metaspace"] {
            agrees(&exporter, ("shop", area), || jvm.account("/account", &format!("/{area}")));
        }
        if collector == "Serial" {
            agrees(&exporter, ("shop", "heap_after_gc"), || jvm.account("/account", "/heap_after_gc"));
        }
        let scrape = exporter.scrape();
        assert!(is_judged(&scrape, "shop", "heap_after_gc") && !is_judged(&scrape, "shop", "heap"));
        let limit = scrape.area("memleak_area_limit_bytes", "shop", "heap_after_gc");
        assert!(limit.is_some_and(|limit| (limit / 512.0 / 1024.0 / 1024.0 - 1.0).abs() < 0.01), "{limit:?}");
        for name in ["memleak_gc_duration_seconds_total", "memleak_target_cpu_seconds_total"] {
            assert!(of(name).is_some(), "{collector}: no {name}");
        }
        let old = [("target", "shop"), ("generation", "old")];
        assert!(scrape.value("memleak_gc_collections_total", &old) >= Some(1.0), "{collector}");
    }
}

#[test]
fn go_tells_by_its_client_library_and_by_expvar() {
    let go = Application::start(installed("app-go"), &[]);
    let scratch = Scratch::new("go");
    let configuration = format!(
        "{SAMPLING}applications:\n- {{name: gateway, prometheus: '{}'}}\n\
         - {{name: expvar, areas: [{{name: heap, json: '{}', field: /memstats/HeapInuse}}]}}\n",
        go.url("/metrics"),
        go.url("/debug/vars"),
    );
    let exporter = Exporter::start_configured(&scratch, &configuration, &FLAGS);
    for area in ["heap", "heap_committed", "goroutines"] {
        agrees(&exporter, ("gateway", area), || go.account("/account", &format!("/{area}")));
    }
    agrees(&exporter, ("expvar", "heap"), || go.account("/account", "/heap_in_use"));
    assert!(is_judged(&exporter.scrape(), "expvar", "heap"));
}

#[test]
fn go_tells_by_its_own_means() {
    let go = Application::start(installed("app-go"), &[]);
    let scratch = Scratch::new("go-own");
    let configuration = format!(
        "{SAMPLING}applications:\n- {{name: variables, expvar: '{0}'}}\n- {{name: profile, pprof: '{0}', interval: 2s}}\n",
        go.base,
    );
    let exporter = Exporter::start_configured(&scratch, &configuration, &FLAGS);
    for target in ["variables", "profile"] {
        for area in ["heap", "heap_committed"] {
            agrees(&exporter, (target, area), || go.account("/account", &format!("/{area}")));
        }
        let scrape = exporter.scrape();
        assert!(is_judged(&scrape, target, "heap"), "{target}");
        assert_eq!(source(&scrape, target), Some(1.0));
        assert!(scrape.value("memleak_gc_collections_total", &[("target", target)]).is_some(), "{target}");
    }
}

/// A Node program with nothing built in: its inspector is all that it has, open from the start or not.
fn inspected(flags: &[&str]) -> Process {
    let script = installed("node/app.js").display().to_string();
    let mut process = Process::start(Process::command(program("node")).args(flags).arg(script));
    process.line_with("ready port=", PATIENCE);
    process
}

#[test]
fn node_tells_by_its_inspector_and_opens_it_when_it_is_woken() {
    let port = free_port().to_string();
    let script = installed("node/app.js").display().to_string();
    let node = Application::start(program("node"), &[&format!("--inspect=127.0.0.1:{port}"), &script]);
    let woken_port = free_port().to_string();
    // Where the inspector of the other one would be, once it is open.
    let woken = inspected(&[&format!("--inspect-port=127.0.0.1:{woken_port}")]);
    let scratch = Scratch::new("inspector");
    let configuration = format!(
        "{SAMPLING}processes: {{rules: [{{name: asleep, command_line: 'inspect-port=127.0.0.1:{woken_port}'}}]}}\n\
         applications:\n- {{name: worker, node_inspector: 'http://127.0.0.1:{port}', interval: 2s}}\n\
         - {{name: sleeper, node_inspector: 'http://127.0.0.1:{woken_port}', wake_by_signal: asleep}}\n\
         - {{name: nobody, node_inspector: 'http://127.0.0.1:1', wake_by_signal: nobody}}\n",
    );
    let exporter = Exporter::start_configured(
        &scratch,
        &configuration,
        &["--no-collector.cgroup", "--no-collector.host"],
    );
    for (area, pointer) in [
        ("rss", "/process/rss"),
        ("heap", "/process/heapUsed"),
        ("heap_committed", "/process/heapTotal"),
        ("array_buffers", "/process/arrayBuffers"),
        ("v8_external", "/process/external"),
    ] {
        agrees(&exporter, ("worker", area), || node.account("/debug/memory", pointer));
    }
    let scrape = exporter.scrape();
    assert!(is_judged(&scrape, "worker", "array_buffers") && is_judged(&scrape, "worker", "heap"));
    assert!(scrape.area("memleak_area_size_objects", "worker", "timers") >= Some(25.0));
    assert!(scrape.area("memleak_area_limit_bytes", "worker", "heap") > Some(1e8));
    exporter.scrape_until("the woken one", PATIENCE, |scrape| {
        (scrape.area("memleak_area_size_bytes", "sleeper", "heap")? > 0.0).then_some(())
    });
    assert_eq!(source(&exporter.scrape(), "nobody"), Some(0.0));
    drop(woken);
}

#[test]
fn redis_tells_by_a_command() {
    let port = free_port().to_string();
    let flags = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--enable-debug-command", "yes"];
    let mut redis = Process::start(Process::command(program("redis-server")).args(flags));
    redis.line_with("Ready to accept connections", PATIENCE);
    let ask = |words: &[&str]| {
        let mut command = Process::command(program("redis-cli"));
        let asked = command.args(["-p", &port, "--json"]).args(words).output();
        String::from_utf8(asked.expect("redis-cli runs").stdout).expect("text")
    };
    let told = |key: &str| {
        let stats: serde_json::Value = serde_json::from_str(&ask(&["memory", "stats"])).expect("JSON");
        stats[key].as_f64().unwrap_or_else(|| panic!("{key}: {stats}"))
    };
    ask(&["debug", "populate", "20000"]);
    let scratch = Scratch::new("redis");
    let configuration = format!(
        "{SAMPLING}applications:\n- name: redis\n  areas:\n  - {{name: store, command: [redis-cli, -p, '{port}', \
         --json, memory, stats], field: /total.allocated, entries: /keys.count}}\n"
    );
    let exporter = Exporter::start_configured(&scratch, &configuration, &FLAGS);
    agrees(&exporter, ("redis", "store"), || told("total.allocated"));
    agrees(&exporter, ("redis", "store_entries"), || told("keys.count"));
    ask(&["debug", "populate", "60000"]);
    agrees(&exporter, ("redis", "store"), || told("total.allocated"));
    agrees(&exporter, ("redis", "store_entries"), || 60_000.0);
    assert!(is_judged(&exporter.scrape(), "redis", "store"));
}

#[test]
fn python_tells_and_a_new_process_is_a_restart() {
    let port = free_port().to_string();
    let mut python = Application::python(&[&port]);
    let scratch = Scratch::new("python");
    let configuration = format!(
        "sampling: {{interval: 500ms}}\ncollectors: {{application: {{timeout: 500ms}}}}\napplications:\n\
         - {{name: orders, prometheus: '{}', areas: [{{name: pool, unit: objects, metric: pool_connections}}]}}\n",
        python.url("/metrics"),
    );
    let exporter = Exporter::start_configured(&scratch, &configuration, &FLAGS);
    for area in ["rss", "fds"] {
        agrees(&exporter, ("orders", area), || python.account("/account", &format!("/{area}")));
    }
    agrees(&exporter, ("orders", "pool"), || 12.0);
    let collections = [("target", "orders"), ("generation", "old")];
    let before = exporter.scrape().value("memleak_gc_collections_total", &collections).expect("told");
    for _ in 0..3 {
        get(&python.url("/collect"));
    }
    exporter.scrape_until("three collections", PATIENCE, |scrape| {
        (scrape.value("memleak_gc_collections_total", &collections)? - before >= 3.0).then_some(())
    });
    let begun = exporter.ticks();
    // A process that lived for fewer ticks was a command.
    wait_for("ticks", PATIENCE, || (exporter.ticks() >= begun + 12.0).then_some(()));
    python.process.signal(rustix::process::Signal::KILL);
    python.process.wait(PATIENCE);
    exporter.scrape_until("the source to fail", PATIENCE, |scrape| {
        (source(scrape, "orders")? == 0.0).then_some(())
    });
    let size = exporter.scrape().area("memleak_area_size_bytes", "orders", "rss");
    assert!(size.is_some(), "it keeps its last value for a while");
    let _again = Application::python(&[&port]);
    exporter.scrape_until("a restart", PATIENCE, |scrape| {
        (scrape.value("memleak_target_restarts_total", &[("target", "orders")]) == Some(1.0)).then_some(())
    });
    assert_eq!(source(&exporter.scrape(), "orders"), Some(1.0));
}

/// A server that does whatever it likes with each connection, once the request is in.
fn serve(answer: impl Fn(&[String], &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let base = format!("http://{}", listener.local_addr().expect("just bound"));
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                let reader = BufReader::new(stream.try_clone().expect("a socket"));
                let head = reader
                    .lines()
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .collect::<Vec<_>>();
                answer(&head, &mut stream);
            });
        }
    });
    base
}

fn reply(stream: &mut TcpStream, head: &str, body: &str) {
    let length = body.len();
    let _client_left =
        write!(stream, "HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
}

/// Hostile sources and what is said of them.
const HOSTILE: [(&str, &str); 11] = [
    ("endless", "more than 16 MB"),
    ("hanging", "gives no answer within"),
    ("garbage", "line 1 is no metric"),
    ("elsewhere", "redirects to another host"),
    ("locked", "asks who we are (401)"),
    ("closed", "Connection refused"),
    ("odd/json", "more than 1 MB"),
    ("odd/file", "holds more than 64 KiB"),
    ("odd/yes", "wrote more than 65536 bytes"),
    ("odd/sleep", "gives no answer within"),
    ("odd/fails", "ended with exit status: 1"),
];

/// Hostile sources beside a good one; what the endless one has sent is counted.
fn hostile_configuration(sent: &Arc<AtomicU64>, good: &str) -> String {
    let counted = Arc::clone(sent);
    let endless = serve(move |_, stream| {
        let _client_left = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n");
        let lines = "endless_bytes{x=\"1\"} 1\n".repeat(1000);
        while stream.write_all(lines.as_bytes()).is_ok() && counted.load(Ordering::Relaxed) < 1 << 30 {
            counted.fetch_add(lines.len() as u64, Ordering::Relaxed);
        }
    });
    let hanging = serve(|_, stream| {
        let _until_the_client_leaves = stream.read(&mut [0; 1]);
    });
    let garbage = serve(|_, stream| reply(stream, "200 OK", "<!doctype html>\u{0}<p>hello"));
    let elsewhere = serve(|_, stream| reply(stream, "302 Found\r\nlocation: http://127.0.0.2:1/metrics", ""));
    let locked = serve(|head, stream| {
        // me:hunter2
        let is_known =
            head.iter().any(|line| line.eq_ignore_ascii_case("authorization: Basic bWU6aHVudGVyMg=="));
        let head = if is_known { "200 OK" } else { "401 Unauthorized\r\nwww-authenticate: Basic" };
        reply(stream, head, "locked_bytes 77\n");
    });
    format!(
        "{SAMPLING}applications:\n- {{name: endless, prometheus: '{endless}/'}}\n- {{name: hanging, prometheus: '{hanging}/'}}\n\
         - {{name: garbage, prometheus: '{garbage}/?key=hunter2'}}\n- {{name: elsewhere, prometheus: '{elsewhere}/'}}\n\
         - {{name: locked, prometheus: '{locked}/'}}\n- {{name: closed, prometheus: 'http://127.0.0.1:{closed}/'}}\n\
         - name: unlocked\n  prometheus: '{locked}/'\n  basic_auth: {{username: me, password_file: password}}\n  \
         areas: [{{name: cache, metric: locked_bytes}}]\n\
         - {{name: odd, areas: [{{name: json, json: '{endless}/'}}, {{name: file, file: /dev/zero}}, {{name: yes, command: [yes]}}, \
         {{name: sleep, command: [sleep, '3600']}}, {{name: fails, command: ['false']}}]}}\n\
         - {{name: good, prometheus: '{good}'}}\n",
        closed = free_port(),
    )
}

#[test]
fn hostile_sources_are_bounded_named_and_harm_no_other() {
    let good = Application::python(&[]);
    let sent = Arc::new(AtomicU64::new(0));
    let scratch = Scratch::new("hostile");
    scratch.write("password", "hunter2\n");
    let configuration = hostile_configuration(&sent, &good.url("/metrics"));
    let exporter = Exporter::start_configured(&scratch, &configuration, &FLAGS);
    exporter.scrape_until("all sources to be asked", PATIENCE, |scrape| {
        (HOSTILE.iter().all(|(name, _)| source(scrape, name) == Some(0.0))
            && source(scrape, "unlocked") == Some(1.0))
        .then_some(())
    });
    agrees(&exporter, ("unlocked", "cache"), || 77.0);
    // The others are asked on and on.
    let sampled_at =
        |scrape: &Scrape| scrape.area("memleak_area_last_sample_timestamp_seconds", "good", "rss");
    let before = exporter.scrape_until("the good one", PATIENCE, sampled_at);
    exporter.scrape_until("the good one to be sampled on", PATIENCE, |scrape| {
        (sampled_at(scrape)? >= before + 12.0).then_some(())
    });
    let scrape = exporter.scrape();
    let resident = scrape.value("process_resident_memory_bytes", &[]).expect("told");
    assert!(resident < 48e6, "{resident} bytes");
    let said = exporter.process.output();
    for (name, cause) in HOSTILE {
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("source fails") && line.contains(&format!("source={name} ")))
            .collect();
        // Who is slow on a busy machine may be said again after it worked; these never do.
        assert_eq!(lines.len(), 1, "{name}: {lines:?}");
        // A gigabyte may also take too long.
        assert!(
            lines[0].contains(cause) || (name.contains("endless") && lines[0].contains("no answer")),
            "{}",
            lines[0]
        );
    }
    assert!(!said.contains("hunter2"), "a secret is in the log");
    let readings = scrape.value("memleak_exporter_ticks_total", &[]).expect("told") + 1.0;
    let sent_mib = u32::try_from(sent.load(Ordering::Relaxed) >> 20).expect("less than four million");
    assert!(f64::from(sent_mib) < 64.0 * readings, "{sent_mib} MiB were taken in {readings} readings");
}
