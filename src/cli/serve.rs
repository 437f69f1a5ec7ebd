//! The exporter itself: what it does when no subcommand is given.

use super::Failure;
use crate::{
    collect::{self, paths::Paths},
    config::{self, Config},
    http::ListenOptions,
    run::{self, Options, logging, reload},
};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use std::{io::Write as _, path::PathBuf};

/// Flags of the exporter. Their names are those that Prometheus' own exporters use.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent flag of the command line")]
pub(super) struct ServeArguments {
    /// Configuration file (YAML). Without one everything has its default.
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Check the configuration and the web file, say all that is wrong with them, and end: 0 if they are good, 78 if not.
    #[arg(long = "config.check")]
    config_check: bool,
    /// Address to listen on; may be repeated.
    #[arg(long = "web.listen-address", value_name = "[HOST]:PORT", default_value = ":10099")]
    listen_address: Vec<String>,
    /// Use the sockets that systemd hands over instead.
    #[arg(long = "web.systemd-socket")]
    systemd_socket: bool,
    /// File with TLS, users, headers and the rate of requests, as Prometheus' own exporters read it. Read again when it
    /// changes.
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config_file: Option<PathBuf>,
    /// Path of the metrics.
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    telemetry_path: String,
    /// Most requests at once; over it the answer is 503. 0 is no limit.
    #[arg(long = "web.max-requests", value_name = "N", default_value_t = 40)]
    max_requests: usize,
    /// How many may listen to the live stream at once; 0 is no limit.
    #[arg(long = "web.max-streams", value_name = "N", default_value_t = 300)]
    max_streams: usize,
    /// Address under which people reach the exporter, for example behind a reverse proxy.
    #[arg(long = "web.external-url", value_name = "URL")]
    external_url: Option<String>,
    /// What all paths begin with; the path of the external URL by default.
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    route_prefix: Option<String>,
    /// Allow a reload by POST to /-/reload, from this machine or by users whom the web file lets change something.
    #[arg(long = "web.enable-lifecycle")]
    enable_lifecycle: bool,
    /// Show the page and the API to other machines too, without asking who they are. Metrics and health are always shown
    /// to them.
    #[arg(long = "web.remote-read")]
    remote_read: bool,
    /// Address on which to take in OTLP over gRPC, usually 127.0.0.1:4317; may be repeated. Off by default. OTLP over
    /// HTTP is taken in at /v1/metrics of --web.listen-address.
    #[arg(long = "otlp.listen-address", value_name = "[HOST]:PORT")]
    otlp_listen_address: Vec<String>,
    /// Where procfs is mounted: by default proc below --path.rootfs.
    #[arg(long = "path.procfs", value_name = "DIR")]
    procfs: Option<PathBuf>,
    /// Where sysfs is mounted: by default sys below --path.rootfs.
    #[arg(long = "path.sysfs", value_name = "DIR")]
    sysfs: Option<PathBuf>,
    /// Where the root of the watched system is mounted.
    #[arg(long = "path.rootfs", value_name = "DIR", default_value = "/")]
    rootfs: PathBuf,
    /// Keep what was learned in this directory, so that a restart goes on where it was. Off by default.
    #[arg(long = "storage.path", value_name = "DIR")]
    storage_path: Option<PathBuf>,
    #[command(flatten)]
    collectors: CollectorArguments,
    /// How much to log.
    #[arg(long = "log.level", value_enum, default_value_t = logging::Level::Info)]
    log_level: logging::Level,
    /// How to write the log.
    #[arg(long = "log.format", value_enum, default_value = "logfmt")]
    log_format: logging::Format,
}

impl ServeArguments {
    pub(super) fn run(self) -> Result<(), Failure> {
        let listen = self.listen();
        listen.check().map_err(Failure::Usage)?;
        let config = self.read_files().map_err(Failure::Config)?;
        if self.config_check {
            return self.praise();
        }
        logging::start(self.log_level, self.log_format).map_err(Failure::Other)?;
        self.start(listen, config)
    }

    /// The configuration, or all the mistakes in it and in the web file.
    fn read_files(&self) -> Result<Config, String> {
        let config = reload::read(self.config_file.as_deref()).map_err(|errors| errors.to_string());
        let web = match &self.web_config_file {
            Some(file) => config::web::load(file).web.map(drop),
            None => Ok(()),
        };
        match (config, web) {
            (Ok(config), Ok(())) => Ok(config),
            (Err(mistakes), Ok(())) | (Ok(_), Err(mistakes)) => Err(mistakes),
            (Err(mistakes), Err(others)) => Err(format!("{mistakes}\n{others}")),
        }
    }

    fn start(self, listen: ListenOptions, config: Config) -> Result<(), Failure> {
        let paths = Paths::below(&self.rootfs, self.procfs, self.sysfs);
        let options = Options {
            config_file: self.config_file,
            listen,
            paths,
            storage_path: self.storage_path,
            web_file: self.web_config_file,
            collectors: self.collectors.names,
            audience: None,
        };
        run::run(options, config).map_err(Failure::Other)
    }

    fn listen(&self) -> ListenOptions {
        ListenOptions {
            addresses: self.listen_address.clone(),
            systemd_socket: self.systemd_socket,
            telemetry_path: self.telemetry_path.clone(),
            route_prefix: self.route_prefix.clone(),
            external_url: self.external_url.clone(),
            max_requests: self.max_requests,
            max_streams: self.max_streams,
            enable_lifecycle: self.enable_lifecycle,
            remote_read: self.remote_read,
            otlp_addresses: self.otlp_listen_address.clone(),
        }
    }

    fn praise(&self) -> Result<(), Failure> {
        let what = self
            .config_file
            .as_ref()
            .map_or_else(|| String::from("the environment"), |file| file.display().to_string());
        let mut praise = format!("{what}: the configuration is good\n");
        if let Some(file) = &self.web_config_file {
            praise.push_str(&format!("{}: the web file is good\n", file.display()));
        }
        write!(std::io::stdout(), "{praise}").map_err(|error| Failure::Other(error.into()))
    }
}

/// Starts from nothing instead of from all collectors.
const DISABLE_DEFAULTS: &str = "collector.disable-defaults";

/// Two flags for each collector of the list.
#[derive(Debug)]
struct CollectorArguments {
    /// The collectors that run: all less those switched off, or only those switched on.
    names: Vec<&'static str>,
}

impl Args for CollectorArguments {
    fn augment_args(command: Command) -> Command {
        let flag = |long: String, help: String| {
            Arg::new(long.clone()).long(long).help(help).action(ArgAction::SetTrue)
        };
        let command = collect::ALL.iter().fold(command, |command, entry| {
            let (on, off) = (format!("collector.{}", entry.name), format!("no-collector.{}", entry.name));
            command
                .arg(
                    flag(on.clone(), format!("Watch {} (on by default)", entry.watches))
                        .overrides_with(off.clone()),
                )
                .arg(flag(off, format!("Do not watch {}", entry.watches)).overrides_with(on))
        });
        let help = "Start from no collector at all; name the wanted ones";
        command.arg(flag(DISABLE_DEFAULTS.into(), help.into()))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for CollectorArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let is_wanted = |entry: &&collect::Entry| {
            let on = matches.get_flag(&format!("collector.{}", entry.name));
            let off = matches.get_flag(&format!("no-collector.{}", entry.name));
            on || !(off || matches.get_flag(DISABLE_DEFAULTS))
        };
        Ok(Self { names: collect::ALL.iter().filter(is_wanted).map(|entry| entry.name).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
