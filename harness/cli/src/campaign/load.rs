//! A campaign from its file, the environment and flags, in this order.

use std::io::Read;
use std::path::Path;

use anyhow::Context;

use super::decode::set_of_faults;
use super::{Campaign, Complaint, Expect};
use crate::args::RunArgs;
use crate::{Refused, declared};

/// No campaign is longer: what is, is another file.
const MAX_BYTES: u64 = 1 << 20;

impl Campaign {
    /// The campaign that these arguments mean. Names are not looked up yet: see [`Campaign::resolve`].
    pub fn load(args: &RunArgs) -> anyhow::Result<Campaign> {
        let mut campaign = match &args.file {
            None => Campaign::built_in(),
            Some(path) => {
                let (name, text) = read(path)?;
                let mut campaign = Campaign::parse(&name, &text).map_err(Refused::from)?;
                campaign.find_descriptions(path);
                campaign
            }
        };
        campaign.override_by(args).map_err(Refused::from)?;
        campaign.count_nodes(campaign.nodes_said || args.nodes.is_some())?;
        Ok(campaign)
    }

    /// Files that a campaign names, such as descriptions of targets, are meant relative to its own file.
    fn find_descriptions(&mut self, file: &Path) {
        let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return };
        for cell in self.targets.iter_mut().filter(|c| declared::is_path(&c.name)) {
            let plain = Path::new(&cell.name).strip_prefix("./").unwrap_or(Path::new(&cell.name));
            cell.name = folder.join(plain).to_string_lossy().into_owned();
        }
        self.provider.within(folder);
    }

    /// What flags and environment say counts more than what the file says.
    pub fn override_by(&mut self, args: &RunArgs) -> Result<(), Complaint> {
        let flag = |name: &str, text: String| Complaint::new(format!("{name}: {text}"), None);
        if !args.target.is_empty() {
            self.targets.clone_from(&args.target);
        }
        if !args.workload.is_empty() {
            self.workloads.clone_from(&args.workload);
        }
        if !args.faults.is_empty() {
            let sets = args.faults.iter().map(|t| set_of_faults(t.0.clone()));
            self.faults = sets.collect::<Result<_, _>>().map_err(|text| flag("--faults", text))?;
            self.faults_may_drop = false;
        }
        let set = |place: &mut u32, given: Option<u32>| *place = given.unwrap_or(*place);
        set(&mut self.nodes, args.nodes);
        set(&mut self.repeat, args.repeat);
        if let Some(provider) = &args.provider {
            self.provider.clone_from(provider);
        }
        self.concurrency = args.concurrency.unwrap_or(self.concurrency);
        self.rate = args.rate.unwrap_or(self.rate);
        self.seed_drawn &= args.seed.is_none();
        self.seed = args.seed.unwrap_or(self.seed);
        self.op_timeout = args.op_timeout.or(self.op_timeout);
        self.shard = args.shard.or(self.shard);
        self.stop_on_anomaly |= args.stop_on_anomaly;
        if let Some(limit) = args.time_limit {
            self.time_limit = limit;
        }
        if let Some(store) = &args.store {
            self.store.clone_from(store);
        }
        if self.time_limit.is_zero() {
            return Err(flag("--time-limit", "must be longer than zero".to_owned()));
        }
        if self.op_timeout().is_zero() {
            return Err(flag("--op-timeout", "must be longer than zero".to_owned()));
        }
        let own = self.overrides.iter().filter_map(|o| o.set.expect.as_ref());
        let mut shares = own.chain([&self.expect]).filter_map(|e| match e {
            Expect::Invalid { at_least, .. } => at_least.as_ref(),
            Expect::Valid => None,
        });
        if let Some(repeat) = args.repeat
            && let Some(at_least) = shares.find(|s| s.of != repeat)
        {
            let text =
                format!("the file expects an anomaly in {} of {} repeats", at_least.count, at_least.of);
            return Err(flag("--repeat", text));
        }
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<(String, String)> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let read = if name == "-" {
        std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
    };
    // A file that is not there is a bad argument, whatever the system calls it.
    read.map_err(|e| Refused(format!("cannot read the campaign {name}: {e}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Refused(format!("{name} is longer than a MiB: it is no campaign")).into());
    }
    let name = if name == "-" { "standard input".to_owned() } else { name };
    let text = String::from_utf8(bytes)
        .map_err(|e| {
            Refused(format!("{name} is no campaign: byte {} is not UTF-8", e.utf8_error().valid_up_to()))
        })
        .context("reading the campaign")?;
    Ok((name, text))
}
