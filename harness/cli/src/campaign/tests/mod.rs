//! Campaigns, good and bad.
