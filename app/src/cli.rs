//! The command line. Every option of `serve` can also be set with an environment variable.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use woosh_adapters::database::{Database, DatabaseUrl};
use woosh_domain::model::{Limits, Quota};
use woosh_domain::use_cases::Restored;

use crate::api;
use crate::logging::{self, LogFormat};
use crate::server::{Config, CorsOrigins, Server};
use crate::services::Services;

/// Delivery server for end-to-end encrypted messaging.
#[derive(Debug, Parser)]
#[command(name = "woosh-server", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API (the default command).
    Serve(ServeArgs),
    /// Create the database if it does not exist, migrate its schema, and exit.
    Migrate(DatabaseArgs),
    /// Prepare a database that was restored from a backup, and exit. Stop all servers on the database first.
    ///
    /// Migrates the schema, and gives every mailbox a new incarnation. After the restore, new messages get the sequence
    /// numbers of messages that are not in the backup. Without a new incarnation, clients that have seen those messages
    /// would miss the new ones. If the command fails, run it again.
    Restored(DatabaseArgs),
    /// Print the OpenAPI document.
    Openapi {
        /// Output format.
        #[arg(long, value_enum, default_value_t = DocumentFormat::Yaml)]
        format: DocumentFormat,
    },
    /// Check that the server on this machine is ready. Exit with 0 if the server is ready, otherwise with 1.
    Healthcheck(AddressArgs),
}

#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    address: AddressArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// Origin whose web pages may call the API from a browser (CORS), such as https://app.example.org, or * for all
    /// origins. To allow several origins, repeat the option or separate them by commas. None is allowed by default.
    #[arg(long = "cors-origin", env = "WOOSH_CORS_ORIGIN", value_delimiter = ',', value_name = "ORIGIN")]
    cors_origins: Vec<String>,
    /// Log filter: comma-separated levels and target=level directives, such as info,poem=warn, as in RUST_LOG.
    #[arg(long, env = "WOOSH_LOG", default_value = "info,poem=warn", value_name = "FILTER")]
    log: String,
    /// Log format.
    #[arg(long, env = "WOOSH_LOG_FORMAT", value_enum, default_value_t = LogFormat::Human)]
    log_format: LogFormat,
}

#[derive(Debug, Args)]
struct AddressArgs {
    /// Host name or IP address to listen on.
    #[arg(long, env = "WOOSH_HOST", default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on. 0 selects a free port.
    #[arg(short, long, env = "WOOSH_PORT", default_value_t = 3000)]
    port: u16,
}

#[derive(Debug, Args)]
struct DatabaseArgs {
    /// Database URL, such as sqlite:woosh.db or postgres://user@host/db [default: $DATABASE_URL, else sqlite:woosh.db]
    #[arg(short, long, env = "WOOSH_DATABASE", hide_env_values = true, value_name = "URL")]
    database: Option<String>,
    /// Seconds to wait at startup for a database that is unreachable, read-only or otherwise unavailable.
    #[arg(long, env = "WOOSH_DATABASE_WAIT", default_value_t = 30, value_name = "SECONDS")]
    database_wait: u64,
    /// Whether to accept a Postgres server whose fsync or full_page_writes is off. Unless its storage is durable by
    /// itself, such a server can lose stored messages when its machine crashes.
    #[arg(long, env = "WOOSH_ALLOW_FSYNC_OFF", default_value_t = false, value_name = "true|false", action = ArgAction::Set)]
    allow_fsync_off: bool,
}

#[derive(Debug, Args)]
struct LimitArgs {
    /// Maximum number of pending messages in the mailbox of a device. A message to a full mailbox is not stored.
    #[arg(long, env = "WOOSH_MAILBOX_MESSAGES", default_value_t = Limits::default().mailbox.messages, value_name = "COUNT")]
    mailbox_messages: u64,
    /// Maximum total size of the contents of pending messages in the mailbox of a device, in bytes.
    #[arg(long, env = "WOOSH_MAILBOX_BYTES", default_value_t = Limits::default().mailbox.bytes, value_name = "BYTES")]
    mailbox_bytes: u64,
    /// Free disk space, in bytes, below which the server refuses to store anything new (507), such as sends and
    /// registrations. The space that is left is kept for acknowledgements and deletions. For SQLite only. 0 turns the
    /// limit off.
    #[arg(long, env = "WOOSH_MIN_FREE_SPACE", default_value_t = Limits::default().min_free_space, value_name = "BYTES")]
    min_free_space: u64,
    /// Maximum time until a message expires, in seconds. Also the default if the sender sets no time.
    #[arg(long, env = "WOOSH_MAX_TTL", default_value_t = Limits::default().ttl_seconds, value_name = "SECONDS")]
    max_ttl: u64,
    /// Whether users can be searched by username prefix.
    #[arg(long, env = "WOOSH_USER_SEARCH", default_value_t = Limits::default().search, value_name = "true|false", action = ArgAction::Set)]
    user_search: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DocumentFormat {
    Yaml,
    Json,
}

/// Maximum time for requests in flight to finish when the server stops.
const GRACE: Duration = Duration::from_secs(10);

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the command fails. The error message is one line.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            None => serve(self.serve).await,
            Some(Command::Serve(args)) => serve(args).await,
            Some(Command::Migrate(args)) => migrate(&args).await,
            Some(Command::Restored(args)) => restored(&args).await,
            Some(Command::Openapi { format }) => {
                let document = api::document();
                print(if matches!(format, DocumentFormat::Yaml) { document.yaml() } else { document.json() })
            }
            Some(Command::Healthcheck(address)) => healthcheck(&address).await,
        }
    }
}

impl DatabaseArgs {
    fn url(&self) -> anyhow::Result<DatabaseUrl> {
        let given = self.database.clone().or_else(|| std::env::var("DATABASE_URL").ok());
        let text = given.as_deref().unwrap_or("sqlite:woosh.db");
        // The error does not repeat the URL, because the URL may contain a password.
        let url: DatabaseUrl = text.parse().context("invalid database URL")?;
        Ok(if self.allow_fsync_off { url.allow_fsync_off() } else { url })
    }

    fn wait(&self) -> Duration {
        Duration::from_secs(self.database_wait)
    }
}

/// Maximum value of `--max-ttl`, in seconds: 100 years.
const MAX_TTL: u64 = 100 * 365 * 24 * 60 * 60;

impl LimitArgs {
    fn limits(&self) -> anyhow::Result<Limits> {
        let within = |name, value, max| {
            ensure!((1..=max).contains(&value), "{name} has to be 1 to {max}, not {value}");
            Ok(value)
        };
        let max = i64::MAX.cast_unsigned();
        let mailbox = Quota {
            messages: within("--mailbox-messages", self.mailbox_messages, max)?,
            bytes: within("--mailbox-bytes", self.mailbox_bytes, max)?,
        };
        Ok(Limits {
            mailbox,
            ttl_seconds: within("--max-ttl", self.max_ttl, MAX_TTL)?,
            search: self.user_search,
            min_free_space: self.min_free_space,
        })
    }
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    raise_handle_limit();
    logging::start(&args.log, args.log_format).context("invalid log filter")?;
    let config = Config {
        host: args.address.host,
        port: args.address.port,
        database: args.database.url()?,
        database_wait: args.database.wait(),
        limits: args.limits.limits()?,
        cors_origins: CorsOrigins::parse(&args.cors_origins)?,
        grace: GRACE,
    };
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    let server = Server::bind(&config).await?;
    let address = server.address();
    tracing::info!(
        "listening on http://{address}, documentation at http://{address}/docs, database {}",
        config.database
    );
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping: requests in flight have {} seconds to finish", GRACE.as_secs());
    };
    server.run_until(stop).await?;
    tracing::info!("stopped");
    Ok(())
}

async fn migrate(args: &DatabaseArgs) -> anyhow::Result<()> {
    let url = args.url()?;
    let database = Database::open(&url, args.wait()).await?;
    database.close().await;
    print(&format!("{url} is up to date\n"))
}

async fn restored(args: &DatabaseArgs) -> anyhow::Result<()> {
    let url = args.url()?;
    let database = Database::open(&url, args.wait()).await?;
    let outcome = Services::mark_restored(&database).execute().await;
    database.close().await;
    let Restored { mailboxes } = outcome.context("the database is not prepared yet: run the command again")?;
    ensure!(mailboxes > 0, "{url} has no mailboxes; is it the database that was restored?");
    print(&format!("{url} is prepared: {mailboxes} mailboxes have a new incarnation\n"))
}

/// Writes text to standard output. Succeeds even if the reader of a pipe, such as `head`, has closed the pipe.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Raises the soft limit on open file handles to the hard limit, because each connection needs a handle.
fn raise_handle_limit() {
    let limit = getrlimit(Resource::Nofile);
    // If this fails, the server works, but accepts fewer connections at the same time.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Requests `/health/ready` from the server on this machine. Fails unless the response has the status 200. The request
/// is written by hand, so that the binary needs no HTTP client.
async fn healthcheck(address: &AddressArgs) -> anyhow::Result<()> {
    const TIMEOUT: Duration = Duration::from_secs(5);
    let host = match address.host.as_str() {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    let request = format!("GET /health/ready HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let exchange = async {
        let mut stream = TcpStream::connect((host, address.port)).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&response).into_owned())
    };
    let response = tokio::time::timeout(TIMEOUT, exchange)
        .await
        .with_context(|| format!("no response within {} seconds", TIMEOUT.as_secs()))?
        .with_context(|| format!("no response from {host}:{}", address.port))?;
    let status = response.lines().next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200 ") {
        bail!("not ready: {status}");
    }
    Ok(())
}
