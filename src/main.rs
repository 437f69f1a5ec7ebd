//! Command line to exit code; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    memleak_exporter::cli::run(std::env::args_os())
}
