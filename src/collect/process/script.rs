//! The script that an interpreter runs: three services in Node are three programs, not three times `node`.
//!
//! A name is open to everybody who may read the metrics, and a command line may hold code with secrets in it. So where
//! it is not plain that an argument is a file, a module or a class, there is no script.

/// Characters of the longest name of a script; what is longer was hardly named by a person.
const LONGEST_FILE: usize = 128;
/// Characters that a shell or a language would understand, and that hardly any script has in its path.
const CODE: &[char] = &['\'', '"', '`', ';', '=', '$', '&', '|', '<', '>', '(', ')', '{', '}'];

/// Words with spaces between, which makes a table that a person can read.
type Words = &'static str;

/// An interpreter: how its options look, so that the first thing which is none is the script.
struct Interpreter {
    /// The runtime's name as it is shown.
    runtime: &'static str,
    /// The word before the script in a target's name.
    shown: &'static str,
    /// Names of the executable; a version behind (`python3.11`) is ignored.
    executables: Words,
    /// Options that take the next argument.
    with_value: Words,
    /// Options whose next argument is what runs: a module, an archive.
    program: Words,
    /// Options after which there is no script: code on the command line, or on the standard input.
    inline: Words,
    /// Words before the script that are no script.
    subcommands: Words,
    /// How options of one letter stand together.
    letters: Letters,
}

/// How options of one letter stand together behind one dash.
#[derive(Clone, Copy)]
enum Letters {
    /// They do not: `-cp` is an option of its own.
    Alone,
    /// They do, and their values are later arguments: `bash -euo pipefail`.
    ValuesApart,
    /// They do, and what is behind a letter that takes a value is that value, else it is the next argument:
    /// `python -uWignore`.
    ValuesAttached {
        /// Letters whose value is never the next argument: `perl -i.bak`.
        attached_only: &'static str,
    },
}

/// What an argument means.
enum Meaning<'a> {
    /// An option that takes so many of the next arguments.
    Option { values: usize },
    /// What runs is this, or the next argument.
    Program(Option<&'a str>),
    /// There is no script.
    Inline,
    /// No option.
    Word,
}

const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        runtime: "node",
        shown: "node",
        executables: "node nodejs",
        with_value: "-r --require --import --loader --experimental-loader -C --conditions --env-file \
            --env-file-if-exists --title --icu-data-dir --max-http-header-size --allow-fs-read \
            --allow-fs-write --build-snapshot-config --cpu-prof-dir --cpu-prof-interval --cpu-prof-name \
            --debug-port --diagnostic-dir --disable-proto --disable-warning --dns-result-order \
            --experimental-config-file --experimental-default-type --experimental-policy \
            --experimental-sea-config --heap-prof-dir --heap-prof-interval --heap-prof-name \
            --heapsnapshot-near-heap-limit --heapsnapshot-signal --input-type --inspect-port \
            --inspect-publish-uid --localstorage-file --network-family-autoselection-attempt-timeout \
            --openssl-config --policy-integrity --redirect-warnings --report-dir --report-directory \
            --report-filename --report-signal --secure-heap --secure-heap-min --snapshot-blob \
            --test-concurrency --test-name-pattern --test-reporter --test-reporter-destination \
            --test-shard --test-timeout --tls-cipher-list --tls-keylog --trace-event-categories \
            --trace-event-file-pattern --trace-require-module --unhandled-rejections --use-largepages \
            --v8-pool-size --watch-path",
        program: "--run",
        inline: "- -e --eval -p --print -pe -i --interactive",
        subcommands: "inspect",
        letters: Letters::Alone,
    },
    Interpreter {
        runtime: "python",
        shown: "python",
        executables: "python pypy",
        with_value: "-W -X -Q --check-hash-based-pycs",
        program: "-m",
        inline: "- -c",
        subcommands: "",
        letters: Letters::ValuesAttached { attached_only: "" },
    },
    Interpreter {
        runtime: "jvm",
        shown: "java",
        executables: "java",
        with_value: "-cp -classpath --class-path -p --module-path --add-modules --add-opens --add-exports \
            --add-reads --upgrade-module-path --limit-modules --patch-module --enable-native-access \
            --source",
        program: "-jar -m --module",
        inline: "-version --version",
        subcommands: "",
        letters: Letters::Alone,
    },
    Interpreter {
        runtime: "ruby",
        shown: "ruby",
        executables: "ruby jruby",
        with_value: "-r -I -C -X -E --encoding --external-encoding --internal-encoding --enable --disable --dump",
        program: "",
        inline: "- -e",
        subcommands: "",
        letters: Letters::ValuesAttached { attached_only: "FiJx" },
    },
    Interpreter {
        runtime: "perl",
        shown: "perl",
        executables: "perl",
        with_value: "-I",
        program: "",
        inline: "- -e -E",
        subcommands: "",
        letters: Letters::ValuesAttached { attached_only: "CDFMimx" },
    },
    Interpreter {
        runtime: "php",
        shown: "php",
        executables: "php",
        with_value: "-c -d -S -t -z --php-ini --define --server --docroot --zend-extension",
        program: "-f -F --file --process-file",
        inline: "- -- -r -B -R -E --run --process-begin --process-code --process-end",
        subcommands: "",
        letters: Letters::ValuesAttached { attached_only: "" },
    },
    Interpreter {
        runtime: "dotnet",
        shown: "dotnet",
        executables: "dotnet",
        with_value: "--runtimeconfig --depsfile --additionalprobingpath --additional-deps --fx-version \
            --roll-forward",
        program: "",
        inline: "",
        subcommands: "exec",
        letters: Letters::Alone,
    },
    Interpreter {
        runtime: "bun",
        shown: "bun",
        executables: "bun",
        with_value: "-r --preload --require --import --cwd --port --env-file --conditions --tsconfig-override -d \
            --define -l --loader -F --filter",
        program: "",
        inline: "- -e --eval -p --print",
        subcommands: "run",
        letters: Letters::Alone,
    },
    Interpreter {
        runtime: "deno",
        shown: "deno",
        executables: "deno",
        with_value: "-c --config --import-map --cert --location --seed -L --log-level --ext --preload --host \
            --port",
        program: "task",
        inline: "- eval --eval",
        subcommands: "run serve",
        letters: Letters::Alone,
    },
    Interpreter {
        runtime: "shell",
        shown: "sh",
        executables: "sh dash",
        with_value: "-o",
        program: "",
        inline: "- -c -s",
        subcommands: "",
        letters: Letters::ValuesApart,
    },
    Interpreter {
        runtime: "shell",
        shown: "bash",
        executables: "bash",
        with_value: "-o -O --rcfile --init-file",
        program: "",
        inline: "- -c -s",
        subcommands: "",
        letters: Letters::ValuesApart,
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
    INTERPRETERS.iter().find(|interpreter| has(interpreter.executables, bare))
}

/// Programs may overwrite their arguments with a title (`gunicorn: worker [shop]`): its first word names them.
fn own_title(title: &str) -> Option<String> {
    file_name(title.split([' ', ':']).next()?)
}

fn first_program(interpreter: &Interpreter, arguments: &[String]) -> Option<String> {
    let mut rest = arguments.iter().map(String::as_str);
    let mut subcommands = interpreter.subcommands;
    while let Some(argument) = rest.next() {
        match interpreter.meaning(argument) {
            Meaning::Option { values } => {
                for _ in 0..values {
                    rest.next();
                }
            }
            Meaning::Program(program) => return program.or_else(|| rest.next()).and_then(file_name),
            Meaning::Inline => return None,
            // There is one sub-command at most: behind it the same word is a script.
            Meaning::Word if has(subcommands, argument) => subcommands = "",
            Meaning::Word => return file_name(argument),
        }
    }
    None
}

impl Interpreter {
    fn meaning<'a>(&self, argument: &'a str) -> Meaning<'a> {
        let (option, value) = match argument.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value)),
            _ => (argument, None),
        };
        if has(self.inline, option) {
            return Meaning::Inline;
        }
        if option == "--" {
            return Meaning::Program(None);
        }
        if has(self.program, option) {
            return Meaning::Program(value);
        }
        if has(self.with_value, option) {
            return Meaning::Option { values: usize::from(value.is_none()) };
        }
        let (dash, letters) = match (argument.strip_prefix('-'), argument.strip_prefix('+')) {
            (Some(letters), _) => ('-', letters),
            (None, Some(letters)) => ('+', letters),
            (None, None) if argument.is_empty() => return Meaning::Option { values: 0 },
            (None, None) => return Meaning::Word,
        };
        match self.letters {
            Letters::ValuesApart if !letters.starts_with('-') => self.letters_with_values_apart(letters),
            // Only shells switch options off with a plus.
            _ if dash == '+' => Meaning::Word,
            Letters::ValuesAttached { attached_only } if !letters.starts_with('-') => {
                self.letters_with_values(letters, attached_only)
            }
            _ => Meaning::Option { values: 0 },
        }
    }

    fn letters_with_values_apart<'a>(&self, letters: &str) -> Meaning<'a> {
        if letters.chars().any(|letter| has_letter(self.inline, letter)) {
            return Meaning::Inline;
        }
        Meaning::Option {
            values: letters.chars().filter(|letter| has_letter(self.with_value, *letter)).count(),
        }
    }

    fn letters_with_values<'a>(&self, letters: &'a str, attached_only: &str) -> Meaning<'a> {
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            let value = Some(rest.as_str()).filter(|value| !value.is_empty());
            if has_letter(self.inline, letter) {
                return Meaning::Inline;
            }
            if has_letter(self.program, letter) {
                return Meaning::Program(value);
            }
            if has_letter(self.with_value, letter) {
                return Meaning::Option { values: usize::from(value.is_none()) };
            }
            // `-d:Trace`, `-W:no-deprecated`: some flags may have a value behind a mark.
            if attached_only.contains(letter) || matches!(letter, ':' | '=') {
                break;
            }
        }
        Meaning::Option { values: 0 }
    }
}

fn has(words: Words, word: &str) -> bool {
    words.split_whitespace().any(|known| known == word)
}

fn has_letter(options: Words, letter: char) -> bool {
    options
        .split_whitespace()
        .any(|option| option.strip_prefix('-').is_some_and(|rest| rest.chars().eq([letter])))
}

/// The last part of a path that looks like one; a Java main class (`com.shop.Main`) stays whole.
///
/// The whole path is looked at, since the last part of code may be innocent: `curl https://host/secret`.
fn file_name(path: &str) -> Option<String> {
    if path.contains(|c: char| c.is_whitespace() || c.is_control() || CODE.contains(&c)) {
        return None;
    }
    let name = base_name(path);
    (!name.is_empty() && name.chars().count() <= LONGEST_FILE).then_some(name)
}

fn base_name(path: &str) -> String {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command line as a person types it; the first word is the executable, and `_` a space within a word.
    fn check(command_line: &str, expected: Option<&str>) {
        let arguments: Vec<String> = command_line.split(' ').map(|word| word.replace('_', " ")).collect();
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
    fn code_on_the_command_line_is_never_a_script() {
        for command_line in [
            "bash -lc code",
            "bash -ec code",
            "bash -euo pipefail -c code",
            "bash -oec pipefail code",
            "bash +x -c code",
            "sh -xc code",
            "dash -ec code",
            "bash -s token",
            "sh -s -- --token x",
            "bash -es token",
            "python3 -uc code",
            "python3 -cpass x.py",
            "python3 -Ic code",
            "python3 - token",
            "node -pe code",
            "node --eval=code token",
            "node --print code token",
            "node - token",
            "perl -ne code",
            "perl -lane code",
            "perl -0777ne code",
            "perl -we code x.pl",
            "perl -w_-e code",
            "perl -i.bak -pe code",
            "perl -de 0",
            "ruby -ne code",
            "ruby -run -e httpd",
            "ruby -rjson -ne code",
            "php -nr code",
            "php -dx=1 -r code",
            "php -- token",
            "deno eval --print code",
            "bun -e code",
            "bun --eval=code token",
        ] {
            check(command_line, None);
        }
    }

    #[test]
    fn the_values_of_options_are_no_scripts() {
        check("bash -euo pipefail run.sh", Some("bash run.sh"));
        check("bash -oeu pipefail run.sh", Some("bash run.sh"));
        check("bash +o posix +x run.sh", Some("bash run.sh"));
        check("bash -eO extglob run.sh", Some("bash run.sh"));
        check("bash --rcfile x run.sh", Some("bash run.sh"));
        check("dash -eu -- run.sh", Some("sh run.sh"));
        check("perl -i.bak x.pl", Some("perl x.pl"));
        check("perl -Ilib/else x.pl", Some("perl x.pl"));
        check("perl -wI lib x.pl", Some("perl x.pl"));
        check("perl -MHTTP::Server x.pl", Some("perl x.pl"));
        check("perl -d:Trace x.pl", Some("perl x.pl"));
        check("ruby -Ilib -rbundler/setup x.rb", Some("ruby x.rb"));
        check("ruby -wr bundler x.rb", Some("ruby x.rb"));
        check("ruby -W:no-deprecated x.rb", Some("ruby x.rb"));
        check("jruby -J-Xmx1g x.rb", Some("ruby x.rb"));
        check("python3 -Wc x.py", Some("python x.py"));
        check("python3 -Wignore -Xdev -uOO x.py", Some("python x.py"));
        check("python3 -uW ignore x.py", Some("python x.py"));
        check("python -um http.server", Some("python http.server"));
        check("python -umhttp.server 80", Some("python http.server"));
        check("php -dmemory.limit=1 artisan", Some("php artisan"));
        check("php -nf /srv/x.php", Some("php x.php"));
        check("node --title shop --icu-data-dir /d --max-http-header-size 1 s.js", Some("node s.js"));
        check("node --title=shop --inspect s.js", Some("node s.js"));
        check("java -esa -ea -Dpassword=x -cp a com.shop.Main", Some("java com.shop.Main"));
        check("java --module=shop/com.shop.Main", Some("java com.shop.Main"));
        check("java --patch-module a=b --source 21 Main.java", Some("java Main.java"));
    }

    #[test]
    fn options_may_stand_before_and_behind_a_sub_command() {
        check("deno run --allow-net server.ts", Some("deno server.ts"));
        check("deno run -A --config d.json server.ts", Some("deno server.ts"));
        check("deno server.ts run", Some("deno server.ts"));
        check("deno run run", Some("deno run"));
        check("bun run --watch x", Some("bun x"));
        check("bun --cwd /srv run x", Some("bun x"));
        check("dotnet exec --depsfile f app.dll", Some("dotnet app.dll"));
        check("dotnet exec", None);
    }

    #[test]
    fn only_what_looks_like_a_file_or_a_class_is_a_script() {
        let named = |argument: &str| of("node", &["node".into(), argument.into()]).map(|script| script.file);
        for file in ["server.js", "@scope/x_y-1.2.js", "größe.js", "com.shop.Main", "a:b", "~/x+y.js"] {
            assert_eq!(named(file), Some(base_name(file)), "{file}");
        }
        assert_eq!(named(&"x".repeat(128)), Some("x".repeat(128)));
        assert_eq!(named(&format!("/{}/x.js", "d".repeat(300))), Some("x.js".into()));
        assert_eq!(named(&"x".repeat(129)), None);
        let marks =
            [" ", "\t", "\n", "\0", "\u{1b}", "'", "\"", "`", ";", "=", "$", "&", "|", "<", ">", "(", ")"];
        for mark in marks {
            assert_eq!(named(&format!("a{mark}b")), None, "{mark:?}");
            assert_eq!(
                named(&format!("curl{mark}https://host/secret")),
                None,
                "{mark:?} before the last slash"
            );
        }
        assert_eq!(named("///"), None);
        let title = |title: &str| of("python3", &[title.into()]).map(|script| script.file);
        assert_eq!(title("token=x: y"), None);
        assert_eq!(title("celeryd: y"), Some("celeryd".into()));
    }

    #[test]
    fn a_title_names_a_program_that_overwrote_its_arguments() {
        let title = [String::from("gunicorn: worker [shop]")];
        assert_eq!(of("python3.11", &title).map(|script| script.name()).as_deref(), Some("python gunicorn"));
        assert_eq!(of("python3.11", &[]), None);
    }
}
