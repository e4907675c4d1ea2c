//! `mqdeck man`: made from the definition of the command line.

use std::io::Write;
use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::Args;
use crate::output::{self, Code, usage};

/// Name of the program.
const NAME: &str = "mqdeck";

/// Prints the page of the program, or writes those of all commands.
pub fn pages(dir: Option<&Path>) -> anyhow::Result<Code> {
    let mut command = Args::command();
    command.build();
    let Some(dir) = dir else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        output::print(&String::from_utf8_lossy(&page))?;
        return Ok(Code::Done);
    };
    let cannot = |error: std::io::Error| usage(format!("{}: {error}", dir.display()));
    std::fs::create_dir_all(dir).map_err(cannot)?;
    let mut names = Vec::new();
    write(&command, NAME, dir, &mut names).map_err(cannot)?;
    output::print(&names.concat())?;
    Ok(Code::Done)
}

fn write(
    command: &clap::Command,
    name: &str,
    dir: &Path,
    names: &mut Vec<String>,
) -> std::io::Result<()> {
    // The man page of a sub-command is called as git's are: mqdeck-topics-list(1).
    let title: &'static str = Box::leak(name.to_owned().into_boxed_str());
    let mut page = Vec::new();
    Man::new(command.clone().name(title).bin_name(title.replace('-', " "))).render(&mut page)?;
    let file = format!("{name}.1");
    std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(dir.join(&file))?
        .write_all(&page)?;
    names.push(file + "\n");
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        write(inner, &format!("{name}-{}", inner.get_name()), dir, names)?;
    }
    Ok(())
}
