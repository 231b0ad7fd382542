//! What a log and its tails share.

use std::{sync::Arc, time::Duration};

use crate::{
    address::Address, bell::Bell, config::PostgresConfig, connection::Connector, counts::Counts,
    error::OpenError, follows::Follows, life::Life, pool::Pool, schema, statement::Statements,
};

/// An open log.
pub(crate) struct Inner {
    pub(crate) pool: Pool,
    /// One connection for polls, so that publishers who wait for locks do not hold them up.
    pub(crate) poll_pool: Pool,
    pub(crate) life: Arc<Life>,
    pub(crate) follows: Follows,
    pub(crate) bell: Bell,
    pub(crate) counts: Arc<Counts>,
    pub(crate) channel: String,
    /// Tells our own live events from those of others.
    pub(crate) origin: u64,
    pub(crate) listen_address: Option<Arc<Address>>,
    pub(crate) poll: Duration,
    pub(crate) max_record_bytes: usize,
}

impl Inner {
    pub(crate) async fn open(config: PostgresConfig) -> Result<Self, OpenError> {
        config.validate()?;
        let statements = Arc::new(Statements::new(&format!("\"{}\"", config.schema)));
        let connector = || {
            Ok::<_, OpenError>(Connector {
                address: Address::parse(&config.url)?,
                statements: Arc::clone(&statements),
                pooler: config.pooler,
            })
        };
        let listen_address = match (&config.listen_url, config.pooler) {
            (Some(url), _) => Some(Address::parse(url)?),
            (None, false) => Some(Address::parse(&config.url)?),
            (None, true) => None,
        };
        let for_calls = connector()?;
        let mut connection = schema::prepare(&for_calls, &config).await?;
        let identity =
            connection
                .identity(&statements)
                .await
                .map_err(|error| OpenError::Failed {
                    place: for_calls.address.place.clone(),
                    reason: crate::error::chain(&error),
                })?;
        let counts = Arc::new(Counts::default());
        let life = Arc::new(Life::new(&identity, config.keep_epoch));
        let channel = config.channel();
        let bell = Bell::start(
            connector()?,
            Arc::clone(&life),
            Arc::clone(&counts),
            channel.clone(),
        );
        let pool = Pool::new(
            for_calls,
            config.max_connections,
            Arc::clone(&life),
            Arc::clone(&counts),
        );
        let poll_pool = Pool::new(connector()?, 1, Arc::clone(&life), Arc::clone(&counts));
        Ok(Self {
            pool,
            poll_pool,
            life,
            follows: Follows::new(),
            bell,
            counts,
            channel,
            origin: fastrand::u64(..),
            listen_address: listen_address.map(Arc::new),
            poll: config.poll,
            max_record_bytes: config.max_record_bytes,
        })
    }
}
