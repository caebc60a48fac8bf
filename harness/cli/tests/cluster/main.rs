//! The binary on real clusters: what it finds, what it leaves behind, what it decides by its seed.

mod bad;
mod crash;
mod decisions;
mod runs;
mod support;

use std::process::ExitCode;

use squall_cluster::Capability;
use squall_local::testing::{Need, Test};

fn main() -> ExitCode {
    let clusters =
        |name: &str, run: fn()| Test::new(name, run).needs(Need::Nodes).needs(Need::Can(Capability::Links));
    let etcd = || Need::Program("etcd", "etcd-server");
    squall_local::testing::main(vec![
        clusters("raftkv_keeps_its_promise_under_partitions_and_kills", runs::raftkv_is_valid),
        clusters("a_store_that_skips_read_index_is_found_out", runs::unsafe_reads_are_found),
        clusters("bad_links_are_survived_and_proven", runs::bad_links_are_survived),
        clusters("a_loss_of_power_is_survived", runs::power_loss_is_survived)
            .needs(Need::Can(Capability::Disk)),
        clusters("a_store_without_fsync_is_found_out", runs::a_store_without_fsync_is_found_out)
            .needs(Need::Can(Capability::Disk)),
        clusters("the_first_anomaly_can_end_a_run", runs::anomalies_can_end_a_run),
        clusters("transactions_and_sets_keep_their_promises", runs::transactions_and_sets_are_valid),
        clusters("etcd_keeps_its_promise_under_partitions_and_kills", runs::etcd_is_valid).needs(etcd()),
        clusters("an_ordinary_user_can_run_it", runs::ordinary_user).needs(Need::Root).needs(etcd()),
        clusters("one_seed_decides_alike_twice", decisions::one_seed_decides_alike_twice),
        clusters("a_killed_harness_leaves_nothing_but_its_history", crash::killed_harness_leaves_nothing),
        clusters("an_interrupted_run_is_judged", crash::interrupted_run_is_judged),
        clusters("an_interrupted_campaign_is_gone_on_with", crash::interrupted_campaign_is_resumed),
        clusters("a_target_that_cannot_start_is_one_clear_error", bad::target_that_exits),
        clusters("a_node_that_never_becomes_ready_is_one_clear_error", bad::never_ready),
        clusters("nothing_in_the_store_is_overwritten", bad::store_is_not_overwritten),
        Test::new("a_missing_etcd_names_its_package", bad::missing_etcd).needs(Need::Nodes),
        Test::new("a_store_that_cannot_be_written_is_one_clear_error", bad::unwritable_store),
        Test::new("bad_campaigns_are_refused_before_anything_starts", bad::bad_campaigns),
    ])
}
