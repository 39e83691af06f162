//! The systemd unit and its configuration file.
use super::{check, read};
use anyhow::Result;
use mtuprobe_tests::service::Scratch;

/// Exposure above this (0 is safe, 10 is not) is worth a thought: it was 3.4.
const MOST_EXPOSED: &str = "--threshold=36";

#[test]
fn systemd_understands_it_and_finds_it_hardened() -> Result<()> {
    // It must start something that is there.
    let unit = read("deploy/systemd/mtuprobe.service")?.replace("/usr/bin/mtuprobe serve", "/bin/true serve");
    let scratch = Scratch::new("unit")?;
    let file = scratch.write("mtuprobe.service", &unit)?;
    check("systemd-analyze", &["verify", "--man=no", &file])?;
    check("systemd-analyze", &["security", "--offline=yes", "--no-pager", MOST_EXPOSED, &file])?;
    Ok(())
}

#[test]
fn its_configuration_names_every_option() -> Result<()> {
    let text = read("deploy/systemd/mtuprobe.toml")?;
    // As it is, everything is a comment: the defaults.
    let scratch = Scratch::new("toml")?;
    let file = scratch.write("mtuprobe.toml", &text)?;
    assert_eq!(probe_user::config::read_file(file.as_ref())?, probe_user::config::ServeFile::default());
    let options: String = text
        .lines()
        .filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')))
        .flat_map(|line| [line, "\n"])
        .collect();
    let all = scratch.write("all.toml", &options)?;
    probe_user::config::read_file(all.as_ref())?;
    // The list of all is in the refusal of an unknown one.
    let unknown = scratch.write("unknown.toml", "nosuch = 1\n")?;
    let refused = probe_user::config::read_file(unknown.as_ref()).expect_err("unknown").to_string();
    let named: Vec<&str> = refused.split('`').skip(3).step_by(2).collect();
    assert!(named.len() > 10, "{refused}");
    for option in named.into_iter().filter(|option| *option != "duration") {
        assert!(options.contains(&format!("{option} = ")), "deploy/systemd/mtuprobe.toml lacks {option}");
    }
    Ok(())
}
