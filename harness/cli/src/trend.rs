//! `squall trend` and `squall diff`: folds over stores.

use serde::Serialize;
use squall_history::SCHEMA_VERSION;
use squall_reports::text::{counted, inert};
use squall_reports::{Comparison, Results, Signature, Trend, compare, terminal};

use crate::args::{DiffArgs, Format, TrendArgs};
use crate::output::{print, print_json};
use crate::stored::{Night, night_of, nights, past};
use crate::{Exit, Refused};

#[derive(Serialize)]
struct TrendDocument {
    schema_version: u32,
    campaigns: Vec<CampaignTrend>,
}

/// One campaign over its nights.
#[derive(Serialize)]
struct CampaignTrend {
    campaign: String,
    nights: Vec<String>,
    signatures: Vec<Signature>,
    trends: Vec<Trend>,
}

/// Shows each campaign's runs over time.
pub(crate) fn trend(args: &TrendArgs) -> anyhow::Result<Exit> {
    let mut campaigns: Vec<(String, Vec<Night>)> = Vec::new();
    for night in nights(&args.store)? {
        if args.campaign.as_ref().is_some_and(|c| *c != night.campaign) {
            continue;
        }
        match campaigns.iter_mut().find(|(name, _)| *name == night.campaign) {
            Some((_, nights)) => nights.push(night),
            None => campaigns.push((night.campaign.clone(), vec![night])),
        }
    }
    campaigns.sort_by(|a, b| a.0.cmp(&b.0));
    let folded: Vec<CampaignTrend> =
        campaigns.into_iter().map(|(name, nights)| fold(name, &nights, args.name.as_deref())).collect();
    let kept: Vec<CampaignTrend> = folded.into_iter().filter(|c| !c.trends.is_empty()).collect();
    if kept.is_empty() {
        return Err(Refused(format!("{} holds no results of such runs", args.store.display())).into());
    }
    match args.format {
        Format::Json => print_json(&TrendDocument { schema_version: SCHEMA_VERSION, campaigns: kept })?,
        Format::Human => print(&kept.iter().map(text).collect::<Vec<_>>().join("\n"))?,
    }
    Ok(Exit::Valid)
}

fn fold(campaign: String, nights: &[Night], name: Option<&str>) -> CampaignTrend {
    let wanted = |r: &Results| name.is_none_or(|n| r.run.name.contains(n));
    let runs: Vec<(String, Vec<Results>)> = nights
        .iter()
        .map(|n| (n.time.clone(), n.results().into_iter().filter(|r| wanted(r)).collect()))
        .collect();
    let past = past(&runs);
    CampaignTrend {
        campaign,
        nights: runs.into_iter().filter(|(_, r)| !r.is_empty()).map(|(label, _)| label).collect(),
        signatures: past.signatures,
        trends: past.trends,
    }
}

fn text(c: &CampaignTrend) -> String {
    let nights = counted(c.nights.len() as u64, "night");
    let mut out = format!("campaign {} ({nights})\n", inert(&c.campaign));
    for trend in &c.trends {
        out.push('\n');
        out.push_str(&terminal::trend(trend));
    }
    if !c.signatures.is_empty() {
        out.push_str("\nanomalies of all runs\n");
        out.extend(terminal::triage(&c.signatures).lines().map(|l| format!("  {l}\n")));
    }
    out
}

#[derive(Serialize)]
struct DiffDocument {
    schema_version: u32,
    first: String,
    second: String,
    #[serde(flatten)]
    comparison: Comparison,
}

/// Compares two campaigns, run by run.
pub(crate) fn diff(args: &DiffArgs) -> anyhow::Result<Exit> {
    let (first, second) = (night_of(&args.first)?, night_of(&args.second)?);
    let (a, b) = (first.results(), second.results());
    for (night, results) in [(&first, &a), (&second, &b)] {
        if results.is_empty() {
            return Err(Refused(format!("{} holds no results", night.dir.display())).into());
        }
    }
    let comparison = compare(&a, &b);
    match args.format {
        Format::Human => print(&terminal::comparison(&comparison))?,
        Format::Json => print_json(&DiffDocument {
            schema_version: SCHEMA_VERSION,
            first: first.dir.to_string_lossy().into_owned(),
            second: second.dir.to_string_lossy().into_owned(),
            comparison,
        })?,
    }
    Ok(Exit::Valid)
}
