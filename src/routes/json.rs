//! A connection as JSON.

use serde_json::{Value, json};

use crate::{
    clock::unix_seconds, credentials::ReauthorizationReason, provider::ConnectionStatus,
    store::RecordState,
};

/// The connection without a token. Times are Unix seconds.
pub(super) fn status(connection: Option<&ConnectionStatus>) -> Value {
    let Some(connection) = connection else {
        return json!({
            "connected": false, "state": null, "needs_reauthorization": null,
            "invalid_token": null, "workspace": null,
            "connected_at": null, "refreshed_at": null,
        });
    };
    let reason = match connection.state {
        RecordState::NeedsReauthorization(reason) => Some(reason_code(reason)),
        _ => None,
    };
    json!({
        "connected": connection.state == RecordState::Active,
        "state": connection.state.code(),
        "needs_reauthorization": reason,
        "invalid_token": connection.invalid_token.map(|reason| reason.to_string()),
        "workspace": {
            "id": connection.workspace_id,
            "name": connection.workspace_name,
            "icon": connection.workspace_icon,
        },
        "connected_at": connection.connected_at.map(unix_seconds),
        "refreshed_at": connection.refreshed_at.map(unix_seconds),
    })
}

fn reason_code(reason: ReauthorizationReason) -> &'static str {
    match reason {
        ReauthorizationReason::Revoked => "revoked",
        ReauthorizationReason::RotationLost => "rotation_lost",
        ReauthorizationReason::NoRefreshToken => "no_refresh_token",
        ReauthorizationReason::Expired => "expired",
    }
}
