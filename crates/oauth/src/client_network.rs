//! The network of a client. Each network has a share of a worker's work.

use std::net::IpAddr;

/// The network of a client: an IPv4 address, or the /64 of an IPv6 address, because one client may have a
/// whole /64. Clients without a known address share one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientNetwork(Option<u64>);

impl ClientNetwork {
    /// The network of all clients without a known address.
    pub const UNKNOWN: Self = Self(None);

    /// A name for records.
    pub fn name(self) -> String {
        self.0
            .map_or_else(String::new, |network| network.to_string())
    }

    /// The network of an address.
    pub fn of(address: IpAddr) -> Self {
        Self(Some(match address.to_canonical() {
            IpAddr::V4(address) => u64::from(u32::from(address)),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments().map(u64::from);
                a << 48 | b << 32 | c << 16 | d
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_one_network() {
        let of = |text: &str| ClientNetwork::of(text.parse().unwrap());
        assert_eq!(of("10.0.0.1"), of("::ffff:10.0.0.1"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("0.0.0.0"), ClientNetwork::UNKNOWN);
    }
}
