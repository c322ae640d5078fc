//! `cargo xtask tags`: what an image is to be called, by our own rules or by docker/metadata-action's.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use plan::Spec;
use plan::tags::event::{self, Event};
use plan::tags::flavor::{self, Flavor};
use plan::tags::output::{Report, labels};
use plan::tags::{Context, GitRef, Request, Subject, Tags, engine, metadata, rule};

use crate::facts::{self, Workspace};
use crate::ui::{Ui, Usage};

/// Say what an image is to be called, and why
///
/// Prints one tag a line: for a version, a branch, a pull request or a commit, by the rules of docker/images.toml, or
/// by docker/metadata-action's. What no flag says comes from GitHub's or GitLab's variables, else from git.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask tags --explain                               what is checked out, with each tag's reason
  cargo xtask tags --version 1.2.3 --variant all           a release
  skopeo list-tags docker://ghcr.io/me/app | cargo xtask tags --version 1.2.3 --existing -
  cargo xtask tags --rule 'type=semver,pattern={{version}}' --rule type=sha --image ghcr.io/me/app
docs/tags.md has the rules.")]
pub struct Args {
    #[command(flatten)]
    origin: Origin,
    /// alpine, debian, distroless or all; may be repeated or a list [default: the image's default variant]
    #[arg(long, value_name = "VARIANT")]
    variant: Vec<String>,
    /// What it is built for, where images.toml has `compat`; a name, a list or all [default: default-compat]
    #[arg(long, value_name = "NAME")]
    compat: Vec<String>,
    /// Tags that exist in the registry, one a line or as registries list them in JSON; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    existing: Option<String>,
    /// A rule of docker/metadata-action, or several lines of them, instead of ours; may be repeated
    #[arg(long, value_name = "RULE", allow_hyphen_values = true)]
    rule: Vec<String>,
    /// A flavor of docker/metadata-action, for its rules; may be repeated
    #[arg(long, value_name = "FLAVOR", allow_hyphen_values = true)]
    flavor: Vec<String>,
    /// Print references of this image instead of tags; may be repeated
    #[arg(long, value_name = "NAME")]
    image: Vec<String>,
    /// The digest of what is tagged: also print `repository@sha256:…`, for compose files and Kubernetes
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// The time that counts as now, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "RFC3339")]
    now: Option<String>,
    /// Also say why: each tag's reason, and behind a `#` what one might have expected
    #[arg(long)]
    explain: bool,
    /// How results are printed; github also writes the step's outputs and summary
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What is named; what no flag says comes from the CI's variables, else from git.
#[derive(clap::Args)]
pub struct Origin {
    /// A release of this version
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["git_ref", "sha"])]
    version: Option<String>,
    /// A git ref in full: refs/heads/NAME, refs/tags/NAME or refs/pull/NUMBER/merge
    #[arg(long = "ref", value_name = "REF")]
    git_ref: Option<String>,
    /// The commit's id [default: the one that REF means]
    #[arg(long, value_name = "SHA")]
    sha: Option<String>,
}

/// How results are printed.
#[derive(Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One name a line.
    #[default]
    Human,
    /// For programs.
    Json,
    /// As outputs and summary of a step of a GitHub workflow.
    Github,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let spec = workspace.spec()?;
        let images = flavor::images(&self.image)?;
        let event = facts::ci_event()?;
        let given_now = self.now.as_deref().map(parse_now).transpose()?.or(facts::source_date_epoch()?);
        let context = self.origin.context(workspace, &event, given_now.unwrap_or_else(facts::clock))?;
        let by_rules = !self.rule.is_empty() || !self.flavor.is_empty();
        let tags =
            if by_rules { self.by_rules(&context)? } else { self.by_spec(&spec, workspace, &context)? };
        if tags.tags.is_empty() {
            ui.line("note", "no rule gives a tag here; `--explain` says why");
        }
        let created = given_now.or(context.commit_time).unwrap_or(context.now);
        let labels = labels(&spec.project, &tags.version, &context.sha, created).map_err(Usage)?;
        let mut report = Report::new(&tags, &images, labels);
        if let Some(digest) = &self.digest {
            let repository = &spec.images[&spec.project.default_image].repository;
            report.pin(if images.is_empty() { std::slice::from_ref(repository) } else { &images }, digest)?;
        }
        self.print(&report, ui)
    }

    /// By docker/images.toml.
    fn by_spec(&self, spec: &Spec, workspace: &Workspace, context: &Context) -> Result<Tags> {
        let subject = self.origin.subject(context)?;
        let existing = match &self.existing {
            Some(source) => engine::parse_existing(&read_existing(source)?)?,
            None => Vec::new(),
        };
        let request = Request {
            image: None,
            subject,
            variants: &self.variant,
            compats: &self.compat,
            context,
            version: &workspace.version,
            git_tags: &workspace.git_tags(),
            existing: &existing,
            incomplete: self.existing.is_none() && workspace.is_shallow(),
        };
        Ok(engine::tags(spec, &request)?)
    }

    /// By docker/metadata-action's rules.
    fn by_rules(&self, context: &Context) -> Result<Tags> {
        let other = [
            (
                "--variant",
                !self.variant.is_empty(),
                "a suffix, such as `--flavor suffix=-alpine,onlatest=true`",
            ),
            ("--compat", !self.compat.is_empty(), "a suffix, such as `--flavor suffix=-pg18,onlatest=true`"),
            ("--existing", self.existing.is_some(), "no rule: without --rule nothing is moved backwards"),
        ];
        if let Some((flag, _, instead)) = other.iter().find(|(_, given, _)| *given) {
            let text = format!(
                "{flag} has no meaning for --rule and --flavor; docker/metadata-action knows {instead}"
            );
            return Err(Usage(text).into());
        }
        let (rules, flavor) = (rule::parse(&self.rule)?, Flavor::parse(&self.flavor)?);
        Ok(metadata::tags(&rules, &flavor, context)?)
    }

    fn print(&self, report: &Report, ui: &Ui) -> Result<()> {
        match self.format {
            Format::Json => println!("{}", serde_json::to_string_pretty(report)?),
            Format::Human | Format::Github => {
                if self.format == Format::Github {
                    write_github(&report.github_output()?, &report.github_summary())?;
                    ui.line("wrote", format_args!("{} tags to the step's outputs", report.tags.len()));
                }
                print!("{}", if self.explain { report.explained() } else { report.lines() });
            }
        }
        Ok(())
    }
}

impl Origin {
    /// What is built: the flags first, then the CI, then git.
    pub fn context(&self, workspace: &Workspace, event: &Event, now: u64) -> Result<Context> {
        let typed = self.git_ref.as_deref().map(parse_ref).transpose()?;
        let version = self.version.as_ref().map(|v| GitRef::Tag(format!("v{}", v.trim_start_matches('v'))));
        let git_ref = version.or(typed).or_else(|| event.git_ref.clone());
        let is_cis = self.git_ref.is_none() || git_ref == event.git_ref;
        let git_ref = git_ref.or_else(|| GitRef::parse(&workspace.head_ref()?));
        let sha = match &self.sha {
            Some(sha) => Some(parse_sha(sha)?),
            None if is_cis => {
                // The commit of a release is the one that bears its tag, once there is one.
                let tag = self.version.as_ref().zip(git_ref.as_ref().and_then(GitRef::tag));
                tag.and_then(|(_, tag)| workspace.commit_of(&format!("refs/tags/{tag}")))
                    .or_else(|| event.sha.clone())
                    .or_else(|| workspace.commit_of("HEAD"))
            }
            None => self.git_ref.as_ref().and_then(|name| workspace.commit_of(name)),
        };
        let sha = sha.unwrap_or_default();
        let told_time = event.commit_time.filter(|_| event.sha.as_ref() == Some(&sha));
        Ok(Context {
            commit_time: told_time.or_else(|| workspace.commit_time(&sha)),
            default_branch: event.default_branch.clone().or_else(|| workspace.default_branch()),
            branches: workspace.branches(),
            git_ref,
            sha,
            short_sha: event.short_sha.unwrap_or(7),
            event: event.name.clone(),
            base_ref: event.base_ref.clone(),
            now,
        })
    }

    /// What names are asked for.
    pub fn subject(&self, context: &Context) -> Result<Subject> {
        match &self.version {
            Some(version) => Ok(Subject::Version(version.clone())),
            None if context.git_ref.is_some() || context.is_scheduled() => Ok(Subject::Ref),
            None => Err(Usage(
                "neither a flag, nor a CI's variables, nor git say what is built; give `--version VERSION`, or \
                 `--ref refs/heads/NAME --sha SHA`"
                    .into(),
            )
            .into()),
        }
    }
}

fn parse_ref(text: &str) -> Result<GitRef> {
    GitRef::parse(text).ok_or_else(|| {
        Usage(format!(
            "--ref `{text}`: must be a ref in full: `refs/heads/NAME`, `refs/tags/NAME` or `refs/pull/NUMBER/merge`"
        ))
        .into()
    })
}

fn parse_sha(text: &str) -> Result<String> {
    if (7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Usage(format!(
        "--sha `{text}`: must be a commit id of 7 to 64 hexadecimal digits; `git rev-parse HEAD` prints one"
    ))
    .into())
}

fn parse_now(text: &str) -> Result<u64> {
    event::seconds(text).ok_or_else(|| {
        Usage(format!(
            "--now `{text}`: must be a time since 1970 as in RFC 3339, such as `2026-01-31T12:00:00Z`"
        ))
        .into()
    })
}

fn read_existing(source: &str) -> Result<String> {
    let mut text = String::new();
    let read = match source {
        "-" => std::io::stdin().read_to_string(&mut text),
        path => File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.map_err(|e| {
        Usage(format!(
            "--existing `{source}`: cannot read: {e}; name a file with one tag a line, or `-` for stdin"
        ))
    })?;
    Ok(text)
}

/// Writes a step's outputs and summary.
pub fn write_github(outputs: &str, summary: &str) -> Result<()> {
    let (output_file, summary_file) = facts::github_files().ok_or_else(|| {
        Usage(
            "--format github: GITHUB_OUTPUT or GITHUB_STEP_SUMMARY is not set, so this is no step of a GitHub \
             workflow; use `--format json`, or set both to files"
                .into(),
        )
    })?;
    append(&output_file, outputs)?;
    append(&summary_file, summary)
}

fn append(path: &Path, text: &str) -> Result<()> {
    let file = File::options().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("{}: cannot write", path.display()))
}
