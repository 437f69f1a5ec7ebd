//! The script that an interpreter runs: three services in Node are three programs, not three times `node`.

/// An interpreter: how its options look, so that the first thing which is none is the script.
struct Interpreter {
    /// The runtime's name as it is shown.
    runtime: &'static str,
    /// The word before the script in a target's name.
    shown: &'static str,
    /// Names of the executable; a version behind (`python3.11`) is ignored.
    executables: &'static [&'static str],
    /// Options that take the next argument.
    with_value: &'static [&'static str],
    /// Options whose next argument is what runs: a module, an archive.
    program: &'static [&'static str],
    /// Options after which there is no script: code on the command line.
    inline: &'static [&'static str],
}

const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        runtime: "node",
        shown: "node",
        executables: &["node", "nodejs"],
        with_value: &[
            "-r",
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "-C",
            "--conditions",
            "--env-file",
        ],
        program: &[],
        inline: &["-e", "--eval", "-p", "--print", "-i", "--interactive"],
    },
    Interpreter {
        runtime: "python",
        shown: "python",
        executables: &["python", "pypy"],
        with_value: &["-W", "-X", "-Q", "--check-hash-based-pycs"],
        program: &["-m"],
        inline: &["-c"],
    },
    Interpreter {
        runtime: "jvm",
        shown: "java",
        executables: &["java"],
        with_value: &[
            "-cp",
            "-classpath",
            "--class-path",
            "-p",
            "--module-path",
            "--add-modules",
            "--add-opens",
            "--add-exports",
            "--add-reads",
            "--upgrade-module-path",
        ],
        program: &["-jar", "-m", "--module"],
        inline: &["-version", "--version"],
    },
    Interpreter {
        runtime: "ruby",
        shown: "ruby",
        executables: &["ruby", "jruby"],
        with_value: &["-r", "-I", "-C", "-E"],
        program: &[],
        inline: &["-e"],
    },
    Interpreter {
        runtime: "perl",
        shown: "perl",
        executables: &["perl"],
        with_value: &["-I", "-M"],
        program: &[],
        inline: &["-e", "-E"],
    },
    Interpreter {
        runtime: "php",
        shown: "php",
        executables: &["php"],
        with_value: &["-c", "-d", "-S", "-t", "-z"],
        program: &["-f"],
        inline: &["-r"],
    },
    Interpreter {
        runtime: "dotnet",
        shown: "dotnet",
        executables: &["dotnet"],
        with_value: &["--runtimeconfig", "--depsfile", "--additionalprobingpath"],
        program: &["exec"],
        inline: &[],
    },
    Interpreter {
        runtime: "bun",
        shown: "bun",
        executables: &["bun"],
        with_value: &["-r", "--preload"],
        program: &["run"],
        inline: &["-e"],
    },
    Interpreter {
        runtime: "deno",
        shown: "deno",
        executables: &["deno"],
        with_value: &["-c", "--config"],
        program: &["run"],
        inline: &["eval"],
    },
    Interpreter {
        runtime: "shell",
        shown: "sh",
        executables: &["sh", "dash"],
        with_value: &["-o"],
        program: &[],
        inline: &["-c"],
    },
    Interpreter {
        runtime: "shell",
        shown: "bash",
        executables: &["bash"],
        with_value: &["-o", "-O", "--rcfile", "--init-file"],
        program: &[],
        inline: &["-c"],
    },
];

/// A script and who runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    shown: &'static str,
    file: String,
}

impl Script {
    /// The name of the target: `node server.js`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.shown, self.file)
    }
}

/// The runtime that an executable is, if it is one.
#[must_use]
pub fn runtime(executable: &str) -> Option<&'static str> {
    interpreter(executable).map(|interpreter| interpreter.runtime)
}

/// The script that a process runs, if its executable is an interpreter and the command line names one.
#[must_use]
pub fn of(executable: &str, arguments: &[String]) -> Option<Script> {
    let interpreter = interpreter(executable)?;
    let file = match arguments {
        [title] if title.contains(' ') || title.contains(':') => own_title(title),
        [_, rest @ ..] => first_program(interpreter, rest),
        [] => None,
    }?;
    Some(Script { shown: interpreter.shown, file })
}

fn interpreter(executable: &str) -> Option<&'static Interpreter> {
    let bare = executable.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    INTERPRETERS.iter().find(|interpreter| interpreter.executables.contains(&bare))
}

/// Programs may overwrite their arguments with a title (`gunicorn: worker [shop]`): its first word names them.
fn own_title(title: &str) -> Option<String> {
    let word = title.split([' ', ':']).next().unwrap_or_default();
    (!word.is_empty()).then(|| base_name(word))
}

fn first_program(interpreter: &Interpreter, arguments: &[String]) -> Option<String> {
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        if interpreter.program.contains(&argument) {
            return rest.next().map(base_name);
        }
        if interpreter.inline.contains(&argument) {
            return None;
        }
        if interpreter.with_value.contains(&argument) {
            rest.next();
        } else if argument == "--" {
            return rest.next().map(base_name);
        } else if !argument.starts_with('-') && !argument.is_empty() {
            return Some(base_name(argument));
        }
    }
    None
}

/// The last part of a path; a Java main class (`com.shop.Main`) stays whole.
fn base_name(path: &str) -> String {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command line as a person types it; the first word is the executable.
    fn check(command_line: &str, expected: Option<&str>) {
        let arguments: Vec<String> = command_line.split(' ').map(str::to_owned).collect();
        let executable = base_name(&arguments[0]);
        assert_eq!(
            of(&executable, &arguments).map(|script| script.name()).as_deref(),
            expected,
            "{command_line}"
        );
    }

    #[test]
    fn the_script_is_the_first_argument_that_is_no_option() {
        check("node server.js", Some("node server.js"));
        check(
            "/usr/bin/node --max-old-space-size=512 -r dotenv/config /srv/api/server.js --port 80",
            Some("node server.js"),
        );
        check("node -e 1", None);
        check("node", None);
        check("python3.11 -u /opt/app.py", Some("python app.py"));
        check("python3 -W ignore -m http.server 80", Some("python http.server"));
        check("python3 -c pass x.py", None);
        check("java -Xmx1g -jar /opt/x.jar --y", Some("java x.jar"));
        check("java -cp a.jar:b.jar com.shop.Main", Some("java com.shop.Main"));
        check("ruby bin/rails server", Some("ruby rails"));
        check("dotnet exec app.dll", Some("dotnet app.dll"));
        check("bash /opt/run.sh", Some("bash run.sh"));
        check("bash -c true", None);
        check("nginx -g x", None);
        check("java -jar", None);
    }

    #[test]
    fn a_title_names_a_program_that_overwrote_its_arguments() {
        let title = [String::from("gunicorn: worker [shop]")];
        assert_eq!(of("python3.11", &title).map(|script| script.name()).as_deref(), Some("python gunicorn"));
        assert_eq!(of("python3.11", &[]), None);
    }
}
