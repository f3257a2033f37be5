//! What a URL says of the server.

use redis::Client;

use super::failure::failed;
use crate::store::StoreError;

/// Returns the client of the server at the URL.
pub(super) fn client(url: &str) -> Result<Client, StoreError> {
    Client::open(url).map_err(failed)
}
