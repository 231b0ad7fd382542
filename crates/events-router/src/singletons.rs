//! The one named instance. Everything static in this workspace's libraries is in this file.

use std::sync::{LazyLock, OnceLock};

use crate::{
    A2ABroadcaster, AgUiBroadcaster, AnalyticsBroadcaster, ContextBroadcaster, EventRouter,
};

static GLOBAL: OnceLock<EventRouter> = OnceLock::new();

/// The AG-UI broadcaster of [`EventRouter::global`].
pub static AGUI_BROADCASTER: LazyLock<AgUiBroadcaster> =
    LazyLock::new(|| EventRouter::global().agui().clone());

/// The A2A broadcaster of [`EventRouter::global`].
pub static A2A_BROADCASTER: LazyLock<A2ABroadcaster> =
    LazyLock::new(|| EventRouter::global().a2a().clone());

/// The context broadcaster of [`EventRouter::global`].
pub static CONTEXT_BROADCASTER: LazyLock<ContextBroadcaster> =
    LazyLock::new(|| EventRouter::global().contexts().clone());

/// The analytics broadcaster of [`EventRouter::global`].
pub static ANALYTICS_BROADCASTER: LazyLock<AnalyticsBroadcaster> =
    LazyLock::new(|| EventRouter::global().analytics().clone());

/// There is a global router already, and it may be in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the global router is already installed or in use")]
pub struct AlreadyInstalled;

impl EventRouter {
    /// Returns the router behind the statics; made with the defaults at first use unless one was installed.
    #[must_use]
    pub fn global() -> &'static Self {
        GLOBAL.get_or_init(Self::default)
    }

    /// Makes this router the one behind the statics. Call it once, before anything uses them.
    ///
    /// # Errors
    ///
    /// [`AlreadyInstalled`] if there is one already; it stays.
    pub fn install_global(router: Self) -> Result<(), AlreadyInstalled> {
        GLOBAL.set(router).map_err(|_refused| AlreadyInstalled)
    }
}
