//! The documentation against the command line.

use clap::CommandFactory;

use super::Cli;
use crate::Registry;
use crate::campaign::Campaign;

const CLI: &str = include_str!("../../../../docs/cli.md");
const CAMPAIGN: &str = include_str!("../../../../docs/campaign.md");

#[test]
fn every_command_and_flag_is_documented() {
    let mut command = Cli::command();
    command.build();
    command.clone().debug_assert();
    for sub in command.get_subcommands() {
        let name = sub.get_name();
        let names_it = |section: &&str| section.lines().next().unwrap().contains(&format!("`squall {name}"));
        let section = CLI.split("\n## ").skip(1).find(names_it);
        let section = section.unwrap_or_else(|| panic!("docs/cli.md has no section for `squall {name}`"));
        for arg in sub.get_arguments().filter(|a| !matches!(a.get_id().as_str(), "help" | "version")) {
            let Some(long) = arg.get_long() else { continue };
            assert!(section.contains(&format!("--{long}")), "docs/cli.md: `squall {name}` lacks --{long}");
            if name == "run" {
                let env = arg.get_env().expect("every flag of `run` has a variable").to_string_lossy();
                assert!(section.contains(&*env), "docs/cli.md lacks {env}");
            }
        }
    }
}

#[test]
fn every_key_of_a_campaign_is_documented_and_every_example_works() {
    let schema = crate::schema::campaign(&Registry::default());
    for key in schema["properties"].as_object().unwrap().keys() {
        assert!(CAMPAIGN.contains(&format!("| `{key}` |")), "docs/campaign.md lacks {key}");
    }
    let blocks: Vec<&str> =
        CAMPAIGN.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let runs = |yaml: &str| {
        let campaign = Campaign::parse("docs/campaign.md", yaml).unwrap_or_else(|e| panic!("{e}"));
        campaign.resolve(&Registry::default()).unwrap_or_else(|e| panic!("{e}")).len()
    };
    assert_eq!(blocks.iter().map(|b| runs(b)).collect::<Vec<_>>(), [42, 1, 5]);
}
