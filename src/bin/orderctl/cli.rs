//! Every command and option.

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::audit::Audit;
use crate::cancel::Cancel;
use crate::demo::Demo;
use crate::dev::Dev;
use crate::dlq::Dlq;
use crate::doctor::Doctor;
use crate::environment;
use crate::erase::Erase;
use crate::get::Get;
use crate::list::List;
use crate::parked::Parked;
use crate::pause::{Pause, Unpause};
use crate::report::Report;
use crate::rollback::Rollback;
use crate::send::Send;
use crate::simulate::Simulate;
use crate::stats::Stats;
use crate::stock::Stock;
use crate::table::Table;
use crate::target::Target;
use crate::timeline::Timeline;

/// Sends orders, shows what became of them, decides those that are stuck, keeps stock, and runs everything locally.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found.
#[derive(Debug, Parser)]
#[command(name = "orderctl", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,
    #[command(flatten)]
    target: TargetOptions,
    #[command(subcommand)]
    command: Command,
}

/// Which table and queues are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Target")]
pub struct TargetOptions {
    /// Take table and queues from the outputs of this CloudFormation stack
    #[arg(long, global = true, value_name = "NAME")]
    pub stack: Option<String>,
    /// Where AWS is, if not where AWS is [env: AWS_ENDPOINT_URL]
    #[arg(long, global = true, value_name = "URL")]
    pub endpoint: Option<String>,
    /// The table of orders and stock [env: ORDERS_TABLE] [default: orders]
    #[arg(long, global = true, value_name = "NAME")]
    pub table: Option<String>,
    /// The queue of order messages [env: ORDERS_QUEUE_URL] [default: the queue named orders]
    #[arg(long, global = true, value_name = "URL")]
    pub queue_url: Option<String>,
    /// Its dead-letter queue [env: DEAD_LETTER_QUEUE_URL] [default: where that queue sends what it gives up]
    #[arg(long, global = true, value_name = "URL")]
    pub dlq_url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(Demo),
    Dev(Dev),
    Simulate(Simulate),
    #[command(flatten)]
    OnTarget(OnTarget),
}

/// Commands about the orders of a target.
#[derive(Debug, Subcommand)]
enum OnTarget {
    Send(Send),
    Get(Get),
    Timeline(Timeline),
    List(List),
    Stock(Stock),
    Cancel(Cancel),
    Parked(Parked),
    Erase(Erase),
    Dlq(Dlq),
    Pause(Pause),
    Unpause(Unpause),
    Rollback(Rollback),
    Stats(Stats),
    Doctor(Doctor),
    Audit(Audit),
}

impl Cli {
    /// How to call this program again for the same target: what hints begin with.
    pub fn command_name(&self) -> String {
        let TargetOptions { stack, endpoint, table, queue_url, dlq_url } = &self.target;
        let queues = [("queue-url", queue_url), ("dlq-url", dlq_url)];
        let options = [("stack", stack), ("endpoint", endpoint), ("table", table)].into_iter().chain(queues);
        let given = options.filter_map(|(name, value)| Some(format!(" --{name} {}", value.as_ref()?)));
        format!("{}{}", environment::program(), given.collect::<String>())
    }

    /// Does what was asked for.
    pub async fn run(&self) -> Result<Report> {
        let starts_its_own =
            matches!(self.command, Command::Demo(_) | Command::Dev(_) | Command::Simulate(_));
        if starts_its_own && self.target != TargetOptions::default() {
            let problem =
                "demo, dev and simulate start a stack of their own: leave out the options that name one";
            Cli::command().error(ErrorKind::ArgumentConflict, problem).exit();
        }
        if matches!(&self.command, Command::OnTarget(OnTarget::Stats(stats)) if stats.watch && self.json) {
            let problem = "--json prints one document, and --watch many: take one of them";
            Cli::command().error(ErrorKind::ArgumentConflict, problem).exit();
        }
        match &self.command {
            Command::Demo(demo) => demo.run().await,
            Command::Dev(dev) => dev.run(self.json).await,
            Command::Simulate(simulate) => simulate.run().await,
            Command::OnTarget(command) => command.run(&Target::resolve(&self.target).await?).await,
        }
    }
}

impl OnTarget {
    async fn run(&self, target: &Target) -> Result<Report> {
        let table = Table::of(target);
        match self {
            OnTarget::Send(send) => send.run(target).await,
            OnTarget::Get(get) => get.run(&table).await,
            OnTarget::Timeline(timeline) => timeline.run(&table).await,
            OnTarget::List(list) => list.run(&table).await,
            OnTarget::Stock(stock) => stock.run(&table).await,
            OnTarget::Cancel(cancel) => cancel.run(target).await,
            OnTarget::Parked(parked) => parked.run(target).await,
            OnTarget::Erase(erase) => erase.run(target).await,
            OnTarget::Dlq(dlq) => dlq.run(target).await,
            OnTarget::Pause(pause) => pause.run(target).await,
            OnTarget::Unpause(unpause) => unpause.run(target).await,
            OnTarget::Rollback(rollback) => rollback.run(target).await,
            OnTarget::Stats(stats) => stats.run(target).await,
            OnTarget::Doctor(doctor) => doctor.run(target).await,
            OnTarget::Audit(audit) => audit.run(target).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_commands_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Every command that is written anywhere in the documents, with the file it is in.
    fn written_commands() -> Vec<(String, String)> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = vec![root.join("README.md"), root.join("ARCHITECTURE.md")];
        for folder in ["docs", "docs/runbooks"] {
            let entries = std::fs::read_dir(root.join(folder)).unwrap();
            files.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
        }
        let mut commands = Vec::new();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let name = file.strip_prefix(root).unwrap().display().to_string();
            for (line, block) in lines(&text) {
                let places = line.match_indices("orderctl ").map(|(at, _)| at);
                let of_a_command = places.filter(|at| block || line[..*at].ends_with(['`', '/']));
                let ends: &[char] = if block { &['#', '|', ';', '`'] } else { &['`'] };
                let found = of_a_command.map(|at| line[at..].split(ends).next().unwrap().trim().to_owned());
                commands.extend(found.map(|command| (name.clone(), command)));
            }
        }
        commands
    }

    /// The lines of a document, and whether each is in a block of code.
    fn lines(text: &str) -> impl Iterator<Item = (&str, bool)> {
        let mut block = false;
        text.lines().filter_map(move |line| {
            if line.starts_with("```") {
                block = !block;
                return None;
            }
            Some((line, block))
        })
    }

    #[test]
    fn every_command_in_the_documents_is_one() {
        let commands = written_commands();
        assert!(commands.len() > 60, "{commands:?}");
        let mut wrong = Vec::new();
        for (file, command) in commands {
            let words = shell_words(&command);
            if words.iter().any(|word| word == "COMMAND" || word.starts_with("--help")) {
                continue;
            }
            if let Err(error) = Cli::try_parse_from(words) {
                wrong.push(format!(
                    "{file}: {command}: {}",
                    error.to_string().lines().next().unwrap_or_default()
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Words, those in double quotes as one.
    fn shell_words(command: &str) -> Vec<String> {
        let pieces = command.split('"').enumerate();
        pieces
            .flat_map(|(place, piece)| match place % 2 {
                0 => piece.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
                _ => vec![piece.to_owned()],
            })
            .collect()
    }
}
