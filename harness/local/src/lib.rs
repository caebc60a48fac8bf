//! The local provider: rootless nodes on one machine, the network between them, their clocks and disks

pub mod clock;
