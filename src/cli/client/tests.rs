//! The reports of the client commands, made of the answers that the API's own tests are held to. `UPDATE_EXPECTED=1`
//! accepts what is there now; look at the difference before committing it.

use super::{super::output::terminal::Paint, *};
use std::path::PathBuf;

/// An answer of the API.
fn answer(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A page without its style sheet, which changes for reasons of its own.
fn without_style(page: &str) -> String {
    let before = page.split_once("<style>");
    let after = page.split_once("</style>");
    before.zip(after).map_or_else(|| page.to_owned(), |((before, _), (_, after))| format!("{before}{after}"))
}

/// Holds a report against what is expected, in each format for people.
fn check(name: &str, report: &Report) {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/cli/client/tests");
    for (format, ending) in [(Format::Table, "txt"), (Format::Markdown, "md"), (Format::Html, "html")] {
        let mut shown = Vec::new();
        let output = Output { format, paint: Paint::OFF };
        output.write(&mut shown, report, &Value::Null, &[Value::Null]).unwrap();
        let shown = without_style(&String::from_utf8(shown).unwrap());
        let file = directory.join(format!("{name}.{ending}"));
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&file, &shown).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(shown, expected, "{name}.{ending}: UPDATE_EXPECTED=1 accepts this");
    }
}

#[test]
fn each_answer_is_told_to_people() {
    let status = answer(include_str!("../../http/api/tests/status.json"));
    let report = answer(include_str!("../../http/api/tests/report.json"));
    let areas = answer(include_str!("../../http/api/tests/areas.json"));
    let findings = answer(include_str!("../../http/api/tests/findings.json"));
    let mut targets = answer(include_str!("../../http/api/tests/targets.json"));
    let health = answer(include_str!("../../http/api/tests/health.json"));
    check("status", &whole::status(&status));
    check("health", &whole::health(&health));
    check("trends", &whole::trends(&report));
    check("report", &whole::report(&report));
    check("areas", &areas::areas(&areas));
    check("leaks", &areas::leaks(&areas));
    check("recommendations", &areas::recommendations(&findings));
    check("targets", &targets::targets(&targets));
    targets.set("collectors", status.pointer("/collectors").cloned().unwrap());
    check("performance", &performance::performance(&targets));
}

#[test]
fn what_another_version_does_not_tell_is_a_dash() {
    for report in [whole::status, whole::health, whole::report, areas::leaks, targets::targets] {
        let report = report(&answer(r#"{"targets":[{}],"areas":[{}]}"#));
        assert!(
            !report.rows.iter().flat_map(|row| &row.cells).any(|cell| cell.text.is_empty()),
            "{report:?}"
        );
    }
}

#[test]
fn metrics_are_chosen_by_the_begin_of_their_names() {
    let page = "# HELP a_b B.\n# TYPE a_b gauge\na_b{x=\"1\"} 2\n# HELP c a_b\nc 3\n";
    assert_eq!(whole::beginning_with(page, "a_"), "# HELP a_b B.\n# TYPE a_b gauge\na_b{x=\"1\"} 2\n");
}

#[test]
fn the_environment_names_the_exporter() {
    let url = |variable: Option<&str>| from_environment(variable).map(|url| url.to_string());
    assert_eq!(url(None).unwrap(), "http://127.0.0.1:10099/");
    assert_eq!(url(Some("")).unwrap(), "http://127.0.0.1:10099/");
    assert_eq!(url(Some("https://a:1/x/")).unwrap(), "https://a:1/x/");
    let error = format!("{:#}", url(Some("a")).unwrap_err());
    assert!(
        error.contains("MEMLEAK_EXPORTER_URL cannot be used: it is no http:// or https:// URL"),
        "{error}"
    );
}

/// Answers one request with this and gives what was asked, the head in lower case and the body.
fn serve_once(answer: &'static str) -> (String, std::thread::JoinHandle<(String, String)>) {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            stream.read_line(&mut head).unwrap();
        }
        let head = head.to_lowercase();
        let length =
            head.split_once("content-length: ").map_or("0", |(_, rest)| rest.lines().next().unwrap());
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
        (head, String::from_utf8(body).unwrap())
    });
    (base, serving)
}

#[derive(clap::Parser)]
struct Reset {
    #[command(flatten)]
    exporter: ExporterArguments,
}

#[test]
fn a_change_is_json_and_a_refusal_says_what_to_do() {
    let change = |answer| {
        let (base, serving) = serve_once(answer);
        let arguments = <Reset as clap::Parser>::try_parse_from(["x", "--url", &base]).unwrap();
        let exporter = arguments.exporter.exporter().ok().unwrap();
        let told =
            exporter.change("/api/v1/forget", &serde_json::json!({"kind": "process", "target": "web"}));
        (told, serving.join().unwrap())
    };
    let (told, (head, body)) = change("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"areas\":3}");
    assert!(
        head.starts_with("post /api/v1/forget ") && head.contains("content-type: application/json\r\n"),
        "{head}"
    );
    assert_eq!(body, "{\"kind\":\"process\",\"target\":\"web\"}");
    let mut told = told.ok().unwrap();
    told.set("target", Value::from("web"));
    check("reset", &reset::forgotten(&told));
    let (refused, _) = change(
        "HTTP/1.1 404 Not Found\r\ncontent-length: 54\r\n\r\n{\"detail\":\"No such target.\",\"help\":\"Ask /targets.\"}    ",
    );
    let Err(Failure::Other(error)) = refused else { panic!("it was refused") };
    assert!(format!("{error:#}").ends_with("answers 404: No such target. Ask /targets."), "{error:#}");
}
