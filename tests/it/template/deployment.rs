//! What the files around the template say of a deployment: one place for the architecture, and actions by their commit.
//! What `infra/deploy.sh` makes of them is tested by `infra/test_deploy.py`.

use std::collections::BTreeSet;
use std::path::Path;

use super::cases::{file, template};

fn parsed(name: &str) -> toml::Table {
    file(name).parse().unwrap()
}

fn architectures() -> BTreeSet<String> {
    let allowed = template()["Parameters"]["Architecture"]["AllowedValues"].as_array().unwrap().clone();
    allowed.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// The workflows, by file name.
fn workflows() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// `sam build` reads the parameters of its own section: with them at `deploy` alone it would build for the default.
#[test]
fn every_command_of_sam_has_the_same_parameters() {
    for (environment, commands) in parsed("samconfig.toml") {
        let Some(commands) = commands.as_table() else { continue }; // version = 0.1
        for (command, settings) in commands {
            let given = settings["parameters"].get("parameter_overrides").is_some();
            assert_eq!(
                given,
                command == "global",
                "parameter_overrides of [{environment}.{command}.parameters]"
            );
        }
    }
}

#[test]
fn nothing_but_the_parameter_chooses_an_architecture_for_sam() {
    let build = parsed("CargoLambda.toml")["build"].as_table().unwrap().clone();
    let known = ["no_default_features", "locked"];
    let other: Vec<_> = build.keys().filter(|key| !known.contains(&key.as_str())).collect();
    assert!(other.is_empty(), "{other:?} of CargoLambda.toml could choose a target");
    let makefile = file("Makefile");
    let recipe = makefile.split("\ndeploy:").nth(1).unwrap();
    let recipe: String = recipe.lines().skip(1).take_while(|line| line.starts_with('\t')).collect();
    assert!(recipe.contains("infra/deploy.sh $(ENV)") && !recipe.contains("ARCH"), "{recipe}");
}

#[test]
fn every_architecture_of_the_template_can_be_built_and_is_built_by_ci() {
    let (build, bill) = (file("infra/build.sh"), file("infra/sbom.py"));
    let ci = file(".github/workflows/ci.yml");
    for architecture in architectures() {
        let processor = if architecture == "arm64" { "aarch64" } else { architecture.as_str() };
        let case = format!("{architecture}) target={processor}-unknown-linux-gnu ;;");
        let entry = format!("\"{architecture}\": \"{processor}-unknown-linux-gnu\"");
        assert!(build.contains(&case) && bill.contains(&entry), "{case} {entry}");
        let row = format!("architecture: {architecture}, runner: ");
        let row = ci.lines().find(|line| line.contains(&row)).unwrap_or_else(|| panic!("no {row} in ci.yml"));
        assert!(row.contains(&format!("target: {processor}-unknown-linux-gnu")), "{row}");
    }
}

#[test]
fn what_is_deployed_and_released_is_what_ci_built() {
    let workflow = |name: &str| file(&format!(".github/workflows/{name}"));
    let ci = workflow("ci.yml");
    let (built, tested, kept) =
        (ci.find("make dist"), ci.find("BOOTSTRAP: target/lambda"), ci.find("path: target/dist/"));
    assert!(built.is_some() && built < tested && tested < kept, "{built:?} {tested:?} {kept:?}");
    for name in ["deploy.yml", "release.yml"] {
        let text = workflow(name);
        assert!(text.contains("uses: ./.github/workflows/ci.yml") && text.contains("needs: ci"), "{name}");
        assert!(text.contains("actions/download-artifact@"), "{name}");
        for builds in ["make build", "make dist", "cargo", "rustup"] {
            assert!(!text.contains(builds), "{name} builds: {builds}");
        }
    }
    assert!(workflow("deploy.yml").contains("PACKAGE=target/dist"));
}

#[test]
fn an_action_of_others_is_named_by_its_commit() {
    for (name, text) in workflows() {
        let steps = text.lines().map(|line| line.trim_start().trim_start_matches("- "));
        for action in steps.filter_map(|step| step.strip_prefix("uses: ")) {
            let commit = action.split_once('@').map(|(_, after)| after.split(' ').next().unwrap());
            let pinned = commit.is_some_and(|it| it.len() == 40 && it.bytes().all(|b| b.is_ascii_hexdigit()));
            assert!(pinned || action.starts_with("./"), "{name}: {action}");
        }
    }
}
