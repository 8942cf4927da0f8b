//! A bound on failed signature checks. Attackers can invent tokens, and each costs a check.

use std::collections::HashMap;

use crate::client_network::ClientNetwork;
use crate::error::TokenError;
use base::time::UnixTime;

/// The maximum cost of the failed checks of one network in a second, in microseconds.
const NETWORK_US: u32 = 100_000;
/// The same for all networks together. Above it, each network has one check in a second.
const TOTAL_US: u32 = 200_000;
/// The maximum cost of all failed checks in a second.
const MAX_US: u32 = 300_000;

/// The failed checks of this second.
#[derive(Debug, Default)]
pub(super) struct FailedChecks {
    second: UnixTime,
    total_us: u32,
    /// At most one entry for each failed check of the second.
    networks: HashMap<ClientNetwork, u32>,
}

impl FailedChecks {
    /// Refuses a check if its network, or all networks together, used their share of this second.
    pub(super) fn check(&mut self, client: ClientNetwork, now: UnixTime) -> Result<(), TokenError> {
        let second = now.whole_seconds();
        if self.second != second {
            self.second = second;
            self.total_us = 0;
            self.networks.clear();
        }
        let own = self.networks.get(&client).copied().unwrap_or(0);
        let share = match self.total_us {
            ..TOTAL_US => NETWORK_US,
            TOTAL_US..MAX_US => 1,
            MAX_US.. => 0,
        };
        if own < share {
            Ok(())
        } else {
            Err(TokenError::ChecksBusy)
        }
    }

    /// Notes a check that failed and took this long, in microseconds.
    pub(super) fn note(&mut self, client: ClientNetwork, check_us: u32) {
        self.total_us = self.total_us.saturating_add(check_us);
        let own = self.networks.entry(client).or_default();
        *own = own.saturating_add(check_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_900_000_000;
    /// Costs of checks, in microseconds.
    const COSTS: [u32; 4] = [250, 500, 700, 2_800];

    fn network(number: u32) -> ClientNetwork {
        ClientNetwork::of(std::net::Ipv4Addr::from(number).into())
    }

    /// Failed checks of these networks, in turn, until none is let through.
    fn flood(checks: &mut FailedChecks, networks: u32, check_us: u32, now: u64) -> u32 {
        let mut made = 0;
        for number in 0..networks.max(200) * 10 {
            let client = network(number % networks);
            if checks.check(client, UnixTime::from_secs(now)).is_ok() {
                checks.note(client, check_us);
                made += 1;
            }
        }
        made
    }

    #[test]
    fn k4_a_network_has_its_share_and_leaves_that_of_others() {
        for cost in COSTS {
            let mut checks = FailedChecks::default();
            let made = flood(&mut checks, 1, cost, NOW);
            assert_eq!(made, NETWORK_US.div_ceil(cost));
            assert_eq!(
                checks.check(network(0), UnixTime::from_secs(NOW)),
                Err(TokenError::ChecksBusy)
            );
            assert_eq!(checks.check(network(7), UnixTime::from_secs(NOW)), Ok(()));
            assert_eq!(
                checks.check(ClientNetwork::UNKNOWN, UnixTime::from_secs(NOW)),
                Ok(())
            );
            assert_eq!(
                checks.check(network(0), UnixTime::from_secs(NOW + 1)),
                Ok(())
            );
            // Also after a step of the clock.
            flood(&mut checks, 1, cost, NOW);
            assert_eq!(
                checks.check(network(0), UnixTime::from_secs(NOW - 1000)),
                Ok(())
            );
        }
    }

    #[test]
    fn k4_all_networks_together_have_a_bound() {
        for cost in COSTS {
            let mut checks = FailedChecks::default();
            let made = flood(&mut checks, 100, cost, NOW);
            assert!(made * cost <= TOTAL_US + 100 * cost);
            // One that sent nothing bad is let through.
            assert_eq!(
                checks.check(network(5000), UnixTime::from_secs(NOW)),
                Ok(())
            );
            let made = flood(&mut checks, 5000, cost, NOW);
            assert!(made * cost <= MAX_US);
            assert!(checks.networks.len() <= 2000);
            assert_eq!(
                checks.check(network(9000), UnixTime::from_secs(NOW)),
                Err(TokenError::ChecksBusy)
            );
        }
    }
}
