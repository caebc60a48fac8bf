//! The binary on real clusters: what it finds, what it leaves behind, what it decides by its seed.

mod attached;
mod bad;
mod crash;
mod decisions;
mod described;
mod documented;
mod examples;
mod faults;
mod leaks;
mod machines;
mod measured;
mod runs;
#[cfg(feature = "ssh")]
mod ssh;
mod support;
mod workloads;

use std::process::ExitCode;

use squall_cluster::Capability;
use squall_local::testing::{Need, Test};

fn main() -> ExitCode {
    // Inside nodes this executable is the probe, or a node of Raft KV.
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    match words.first().and_then(|word| word.to_str()) {
        Some(measured::probe::WORD) => measured::probe::run(),
        Some("raftkv") => return ExitCode::from(squall_raftkv::cli::run(words.into_iter().skip(1)) as u8),
        _ => {}
    }
    let clusters =
        |name: &str, run: fn()| Test::new(name, run).needs(Need::Nodes).needs(Need::Can(Capability::Links));
    let etcd = || Need::Program("etcd", "etcd-server");
    #[cfg(feature = "ssh")]
    let hosts = |name: &str, run: fn()| {
        let programs =
            [("sshd", "openssh-server"), ("nft", "nftables"), ("ip", "iproute2"), ("unshare", "util-linux")];
        programs.iter().fold(clusters(name, run).needs(Need::Root), |test, (program, package)| {
            test.needs(Need::Program(program, package))
        })
    };
    squall_local::testing::main(vec![
        #[cfg(feature = "ssh")]
        hosts("hosts_are_driven_healed_and_refused_over_ssh", ssh::one_campaign_on_both),
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
        clusters("raftkv_keeps_the_promise_of_every_workload", workloads::raftkv_keeps_every_promise),
        clusters("etcd_keeps_the_promise_of_every_workload", workloads::etcd_keeps_every_promise)
            .needs(etcd()),
        clusters("watchers_of_etcd_are_told_everything", workloads::etcd_watchers_are_told_everything)
            .needs(etcd()),
        clusters("two_holders_of_an_unfenced_lock_are_found", workloads::two_holders_are_found).needs(etcd()),
        clusters("classic_mistakes_are_found_by_their_workloads", workloads::classic_mistakes_are_found),
        measured("network_faults_are_measured", measured::network).needs(Need::Can(Capability::LinkQuality)),
        measured("process_faults_are_measured", measured::processes)
            .needs(Need::Can(Capability::CpuLimit))
            .needs(Need::Can(Capability::MemoryLimit)),
        measured("clock_faults_are_measured", measured::clocks).needs(Need::Can(Capability::Clock)),
        measured("disk_faults_are_measured", measured::disks).needs(Need::Can(Capability::Disk)),
        measured("members_leaders_and_versions_are_measured", measured::members_leaders_and_versions),
        measured("operations_on_etcd_are_measured", measured::operations_on_etcd)
            .needs(etcd())
            .needs(Need::Program("etcdctl", "etcd-client")),
        measured("what_is_gone_is_not_harmed", measured::gone)
            .needs(Need::Can(Capability::Disk))
            .needs(Need::Can(Capability::Clock)),
        clusters("a_machine_without_devices_does_what_it_can", machines::without_devices_is_less)
            .needs(Need::Program("unshare", "util-linux")),
        clusters("processes_and_links_are_harmed_in_every_way", faults::processes_and_links),
        clusters("disks_are_harmed_in_every_way_and_no_more_than_a_minority", faults::disks)
            .needs(Need::Can(Capability::Disk)),
        clusters("members_come_and_go_and_versions_change", faults::members_and_upgrades),
        clusters("members_of_etcd_come_and_go", faults::etcd_members).needs(etcd()),
        Test::new("every_fault_has_a_page", faults::pages).needs(Need::Program("etcdctl", "etcd-client")),
        clusters("steps_wait_for_events", faults::triggers),
        clusters("clocks_wander_and_swarms_differ", faults::clocks_and_swarms)
            .needs(Need::Can(Capability::Clock)),
        clusters("a_watchdog_restarts_what_exits", faults::watchdog).needs(Need::Can(Capability::Disk)),
        clusters("a_failure_is_found_again_and_made_smaller", faults::again_and_smaller)
            .needs(Need::Can(Capability::Clock)),
        clusters("example_raftkv_without_fsync", examples::raftkv_without_fsync)
            .needs(Need::Can(Capability::Disk)),
        clusters("example_etcd_without_fsync", examples::etcd_without_fsync)
            .needs(Need::Can(Capability::Disk))
            .needs(etcd()),
        clusters("example_power_loss", examples::power_loss).needs(Need::Can(Capability::Disk)).needs(etcd()),
        clusters("example_kill_then_power", examples::kill_then_power).needs(Need::Can(Capability::Disk)),
        clusters("example_lease_on_the_wall_clock", examples::lease_on_the_wall_clock)
            .needs(Need::Can(Capability::Clock)),
        clusters("example_lease_on_the_monotonic_clock", examples::lease_on_the_monotonic_clock)
            .needs(Need::Can(Capability::Clock)),
        clusters("example_etcd_lease", examples::etcd_lease)
            .needs(Need::Can(Capability::Clock))
            .needs(etcd()),
        clusters("example_etcd_lease_revoked", examples::etcd_lease_revoked).needs(etcd()),
        clusters("example_etcd_lease_true_clock", examples::etcd_lease_true_clock).needs(etcd()),
        clusters("example_etcd_disk_faults", examples::etcd_disk_faults)
            .needs(Need::Can(Capability::Disk))
            .needs(etcd()),
        clusters("example_etcd_flipped_bits", examples::etcd_flipped_bits)
            .needs(Need::Can(Capability::Disk))
            .needs(etcd()),
        clusters("many_runs_leave_nothing_behind", leaks::many_runs_leave_nothing)
            .needs(Need::Can(Capability::Clock))
            .needs(Need::Can(Capability::Disk)),
        clusters("one_seed_decides_alike_twice", decisions::one_seed_decides_alike_twice),
        clusters("a_killed_harness_leaves_nothing_but_its_history", crash::killed_harness_leaves_nothing),
        clusters("a_killed_keeper_or_node_breaks_the_run", crash::killed_helpers_break_the_run),
        clusters("an_interrupted_run_is_judged", crash::interrupted_run_is_judged),
        clusters("an_interrupted_campaign_is_gone_on_with", crash::interrupted_campaign_is_resumed),
        clusters("a_target_that_cannot_start_is_one_clear_error", bad::target_that_exits),
        clusters("a_node_that_never_becomes_ready_is_one_clear_error", bad::never_ready),
        clusters("nothing_in_the_store_is_overwritten", bad::store_is_not_overwritten),
        clusters("redis_loses_what_it_acknowledged", described::redis_loses_what_it_acknowledged)
            .needs(Need::Program("redis-server", "redis-server"))
            .needs(Need::Program("redis-sentinel", "redis-sentinel"))
            .needs(Need::Program("python3", "python3")),
        clusters("a_retry_that_is_one_too_many_is_found", described::a_retry_that_is_one_too_many_is_found)
            .needs(Need::Program("python3", "python3")),
        clusters("postgresql_keeps_to_its_levels", described::postgresql_keeps_to_its_levels)
            .needs(Need::Program("/usr/lib/postgresql/15/bin/postgres", "postgresql-15"))
            .needs(Need::Program("unshare", "util-linux"))
            .needs(Need::Program("python3", "python3")),
        clusters("replicas_of_etcd_3_5_0_diverge", described::replicas_of_etcd_3_5_0_diverge)
            .needs(Need::Named(described::ETCD_3_5_0))
            .needs(etcd()),
        clusters("nats_loses_what_it_acknowledged", described::nats_loses_what_it_acknowledged)
            .needs(Need::Can(Capability::Disk))
            .needs(Need::Program("nats-server", "nats-server"))
            .needs(Need::Program("python3", "python3")),
        clusters("zookeeper_reads_want_a_sync", described::zookeeper_reads_want_a_sync)
            .needs(Need::Program("/usr/share/java/zookeeper.jar", "zookeeper"))
            .needs(Need::Program("java", "zookeeper"))
            .needs(Need::Program("python3", "python3")),
        Test::new(
            "a_real_system_takes_less_than_sixty_lines_twice",
            described::a_real_system_takes_less_than_sixty_lines_twice,
        ),
        clusters("clients_in_bash_and_perl_work", described::clients_in_bash_and_perl_work)
            .needs(Need::Program("bash", "bash"))
            .needs(Need::Program("perl", "perl-base"))
            .needs(Need::Program("python3", "python3")),
        Test::new("clients_are_tried_out", described::clients_are_tried_out)
            .needs(Need::Program("python3", "python3")),
        clusters("a_new_target_runs_as_it_is", described::the_skeleton_runs)
            .needs(Need::Program("python3", "python3")),
        clusters(
            "a_client_that_breaks_the_protocol_is_quoted",
            described::a_client_that_breaks_the_protocol_is_quoted,
        )
        .needs(Need::Program("python3", "python3")),
        clusters(
            "a_client_that_dies_is_replaced_or_given_up",
            described::a_client_that_dies_is_replaced_or_given_up,
        )
        .needs(Need::Program("python3", "python3")),
        clusters(
            "a_described_target_that_fails_is_one_clear_error",
            described::a_described_target_that_fails_is_one_clear_error,
        )
        .needs(Need::Program("python3", "python3")),
        clusters("a_client_that_floods_its_log_is_ended", described::a_client_that_floods_its_log_is_ended)
            .needs(Need::Program("python3", "python3")),
        clusters(
            "a_target_that_fills_its_disk_is_stopped",
            described::a_target_that_fills_its_disk_is_stopped,
        )
        .needs(Need::Root)
        .needs(Need::Program("unshare", "util-linux"))
        .needs(Need::Program("python3", "python3")),
        clusters("a_target_that_ignores_its_end_is_ended", described::a_target_that_ignores_its_end_is_ended)
            .needs(Need::Program("python3", "python3")),
        clusters(
            "members_of_a_described_target_come_and_go",
            described::members_of_a_described_target_come_and_go,
        )
        .needs(etcd())
        .needs(Need::Program("python3", "python3")),
        Test::new(
            "a_running_cluster_is_judged_and_left_running",
            attached::a_running_cluster_is_judged_and_left_running,
        ),
        Test::new(
            "what_a_running_cluster_cannot_bear_is_refused",
            attached::what_a_running_cluster_cannot_bear_is_refused,
        ),
        clusters(
            "every_command_of_the_documentation_runs",
            documented::every_command_of_the_documentation_runs,
        )
        .needs(etcd())
        .needs(Need::Program("python3", "python3")),
        clusters("a_disk_that_fills_up_is_one_clear_error", bad::a_disk_that_fills_up)
            .needs(Need::Root)
            .needs(Need::Program("unshare", "util-linux")),
        clusters("a_path_with_spaces_and_more_is_a_path", bad::a_path_with_spaces_and_more),
        Test::new("a_missing_etcd_names_its_package", bad::missing_etcd).needs(Need::Nodes),
        Test::new("a_store_that_cannot_be_written_is_one_clear_error", bad::unwritable_store),
        Test::new("bad_campaigns_are_refused_before_anything_starts", bad::bad_campaigns),
    ])
}

/// A test that injects faults itself, on a cluster of its own.
fn measured<F: Future<Output = ()> + 'static>(name: &str, run: impl FnOnce() -> F + Send + 'static) -> Test {
    Test::asynchronous(name, run).needs(Need::Nodes).needs(Need::Can(Capability::Links))
}
