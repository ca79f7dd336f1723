//! Rows of `locks`: the facts of a term, and the pure record made of them.
//!
//! A term's end lies on the clock of one boot. Seen from another boot of the same machine the
//! holder is dead, so its term ended before anything now: [`LockRow::record`] puts its end at the
//! beginning of time, and the one rule `now >= expires` covers both.

use agents_domain::id::OwnerId;
use agents_domain::lock::{
    AcquireRequest, Conflict, Fence, FencingToken, HeldLock, Holder, Lease, LockKey, LockRecord, Tenure,
};
use agents_domain::plan::StoreError;
use agents_domain::time::{BootInstant, Timestamp};
use diesel::prelude::*;

use crate::store::column::{RowName, to_i64};
use crate::store::fault::Fault;
use crate::store::schema::locks;

/// One lock, held or free.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = locks)]
pub(crate) struct LockRow {
    pub(crate) resource_type: String,
    pub(crate) resource_id: String,
    pub(crate) token: i64,
    #[diesel(embed)]
    pub(crate) tenure: TenureColumns,
}

/// The columns that are set while a lock is held, and NULL while it is free.
#[derive(Debug, Clone, Default, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = locks, treat_none_as_null = true)]
pub(crate) struct TenureColumns {
    pub(crate) owner_id: Option<String>,
    pub(crate) acquired_at: Option<i64>,
    pub(crate) expires_at: Option<i64>,
    pub(crate) boot_id: Option<String>,
    pub(crate) expires_boottime_ms: Option<i64>,
    pub(crate) operation: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) holder_boot_id: Option<String>,
    pub(crate) pid_namespace: Option<String>,
    pub(crate) pid: Option<i64>,
    pub(crate) started: Option<i64>,
    pub(crate) user: Option<String>,
}

/// One moment, on the clock that leases are judged on and on that of people.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment<'a> {
    /// Which clock it is: the boot whose clock it is, or nothing where all share the server's.
    pub(crate) boot_id: &'a str,
    pub(crate) now: BootInstant,
    pub(crate) wall: Timestamp,
}

/// A term as it is about to be written.
#[derive(Debug, Clone, Copy)]
struct NewTerm<'a> {
    tenure: Tenure,
    boot_id: &'a str,
    acquired_at: Timestamp,
    expires_at: Timestamp,
    holder: &'a Holder,
}

impl From<NewTerm<'_>> for TenureColumns {
    fn from(term: NewTerm<'_>) -> Self {
        let holder = term.holder;
        Self {
            owner_id: Some(term.tenure.owner.to_string()),
            acquired_at: Some(term.acquired_at.as_millis()),
            expires_at: Some(term.expires_at.as_millis()),
            boot_id: Some(term.boot_id.to_owned()),
            expires_boottime_ms: Some(term.tenure.expires.as_millis()),
            operation: Some(holder.operation.clone()),
            host: Some(holder.host.clone()),
            holder_boot_id: Some(holder.boot_id.clone()),
            pid_namespace: Some(holder.pid_namespace.clone()),
            pid: Some(i64::from(holder.pid)),
            started: Some(to_i64(holder.started)),
            user: Some(holder.user.clone()),
        }
    }
}

impl LockRow {
    /// The row of a lock that was never held.
    pub(crate) fn free(key: &LockKey) -> Self {
        Self {
            resource_type: key.resource_type().to_owned(),
            resource_id: key.resource_id().to_owned(),
            token: 0,
            tenure: TenureColumns::default(),
        }
    }

    /// The record that decides, seen from that boot.
    pub(crate) fn record(&self, boot_id: &str) -> Result<LockRecord, StoreError> {
        self.named(|row| {
            let owner = row.parsed("owner_id", self.owner())?;
            let tenure = owner.map(|owner| Ok(Tenure { owner, expires: self.expires(row, boot_id)? }));
            Ok(LockRecord::from_storage(FencingToken::from_storage(self.token), tenure.transpose()?))
        })
    }

    /// Grants the lock of a row that was just read, or says who holds it.
    pub(crate) fn grant(
        self,
        key: &LockKey,
        moment: Moment<'_>,
        request: &AcquireRequest,
    ) -> Result<(Self, Lease), Fault> {
        let Moment { boot_id, now, wall } = moment;
        let ttl = request.ttl.as_duration();
        let record = self.record(boot_id)?;
        let respect = request.respect(key, record.token());
        let Ok(grant) = record.acquire(request.owner, now, ttl, respect) else {
            let held = self.held(boot_id, now)?.expect("a record that refuses is held");
            return Err(Fault::Conflict(Conflict(Box::new(held))));
        };
        let before = if grant.reentrant { self.held(boot_id, now)? } else { None };
        let tenure = grant.record.tenure().expect("a grant has a holder");
        // Of an earlier hold of the same owner everything stays, also its end if that is later.
        let kept =
            before.as_ref().filter(|_| record.tenure().is_some_and(|old| old.expires == tenure.expires));
        let acquired_at = before.as_ref().map_or(wall, |held| held.acquired_at);
        let expires_at = kept.map_or_else(|| wall.plus(ttl), |held| held.expires_at);
        let holder = before.as_ref().map_or(&request.holder, |held| &held.holder);
        let term = NewTerm { tenure, boot_id, acquired_at, expires_at, holder };
        let fence = Fence::Token { owner: request.owner, token: grant.token };
        let lease = Lease { key: key.clone(), fence, acquired_at, expires_at, reentrant: grant.reentrant };
        Ok((Self { token: grant.token.value(), tenure: term.into(), ..self }, lease))
    }

    /// What a reader sees; `None` if the lock is free.
    pub(crate) fn held(&self, boot_id: &str, now: BootInstant) -> Result<Option<HeldLock>, StoreError> {
        let record = self.record(boot_id)?;
        let Some(tenure) = record.tenure() else { return Ok(None) };
        self.named(|row| {
            let key = LockKey::from_parts(&self.resource_type, &self.resource_id);
            Ok(Some(HeldLock {
                key: row.need("a lock key", key)?,
                owner: tenure.owner,
                token: record.token(),
                acquired_at: Timestamp::from_millis(row.need("acquired_at", self.tenure.acquired_at)?),
                expires_at: Timestamp::from_millis(row.need("expires_at", self.tenure.expires_at)?),
                stale: record.is_stale(now),
                holder: self.holder(row)?,
            }))
        })
    }

    fn owner(&self) -> Result<Option<OwnerId>, agents_domain::id::InvalidId> {
        self.tenure.owner_id.as_deref().map(OwnerId::parse).transpose()
    }

    fn expires(&self, row: RowName<'_>, boot_id: &str) -> Result<BootInstant, StoreError> {
        let end = row.need("expires_boottime_ms", self.tenure.expires_boottime_ms)?;
        let ours = self.tenure.boot_id.as_deref() == Some(boot_id);
        Ok(BootInstant::from_millis(if ours { end } else { i64::MIN }))
    }

    fn holder(&self, row: RowName<'_>) -> Result<Holder, StoreError> {
        let columns = &self.tenure;
        let text = |column, value: &Option<String>| row.need(column, value.clone());
        Ok(Holder {
            host: text("host", &columns.host)?,
            boot_id: text("holder_boot_id", &columns.holder_boot_id)?,
            pid_namespace: text("pid_namespace", &columns.pid_namespace)?,
            pid: row.number("pid", row.need("pid", columns.pid)?)?,
            started: row.number("started", row.need("started", columns.started)?)?,
            user: text("user", &columns.user)?,
            operation: text("operation", &columns.operation)?,
        })
    }

    fn named<T>(&self, f: impl FnOnce(RowName<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        f(RowName::new("locks", &format!("{}/{}", self.resource_type, self.resource_id)))
    }
}
