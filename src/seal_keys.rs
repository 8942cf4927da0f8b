//! The keys of `seal`, read from the environment.

use base::seal::{SealKey, Sealer};
use policy::PolicyError;
use policy::document::Seal;

/// The sealer with the keys of a policy. `variable` reads the variable that a path of the policy names.
///
/// # Errors
///
/// A variable is missing, its secret is too short, or two keys are the same. The error has the path.
pub fn sealer(
    seal: &Seal,
    variable: impl Fn(&str, &str) -> Result<String, PolicyError>,
) -> Result<Sealer, PolicyError> {
    let read = |path: String, name: &str| {
        let secret = variable(&path, name)?;
        SealKey::new(&secret).map_err(|error| PolicyError::new(path, error.to_string()))
    };
    let keys: Result<Vec<_>, _> = seal.keys().map(|(path, name)| read(path, name)).collect();
    let mut keys = keys?.into_iter();
    let (Some(first), Some(names)) = (keys.next(), seal.names()) else {
        return Err(PolicyError::new("seal", "expected a key"));
    };
    let names = read(names.0, names.1)?.store_names();
    Sealer::with_keys(first, keys.collect(), names)
        .map_err(|error| PolicyError::new("seal.keys", error.to_string()))
}
