//! What can be asked of the grants without changing them.

use std::time::SystemTime;

use super::{
    family::{Family, Place},
    grants::Grants,
    ledger::{Outcome, TokenKind, Truth},
};

/// What the API asks of a bearer token.
pub(super) struct Bearer<'a> {
    pub(super) family: usize,
    pub(super) place: &'a Place,
    pub(super) live: bool,
    /// Its family still stands, and no refresh has replaced it.
    pub(super) current: bool,
    pub(super) born_at: u64,
    pub(super) issued: SystemTime,
}

impl Grants {
    /// Whether the token is good, and if not, why.
    pub(super) fn standing_of(&self, token: &str) -> Outcome {
        if let Some(access) = self.access.get(token) {
            let live = access.live && self.families[access.family].alive;
            return if live {
                Outcome::Accepted
            } else {
                Outcome::Revoked
            };
        }
        match self.refresh.get(token) {
            None => Outcome::Unknown,
            Some(refresh) if refresh.spent.is_some() => Outcome::AlreadySpent,
            Some(refresh) if self.families[refresh.family].alive => Outcome::Accepted,
            Some(_) => Outcome::Revoked,
        }
    }

    pub(super) fn bearer(&self, token: &str) -> Option<Bearer<'_>> {
        let access = self.access.get(token)?;
        let family = &self.families[access.family];
        Some(Bearer {
            family: access.family,
            place: &family.place,
            live: access.live && family.alive,
            current: family.alive && family.refreshes == access.born_at,
            born_at: access.born_at,
            issued: access.issued,
        })
    }

    pub(super) fn family(&self, index: usize) -> &Family {
        &self.families[index]
    }

    /// What the server knows a token or code to be, and whose.
    pub(super) fn identify(&self, token: &str) -> Option<(TokenKind, &str)> {
        if let Some(code) = self.codes.get(token) {
            return Some((TokenKind::Code, &code.place.bot_id));
        }
        let kind = if self.access.contains_key(token) {
            TokenKind::Access
        } else {
            TokenKind::Refresh
        };
        let family = &self.families[self.family_index(token)?];
        Some((kind, &family.place.bot_id))
    }

    pub(super) fn truth(&self) -> Truth {
        let is_live = |token: &&String| self.standing_of(token) == Outcome::Accepted;
        let living = self.families.iter().filter(|family| family.alive);
        let pairs = living.filter_map(|family| {
            let refresh = family.pair.refresh.clone()?;
            Some((
                family.place.bot_id.clone(),
                (family.pair.access.clone(), refresh),
            ))
        });
        Truth {
            pairs: pairs.collect(),
            access: self.access.keys().filter(is_live).cloned().collect(),
            refresh: self.refresh.keys().filter(is_live).cloned().collect(),
            revoked: self.revoked.clone(),
        }
    }

    pub(super) fn is_refresh_live(&self, token: &str) -> bool {
        self.refresh.contains_key(token) && self.standing_of(token) == Outcome::Accepted
    }

    pub(super) fn family_index(&self, token: &str) -> Option<usize> {
        let access = self.access.get(token).map(|access| access.family);
        access.or_else(|| self.refresh.get(token).map(|refresh| refresh.family))
    }
}
