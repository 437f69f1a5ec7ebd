//! Which keys there are: the list that the reader accepts and that the shipped sample must show, and what a person who
//! wrote another one probably meant.

/// Every key by its path; `[]` stands for an item of a list. A section that takes any key ends in `.*`.
pub(super) const KEYS: &[&str] = &[
    "sampling.interval",
    "sampling.full_interval",
    "collectors.process",
    "collectors.process.interval",
    "collectors.process.timeout",
    "collectors.process.series",
    "collectors.cgroup",
    "collectors.cgroup.interval",
    "collectors.cgroup.timeout",
    "collectors.cgroup.series",
    "collectors.host",
    "collectors.host.interval",
    "collectors.host.timeout",
    "collectors.host.series",
    "collectors.application",
    "collectors.application.interval",
    "collectors.application.timeout",
    "collectors.application.series",
    "collectors.attribution",
    "collectors.attribution.interval",
    "collectors.attribution.timeout",
    "collectors.attribution.series",
    "collectors.jvm",
    "collectors.jvm.interval",
    "collectors.jvm.timeout",
    "collectors.directory",
    "collectors.directory.interval",
    "collectors.directory.timeout",
    "collectors.directory.series",
    "collectors.push",
    "collectors.push.interval",
    "collectors.push.timeout",
    "collectors.push.series",
    "processes.group_by",
    "processes.rules",
    "processes.rules[].name",
    "processes.rules[].executable",
    "processes.rules[].command_line",
    "processes.rules[].unit",
    "processes.rules[].container",
    "processes.include",
    "processes.exclude",
    "processes.expected",
    "processes.judge",
    "processes.show_pid",
    "cgroups.include",
    "cgroups.exclude",
    "cgroups.judge",
    "host.judge",
    "applications[].name",
    "applications[].prometheus",
    "applications[].prefix",
    "applications[].expvar",
    "applications[].pprof",
    "applications[].node_inspector",
    "applications[].wake_by_signal",
    "applications[].interval",
    "applications[].basic_auth",
    "applications[].basic_auth.username",
    "applications[].basic_auth.password_file",
    "applications[].bearer_token_file",
    "applications[].certificate_file",
    "applications[].areas",
    "applications[].areas[].name",
    "applications[].areas[].unit",
    "applications[].areas[].limit",
    "applications[].areas[].judge",
    "applications[].areas[].metric",
    "applications[].areas[].json",
    "applications[].areas[].file",
    "applications[].areas[].command",
    "applications[].areas[].field",
    "applications[].areas[].entries",
    "attribution.targets",
    "attribution.interval",
    "attribution.largest",
    "attribution.processes_per_tick",
    "attribution.time_per_tick",
    "attribution.modules",
    "attribution.descriptors",
    "directories[].name",
    "directories[].path",
    "directories[].pattern",
    "directories[].recursive",
    "directories[].limit",
    "directories[].limit.files",
    "directories[].limit.bytes",
    "push.areas",
    "push.forget_after",
    "push.metrics",
    "sensitivity",
    "targets[].name",
    "targets[].sensitivity",
    "targets[].thresholds",
    "targets[].thresholds.*",
    "severity[].level",
    "severity[].confidence",
    "severity[].time_to_limit",
    "severity[].growth_per_day",
    "limits.processes",
    "limits.cgroups",
    "limits.targets",
    "limits.areas_per_target",
    "limits.series",
    "otlp.endpoint",
    "otlp.protocol",
    "otlp.headers",
    "otlp.headers.*",
    "otlp.compression",
    "otlp.timeout",
    "otlp.temporality",
    "otlp.interval",
    "otlp.queue",
    "otlp.certificate_file",
    "otlp.client_certificate_file",
    "otlp.client_key_file",
    "otlp.resource_attributes",
    "otlp.resource_attributes.*",
];

/// What people write, by habit from other programs or from how a key was called before, and what to do instead.
const INSTEAD: &[(&str, &str)] = &[
    // sampling
    ("scrape_interval", "write `sampling.interval`"),
    (
        "global",
        "write `sampling.interval` for its scrape_interval and `otlp.resource_attributes` for its external_labels",
    ),
    ("interval", "write `sampling.interval`"),
    ("full_interval", "write `sampling.full_interval`"),
    ("sample", "write `sampling`"),
    ("sampling.scrape_interval", "write `sampling.interval`"),
    ("sampling.period", "write `sampling.interval`"),
    ("sampling.full_report", "write `sampling.full_interval`"),
    // collectors
    ("collector", "write `collectors`"),
    ("collectors.process.scrape_interval", "write `interval`"),
    ("collectors.process.enabled", "use the flags --collector.NAME and --no-collector.NAME"),
    // processes
    ("process_names", "write `processes.rules`"),
    ("rules", "write `processes.rules`"),
    ("group_by", "write `processes.group_by`"),
    ("include", "write `processes.include`"),
    ("exclude", "write `processes.exclude`"),
    ("expected", "write `processes.expected`"),
    ("judge", "write `processes.judge`"),
    ("process", "write `processes`"),
    ("processes.names", "write `processes.rules`"),
    ("processes.areas", "write `processes.judge`"),
    ("processes.ignore", "write `processes.exclude`"),
    ("processes.only", "write `processes.include`"),
    ("processes.pid", "write `processes.show_pid`"),
    ("processes.max", "write `limits.processes`"),
    ("processes.rules[].comm", "write `executable`"),
    ("processes.rules[].exe", "write `executable`"),
    ("processes.rules[].cmdline", "write `command_line`"),
    ("processes.rules[].command", "write `command_line`"),
    ("processes.rules[].cgroup", "write `unit` or `container`"),
    ("processes.rules[].systemd_unit", "write `unit`"),
    ("processes.rules[].target", "write `name`"),
    // control groups and the machine
    ("cgroup", "write `cgroups`"),
    ("containers", "write `cgroups`"),
    ("cgroups.areas", "write `cgroups.judge`"),
    ("cgroups.max", "write `limits.cgroups`"),
    ("host.areas", "write `host.judge`"),
    // applications
    ("application", "write `applications`"),
    ("apps", "write `applications`"),
    ("scrape_configs", "write `applications`, and the URL of each as `applications[].prometheus`"),
    ("applications[].target", "write `name`"),
    ("applications[].url", "write `prometheus`"),
    ("applications[].endpoint", "write `prometheus`"),
    ("applications[].metrics", "write `prometheus`"),
    ("applications[].inspect", "write `node_inspector`"),
    ("applications[].scrape_interval", "write `interval`"),
    ("applications[].timeout", "write `collectors.application.timeout`"),
    ("applications[].bearer_token", "write `bearer_token_file`"),
    ("applications[].authorization", "write `basic_auth` or `bearer_token_file`"),
    ("applications[].ca_file", "write `certificate_file`"),
    ("applications[].basic_auth.password", "write `password_file`"),
    ("applications[].basic_auth.user", "write `username`"),
    ("applications[].areas[].area", "write `name`"),
    ("applications[].areas[].url", "write `json`"),
    ("applications[].areas[].pointer", "write `field`"),
    ("applications[].areas[].exec", "write `command`"),
    ("applications[].areas[].max", "write `limit`"),
    // attribution
    ("smaps", "write `attribution`"),
    ("attribution.processes", "write `attribution.targets`"),
    ("attribution.max_size", "write `attribution.largest`"),
    ("attribution.max_processes", "write `attribution.processes_per_tick`"),
    ("attribution.enabled", "use the flags --collector.attribution and --no-collector.attribution"),
    // directories
    ("directory", "write `directories`"),
    ("event_files", "write `directories`"),
    ("directories[].target", "write `name`"),
    ("directories[].dir", "write `path`"),
    ("directories[].directory", "write `path`"),
    ("directories[].glob", "write `pattern`, a regular expression"),
    ("directories[].include", "write `pattern`"),
    ("directories[].limits", "write `limit`"),
    ("directories[].max_files", "write `limit`"),
    ("directories[].limit.file_bytes", "write `bytes`"),
    ("directories[].limit.size", "write `bytes`"),
    // push
    ("receivers", "write `push`"),
    ("push.enabled", "use the flag --no-collector.push to switch it off"),
    ("push.listen_address", "use the flag --otlp.listen-address"),
    ("push.grpc", "use the flag --otlp.listen-address"),
    ("push.names", "write `push.metrics`"),
    ("push.targets", "write `push.areas`"),
    ("push.ttl", "write `push.forget_after`"),
    // sensitivity
    ("preset", "write `sensitivity`"),
    ("profile", "write `sensitivity`"),
    ("thresholds", "write `targets[].thresholds`"),
    ("budgets", "write `targets[].thresholds`"),
    ("processes.targets", "write `targets`"),
    ("processes.sensitivity", "write `sensitivity`"),
    ("targets[].target", "write `name`"),
    ("targets[].pattern", "write `name`"),
    ("targets[].preset", "write `sensitivity`"),
    ("targets[].rules", "write `thresholds`"),
    ("targets[].budget", "write `thresholds`"),
    // severity
    ("severities", "write `severity`"),
    ("severity[].severity", "write `level`"),
    ("severity[].name", "write `level`"),
    ("severity[].time", "write `time_to_limit`"),
    ("severity[].time_to_oom", "write `time_to_limit`"),
    ("severity[].growth", "write `growth_per_day`"),
    // limits
    ("limit", "write `limits`"),
    ("max_processes", "write `limits.processes`"),
    ("max_targets", "write `limits.targets`"),
    ("max_series", "write `limits.series`"),
    ("limits.max_processes", "write `limits.processes`"),
    ("limits.max_targets", "write `limits.targets`"),
    ("limits.max_areas", "write `limits.areas_per_target`"),
    ("limits.areas", "write `limits.areas_per_target`"),
    ("limits.max_series", "write `limits.series`"),
    // otlp
    ("endpoint", "write `otlp.endpoint`"),
    ("headers", "write `otlp.headers`"),
    ("protocol", "write `otlp.protocol`"),
    ("exporters", "write `otlp`"),
    ("opentelemetry", "write `otlp`"),
    ("otel", "write `otlp`"),
    ("otlp.url", "write `otlp.endpoint`"),
    ("otlp.enabled", "leave out the whole `otlp` section to switch it off"),
    ("otlp.insecure", "write http:// or https:// in `otlp.endpoint`"),
    ("otlp.tls", "write https:// in `otlp.endpoint` and, where needed, `otlp.certificate_file`"),
    ("otlp.ca_file", "write `otlp.certificate_file`"),
    ("otlp.certificate", "write `otlp.certificate_file`"),
    ("otlp.cert_file", "write `otlp.client_certificate_file`"),
    ("otlp.client_certificate", "write `otlp.client_certificate_file`"),
    ("otlp.key_file", "write `otlp.client_key_file`"),
    ("otlp.client_key", "write `otlp.client_key_file`"),
    ("otlp.export_interval", "write `otlp.interval`"),
    ("otlp.sending_queue", "write `otlp.queue`"),
    ("otlp.queue_size", "write `otlp.queue`"),
    ("otlp.resource", "write `otlp.resource_attributes`"),
    ("otlp.attributes", "write `otlp.resource_attributes`"),
    // what the command line decides
    ("listen_address", "use the flag --web.listen-address"),
    ("listen", "use the flag --web.listen-address"),
    ("port", "use the flag --web.listen-address"),
    ("web", "use the flags that begin with --web."),
    ("log", "use the flags --log.level and --log.format"),
    ("log_level", "use the flag --log.level"),
    ("procfs", "use the flag --path.procfs"),
    // YAML
    ("<<", "repeat the keys instead of merging them"),
];

/// The keys that a section takes, in the order of the list; the root is the empty path.
pub(super) fn of_section(section: &str) -> Vec<&'static str> {
    let mut keys: Vec<&str> = Vec::new();
    for path in KEYS {
        let inside = match section {
            "" => Some(*path),
            _ => path.strip_prefix(section).and_then(|rest| rest.strip_prefix('.')),
        };
        let key = inside.and_then(|inside| inside.split(['.', '[']).next());
        if let Some(key) = key.filter(|key| !keys.contains(key)) {
            keys.push(key);
        }
    }
    keys
}

/// What to do about `key`, which `section` does not take.
pub(super) fn instead(section: &str, key: &str) -> String {
    let path = if section.is_empty() { String::from(key) } else { format!("{section}.{key}") };
    let known = INSTEAD.iter().find(|(written, _)| *written == path || (key == "<<" && *written == key));
    if let Some((_, advice)) = known {
        return String::from(*advice);
    }
    let keys = of_section(section);
    if let Some(near) = nearest(key, &keys) {
        return format!("did you mean `{near}`?");
    }
    let elsewhere: Vec<String> = KEYS
        .iter()
        .filter(|path| path.rsplit('.').next() == Some(key) && key != "*")
        .map(|path| format!("`{path}`"))
        .collect();
    if elsewhere.is_empty() {
        return format!("the keys here are {}", list(&keys));
    }
    format!("did you mean {}?", elsewhere.join(" or "))
}

/// Words for a message: `` `a`, `b` and `c` ``.
pub(super) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// The candidate that a slip of the hand turned into `word`: at most one letter in three differs.
pub(super) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let letters: Vec<char> = word.to_lowercase().replace('-', "_").chars().take(64).collect();
    let (near, distance) = candidates
        .iter()
        .map(|candidate| (*candidate, edits(&letters, candidate)))
        .min_by_key(|(_, distance)| *distance)?;
    (distance <= near.chars().count() / 3).then_some(near)
}

/// The edit distance of Levenshtein with a swap of neighbours as one edit (optimal string alignment), row by row.
fn edits(from: &[char], to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let mut best =
                (cell(&last, j) + usize::from(a != b)).min(cell(&last, j + 1) + 1).min(cell(&row, j) + 1);
            let previous =
                i.checked_sub(1).and_then(|i| from.get(i)).zip(j.checked_sub(1).and_then(|j| to.get(j)));
            if previous == Some((b, a)) {
                best = best.min(cell(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        let check = |from: &str, to: &str, expected: usize| {
            assert_eq!(edits(&from.chars().collect::<Vec<_>>(), to), expected, "{from} {to}");
        };
        check("interval", "interval", 0);
        check("", "abc", 3);
        check("abc", "", 3);
        check("intervall", "interval", 1);
        check("intreval", "interval", 1);
        check("quue", "queue", 1);
        check("kitten", "sitting", 3);
    }

    #[test]
    fn advice_fits_the_mistake() {
        let check = |section: &str, key: &str, expected: &str| {
            assert_eq!(instead(section, key), expected, "{section} {key}");
        };
        check("", "scrape_interval", "write `sampling.interval`");
        check("", "max_targets", "write `limits.targets`");
        check("", "endpoint", "write `otlp.endpoint`");
        check("", "procesess", "did you mean `processes`?");
        check("", "client_key_file", "did you mean `otlp.client_key_file`?");
        check(
            "",
            "xyz",
            "the keys here are `sampling`, `collectors`, `processes`, `cgroups`, `host`, `applications`, `attribution`, `directories`, `push`, `sensitivity`, `targets`, `severity`, `limits` and `otlp`",
        );
        check("sampling", "intervall", "did you mean `interval`?");
        check("sampling", "queue", "did you mean `otlp.queue`?");
        check("processes", "group-by", "did you mean `group_by`?");
        check("processes", "Judge", "did you mean `judge`?");
        check("processes.rules[]", "cmdline", "write `command_line`");
        check("processes.rules[]", "nmae", "did you mean `name`?");
        check("otlp", "<<", "repeat the keys instead of merging them");
    }

    #[test]
    fn what_to_write_instead_exists_and_what_not_to_write_does_not() {
        for (written, advice) in INSTEAD {
            let (section, key) = written.rsplit_once('.').unwrap_or(("", written));
            assert!(!of_section(section).contains(&key), "{written} is a key");
            for named in advice.split('`').skip(1).step_by(2) {
                let known = |path: &str| KEYS.iter().any(|key| key.starts_with(path));
                assert!(known(named) || known(&format!("{section}.{named}")), "{written}: {named}");
            }
        }
    }

    #[test]
    fn sections_know_their_keys() {
        assert_eq!(
            of_section(""),
            [
                "sampling",
                "collectors",
                "processes",
                "cgroups",
                "host",
                "applications",
                "attribution",
                "directories",
                "push",
                "sensitivity",
                "targets",
                "severity",
                "limits",
                "otlp"
            ]
        );
        assert_eq!(
            of_section("processes.rules[]"),
            ["name", "executable", "command_line", "unit", "container"]
        );
        assert_eq!(of_section("limits"), ["processes", "cgroups", "targets", "areas_per_target", "series"]);
        assert!(!of_section("otlp").contains(&"*"));
    }
}
