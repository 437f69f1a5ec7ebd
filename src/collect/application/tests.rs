//! What applications tell, from the text of their pages to samples; asking is tried on real programs.

use super::*;
use crate::config::written;

fn asked(configuration: &str) -> Asked {
    let config = written::parse(configuration, "a.yml", &|_| None).expect(configuration);
    Asked::new(&config.applications[0])
}

/// A reading of this page and these documents.
fn reading(asked: &Asked, page: Option<&str>, documents: Vec<Answer<Value>>) -> Reading {
    let index = Index::new();
    let selectors: Vec<&Selector> = asked.application.selectors().collect();
    let page = page.map(|page| {
        let mut exposition = Exposition::new(&index, &asked.application.prefix, &selectors);
        exposition.feed(page.as_bytes()).and_then(|()| exposition.finish())
    });
    Reading { page, documents }
}

/// What is told at this time: samples as `name=size`, limits as `name=size/limit`, and failures.
fn told(asked: &mut Asked, reading: &Reading, at: Seconds) -> (Batch, Vec<String>, Vec<String>) {
    let mut batch = Batch::new(at);
    asked.tell(reading, &mut batch);
    let samples: Vec<String> = batch
        .readings()
        .flat_map(|(_, samples)| samples)
        .map(|sample| {
            let limit = sample.limit.map(|limit| format!("/{}", limit.value)).unwrap_or_default();
            format!("{}={}{limit}", sample.area.name, sample.size)
        })
        .collect();
    let failures = batch
        .sources
        .iter()
        .filter_map(|source| source.failure.as_ref().map(|failure| format!("{}: {failure}", source.name)));
    let failures = failures.collect();
    (batch, samples, failures)
}

fn check(page: &str, runtime: &str, expected: &[&str]) {
    let mut asked = asked("applications: [{name: a, prometheus: 'http://a/'}]");
    let reading = reading(&asked, Some(page), Vec::new());
    let (_, samples, failures) = told(&mut asked, &reading, 1000.0);
    assert_eq!((samples, failures), (expected.iter().map(|text| (*text).into()).collect(), Vec::new()));
    assert_eq!(&*asked.member.expect("there").info.runtime, runtime);
}

#[test]
fn node_tells_its_heap_and_what_lies_beside_it() {
    check(
        "process_resident_memory_bytes 200\nnodejs_heap_size_used_bytes 60\nnodejs_heap_size_total_bytes 80\n\
         nodejs_external_memory_bytes 30\nnodejs_active_resources{type=\"Timeout\"} 3\n\
         nodejs_active_resources{type=\"Immediate\"} 1\nnodejs_active_resources{type=\"TCPSocketWrap\"} 2\n\
         nodejs_heap_space_size_used_bytes{space=\"new\"} 5\nnodejs_active_handles_total 4\n",
        "node",
        &[
            "external=120",
            "handles=4",
            "heap=60",
            "heap_committed=80",
            "pool_new=5",
            "rss=200",
            "sockets=2",
            "timers=4",
            "v8_external=30",
        ],
    );
}

#[test]
fn all_libraries_of_the_jvm_tell_the_same() {
    let expected = [
        "direct_buffers=7",
        "heap=60/512",
        "heap_after_gc=40/512",
        "heap_committed=80",
        "metaspace=9",
        "pool_g1_eden_space=20",
        "pool_g1_old_gen=40",
        "pool_metaspace=9",
    ];
    check(
        "jvm_memory_used_bytes{area=\"heap\",id=\"G1 Eden Space\"} 20\njvm_memory_used_bytes{area=\"heap\",id=\"G1 Old Gen\"} 40\n\
         jvm_memory_used_bytes{area=\"nonheap\",id=\"Metaspace\"} 9\njvm_memory_committed_bytes{area=\"heap\",id=\"G1 Old Gen\"} 80\n\
         jvm_memory_max_bytes{area=\"heap\",id=\"G1 Eden Space\"} -1.0\njvm_memory_max_bytes{area=\"heap\",id=\"G1 Old Gen\"} 512\n\
         jvm_gc_live_data_size_bytes 40\njvm_buffer_memory_used_bytes{id=\"direct\"} 7\njvm_buffer_memory_used_bytes{id=\"mapped\"} 9\n",
        "jvm",
        &expected,
    );
    for (used, committed, max, pool) in [
        (
            "jvm_memory_bytes_used",
            "jvm_memory_bytes_committed",
            "jvm_memory_bytes_max",
            "jvm_memory_pool_bytes_used",
        ),
        (
            "jvm_memory_used_bytes",
            "jvm_memory_committed_bytes",
            "jvm_memory_max_bytes",
            "jvm_memory_pool_used_bytes",
        ),
    ] {
        let page = format!(
            "{used}{{area=\"heap\"}} 60\n{used}{{area=\"nonheap\"}} 9\n{committed}{{area=\"heap\"}} 80\n{max}{{area=\"heap\"}} 512\n\
             {pool}{{pool=\"G1 Eden Space\"}} 20\n{pool}{{pool=\"G1 Old Gen\"}} 40\n{pool}{{pool=\"Metaspace\"}} 9\n\
             jvm_memory_pool_collection_used_bytes{{pool=\"G1 Old Gen\"}} 40\njvm_memory_pool_collection_used_bytes{{pool=\"G1 Eden Space\"}} 0\n\
             jvm_buffer_pool_used_bytes{{pool=\"direct\"}} 7\n"
        );
        check(&page, "jvm", &expected);
    }
    let of = |metric: &str, kind: &str, pool: &str, value: u32| {
        format!("{metric}{{jvm_memory_type=\"{kind}\",jvm_memory_pool_name=\"{pool}\"}} {value}\n")
    };
    let page = [
        of("jvm_memory_used_bytes", "heap", "G1 Eden Space", 20),
        of("jvm_memory_used_bytes", "heap", "G1 Old Gen", 40),
        of("jvm_memory_used_bytes", "non_heap", "Metaspace", 9),
        of("jvm_memory_committed_bytes", "heap", "G1 Old Gen", 80),
        of("jvm_memory_limit_bytes", "heap", "G1 Old Gen", 512),
        of("jvm_memory_used_after_last_gc_bytes", "heap", "G1 Old Gen", 40),
        String::from("jvm_buffer_memory_used_bytes{jvm_buffer_pool_name=\"direct\"} 7\n"),
    ];
    check(&page.concat(), "jvm", &expected);
}

#[test]
fn nothing_was_collected_yet_is_no_empty_heap() {
    check(
        "jvm_memory_bytes_used{area=\"heap\"} 60\njvm_memory_pool_collection_used_bytes{pool=\"G1 Old Gen\"} 0\n",
        "jvm",
        &["heap=60"],
    );
}

#[test]
fn go_and_dotnet_and_ruby_tell_theirs() {
    check(
        "go_memstats_heap_alloc_bytes 60\ngo_memstats_heap_sys_bytes 100\ngo_memstats_heap_released_bytes 20\n\
         go_gc_gomemlimit_bytes 9.223372036854776e+18\nprocess_resident_memory_bytes 110\ngo_goroutines 7\n\
         process_open_fds 5\nprocess_max_fds 1024\n",
        "go",
        &["external=30", "fds=5/1024", "goroutines=7", "heap=60", "heap_committed=80", "rss=110"],
    );
    check(
        "dotnet_gc_last_collection_heap_size_bytes{gc_heap_generation=\"gen0\"} 4\n\
         dotnet_gc_last_collection_heap_size_bytes{gc_heap_generation=\"gen2\"} 50\n\
         dotnet_gc_last_collection_memory_committed_size_bytes 80\ndotnet_process_memory_working_set_bytes 200\n\
         dotnet_timer_count 3\n",
        "dotnet",
        &[
            "external=120",
            "heap_after_gc=54",
            "heap_committed=80",
            "pool_gen0=4",
            "pool_gen2=50",
            "rss=200",
            "timers=3",
        ],
    );
    check("ruby_rss 200\nruby_heap_live_slots 40\n", "ruby", &["heap_objects=40", "rss=200"]);
}

const CONFIGURED: &str = "applications: [{name: shop, prometheus: 'http://a/m?key=hunter2', areas: [\
    {name: limiter, limit: 50MB, metric: 'limiter_bytes{s=\"a\"}', entries: limiter_keys},\
    {name: cache, json: 'http://a/j?key=hunter2', field: /bytes, entries: /entries},\
    {name: pool, unit: objects, json: 'http://a/j?key=hunter2', field: /pool},\
    {name: fds, unit: objects, limit: 100}, {name: secret, command: [x, hunter2]}]}]";

#[test]
fn configured_areas_are_told_and_fail_one_by_one() {
    let mut asked = asked(CONFIGURED);
    assert_eq!(asked.documents.len(), 2, "one URL is asked once");
    let page = "limiter_bytes{s=\"a\"} 5\nlimiter_bytes{s=\"b\"} 6\nlimiter_keys 2\nprocess_open_fds 9\nprocess_max_fds 1000\n";
    let document = || Some(Ok(serde_json::json!({"bytes": 70, "entries": 3, "pool": "x"})));
    let all = reading(&asked, Some(page), vec![document(), Some(Ok(serde_json::json!(8)))]);
    let (_, samples, failures) = told(&mut asked, &all, 1000.0);
    assert_eq!(
        samples,
        ["cache=70", "cache_entries=3", "fds=9/100", "limiter=5/50000000", "limiter_entries=2", "secret=8"]
    );
    assert_eq!(failures, ["shop/pool: http://a/j holds no number at /pool"]);
    let less =
        reading(&asked, Some("<html>"), vec![document(), Some(Err("ended with exit status: 3".into()))]);
    let (batch, samples, failures) = told(&mut asked, &less, 1003.0);
    assert_eq!(samples, ["cache=70", "cache_entries=3"]);
    assert_eq!(
        failures,
        [
            "shop: http://a/m line 1 is no metric; is it the URL of a Prometheus endpoint?",
            "shop/limiter: the application's endpoint fails",
            "shop/pool: http://a/j holds no number at /pool",
            "shop/secret: x ended with exit status: 3"
        ]
    );
    assert_eq!(batch.errors.read, 4);
    let member = asked.member.clone().unwrap();
    assert_eq!(batch.untold, [member.identity], "it is here, and does not tell of itself");
    let at_another_time = reading(&asked, None, vec![document(), document()]);
    assert_eq!(told(&mut asked, &at_another_time, 1006.0).0.untold, [], "it was not asked");
}

/// The identity of the only member; an error while it is silent, and nothing where it is gone.
fn identity(asked: &mut Asked, page: Result<&str, &str>, at: Seconds) -> Result<Option<Identity>, ()> {
    let reading = match page {
        Ok(page) => reading(asked, Some(page), Vec::new()),
        Err(error) => Reading { page: Some(Err(error.into())), documents: Vec::new() },
    };
    let (batch, ..) = told(asked, &reading, at);
    assert_eq!(batch.expected.len(), 1);
    let known = batch.readings().next().map(|(member, _)| member.identity);
    if batch.silent.is_empty() { Ok(known) } else { Err(()) }
}

#[test]
fn another_start_is_a_restart_and_silence_is_one_only_after_minutes() {
    let mut asked = asked("applications: [{name: a, prometheus: 'http://a/'}]");
    let mut at = |page, at| identity(&mut asked, page, at);
    let (untold, first, second) =
        ("up 1", "process_start_time_seconds 900.25", "process_start_time_seconds 1200.5");
    assert_eq!(at(Err("cannot be reached"), 990.0), Err(()));
    let known = at(Ok(untold), 1000.0);
    assert!(matches!(known, Ok(Some(_))));
    assert_eq!(at(Ok(first), 1003.0), known, "told for the first time");
    assert_eq!(at(Err("cannot be reached"), 1006.0), Err(()));
    let restarted = at(Ok(second), 1300.0);
    assert!(matches!(restarted, Ok(Some(_))) && restarted != known);
    assert_eq!(at(Err("cannot be reached"), 1303.0), Err(()));
    assert_eq!(at(Err("cannot be reached"), 1603.0), Err(()));
    assert_eq!(at(Err("cannot be reached"), 1604.0), Ok(None));
    assert_eq!(at(Ok(second), 2000.0), restarted, "the same process");
}

#[test]
fn the_start_gives_the_age_and_counters_come_along() {
    let mut asked = asked("applications: [{name: a, prometheus: 'http://a/'}]");
    let page = "process_start_time_seconds 900\ngo_gc_duration_seconds_count 4\ngo_gc_duration_seconds_sum 0.5\n\
                process_cpu_seconds_total 12.5\nnodejs_eventloop_lag_seconds 0.004\n";
    let reading = reading(&asked, Some(page), Vec::new());
    let (batch, ..) = told(&mut asked, &reading, 1000.0);
    let (member, _) = batch.readings().next().expect("a member");
    assert!((member.started_at - 900.0).abs() < 1e-9);
    let counts = batch.counted[0].1;
    assert_eq!(
        [Counter::Collections, Counter::CollectionSecs, Counter::CpuSecs, Counter::YoungCollections]
            .map(|counter| counts.get(counter)),
        [Some(4.0), Some(0.5), Some(12.5), None]
    );
    assert_eq!(batch.event_loop_lags, [(member.identity, 0.004)]);
}

#[test]
fn areas_of_ones_own_are_judged_and_the_heap_where_nothing_better_is_told() {
    let config = written::parse(CONFIGURED, "a.yml", &|_| None).expect("right");
    let judged = judged(&config);
    let is = |target: &str, area: &str, others: &[&str]| {
        judged.includes(target, &area.into(), |name| others.contains(&name))
    };
    assert!(is("shop", "cache", &[]) && is("shop", "cache_entries", &[]) && !is("other", "cache", &[]));
    assert!(is("shop", "heap", &[]) && !is("shop", "heap", &["heap_after_gc"]) && !is("shop", "rss", &[]));
    assert!(!is("shop", "fds", &[]), "a limit alone judges nothing");
}
