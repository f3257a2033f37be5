//! Issues, rotates and revokes codes and tokens.

use std::{collections::HashMap, time::SystemTime};

use tokio::time::Instant;

use super::{
    family::{Access, Code, Family, Issued, Pair, Place, Refresh, Spent},
    ledger::{Outcome, TokenKind, Truth},
    mint::{self, Id},
    options::Options,
};

#[derive(Default)]
pub(super) struct Grants {
    minted: u64,
    places: HashMap<String, Place>,
    /// Families are never removed, so an index stays valid.
    families: Vec<Family>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    codes: HashMap<String, Code>,
    /// The bots whose family was revoked because a single-use code or token was used twice.
    revoked: Vec<String>,
}

/// The facts about a bearer token that the API needs.
pub(super) struct Bearer<'a> {
    pub(super) family: usize,
    pub(super) place: &'a Place,
    pub(super) live: bool,
    /// Whether its family is valid and no refresh has replaced the token.
    pub(super) current: bool,
    pub(super) born_at: u64,
    pub(super) issued: SystemTime,
}

impl Grants {
    pub(super) fn issue_code(
        &mut self,
        workspace: Option<&str>,
        redirect_uri: Option<String>,
    ) -> String {
        let place = self.place(workspace);
        let code = mint::id(Id::Code, self.count());
        let entry = Code {
            place,
            redirect_uri,
            family: None,
        };
        self.codes.insert(code.clone(), entry);
        code
    }

    pub(super) fn connect(&mut self, workspace: Option<&str>, options: &Options) -> Issued {
        let place = self.place(workspace);
        self.connect_at(place, options).1
    }

    pub(super) fn exchange(
        &mut self,
        code: &str,
        redirect_uri: Option<&str>,
        options: &Options,
    ) -> Result<Issued, Outcome> {
        let known = self.codes.get(code).ok_or(Outcome::Unknown)?;
        if let Some(family) = known.family {
            self.end_for_reuse(family, options);
            return Err(Outcome::AlreadySpent);
        }
        if known.redirect_uri.as_deref() != redirect_uri {
            return Err(Outcome::refused("invalid_grant"));
        }
        let (family, issued) = self.connect_at(known.place.clone(), options);
        if let Some(known) = self.codes.get_mut(code) {
            known.family = Some(family);
        }
        Ok(issued)
    }

    pub(super) fn rotate(
        &mut self,
        token: &str,
        now: Instant,
        options: &Options,
    ) -> Result<Issued, Outcome> {
        let known = self.refresh.get(token).ok_or(Outcome::Unknown)?;
        let family = known.family;
        if let Some(spent) = &known.spent {
            let in_grace = !options.grace.is_zero() && now - spent.at <= options.grace;
            let pair = spent.successor.clone();
            if in_grace
                && pair
                    .refresh
                    .as_deref()
                    .is_some_and(|next| self.is_refresh_live(next))
            {
                let place = self.families[family].place.clone();
                return Ok(Issued {
                    place,
                    pair,
                    outcome: Outcome::ReplayedInGrace,
                });
            }
            self.end_for_reuse(family, options);
            return Err(Outcome::AlreadySpent);
        }
        if !self.families[family].alive {
            return Err(Outcome::Revoked);
        }
        self.families[family].refreshes += 1;
        let old = self.families[family].pair.access.clone();
        if let Some(old) = self.access.get_mut(&old) {
            old.live &= options.keep_old_access_tokens;
        }
        let pair = self.mint_pair(family, options);
        if let Some(known) = self.refresh.get_mut(token) {
            known.spent = Some(Spent {
                at: now,
                successor: pair.clone(),
            });
        }
        let place = self.families[family].place.clone();
        Ok(Issued {
            place,
            pair,
            outcome: Outcome::Accepted,
        })
    }

    /// Revokes a token (RFC 7009): an access token alone, or a valid refresh token with its family.
    pub(super) fn revoke(&mut self, token: &str) -> Outcome {
        let outcome = self.validity(token);
        if outcome == Outcome::Accepted {
            if let Some(access) = self.access.get_mut(token) {
                access.live = false;
            } else if let Some(refresh) = self.refresh.get(token) {
                self.families[refresh.family].alive = false;
            }
        }
        outcome
    }

    /// Revokes the family of a token. Returns false if the token was never issued.
    pub(super) fn end_family_of(&mut self, token: &str) -> bool {
        let family = self.family_index(token);
        if let Some(family) = family {
            self.families[family].alive = false;
        }
        family.is_some()
    }

    pub(super) fn kill_access(&mut self, token: &str) -> bool {
        let access = self.access.get_mut(token);
        access.map(|access| access.live = false).is_some()
    }

    fn end_for_reuse(&mut self, family: usize, options: &Options) {
        let family = &mut self.families[family];
        if options.family_revocation && family.alive {
            family.alive = false;
            self.revoked.push(family.place.bot_id.clone());
        }
    }

    fn connect_at(&mut self, place: Place, options: &Options) -> (usize, Issued) {
        if options.reconnect_ends_older {
            let older = self
                .families
                .iter_mut()
                .filter(|family| family.place.bot_id == place.bot_id);
            older.for_each(|family| family.alive = false);
        }
        let index = self.families.len();
        let unset = Pair {
            access: String::new(),
            refresh: None,
        };
        self.families.push(Family {
            place: place.clone(),
            alive: true,
            refreshes: 0,
            pair: unset,
        });
        let pair = self.mint_pair(index, options);
        (
            index,
            Issued {
                place,
                pair,
                outcome: Outcome::Accepted,
            },
        )
    }

    fn mint_pair(&mut self, family: usize, options: &Options) -> Pair {
        let n = self.count();
        let pair = Pair {
            access: mint::access_token(n),
            refresh: options.refresh_tokens.then(|| mint::refresh_token(n)),
        };
        let access = Access {
            family,
            born_at: self.families[family].refreshes,
            issued: SystemTime::now(),
            live: true,
        };
        self.access.insert(pair.access.clone(), access);
        if let Some(refresh) = &pair.refresh {
            self.refresh.insert(
                refresh.clone(),
                Refresh {
                    family,
                    spent: None,
                },
            );
        }
        self.families[family].pair = pair.clone();
        pair
    }

    /// Returns the place of a workspace, whose IDs are always the same. Without a name, a new one is
    /// created.
    fn place(&mut self, workspace: Option<&str>) -> Place {
        let name = workspace.map(str::to_owned).unwrap_or_else(|| {
            let mut names = (self.places.len() + 1..).map(|n| format!("Workspace {n}"));
            names
                .find(|name| !self.places.contains_key(name))
                .unwrap_or_default()
        });
        let n = self.places.len() as u64 + 1;
        let place = self.places.entry(name.clone()).or_insert_with(|| Place {
            workspace_id: mint::id(Id::Workspace, n),
            workspace_name: name,
            bot_id: mint::id(Id::Bot, n),
            person_id: mint::id(Id::Person, n),
        });
        place.clone()
    }

    fn count(&mut self) -> u64 {
        self.minted += 1;
        self.minted
    }
}

impl Grants {
    /// Returns whether the token is valid, and the reason if it is not.
    pub(super) fn validity(&self, token: &str) -> Outcome {
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

    /// Returns the kind of a token or code, and the bot that it belongs to.
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
        let is_live = |token: &&String| self.validity(token) == Outcome::Accepted;
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

    fn is_refresh_live(&self, token: &str) -> bool {
        self.refresh.contains_key(token) && self.validity(token) == Outcome::Accepted
    }

    fn family_index(&self, token: &str) -> Option<usize> {
        let access = self.access.get(token).map(|access| access.family);
        access.or_else(|| self.refresh.get(token).map(|refresh| refresh.family))
    }
}
