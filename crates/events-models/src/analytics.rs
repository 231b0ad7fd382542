//! What a site's visitors do, for dashboards.

use events_core::{Clock, SystemClock};

use crate::wire::wire_flat_union;

wire_flat_union! {
    /// An event about visits.
    ///
    /// `{"type":"PAGE_VIEW","timestamp":1782302400123,"sessionId":"s1","pageUrl":"/soup"}`
    pub enum AnalyticsEvent,
    /// The type of an analytics event.
    ///
    /// `"PAGE_VIEW"`
    AnalyticsEventType {
        /// A visit begins.
        ///
        /// `{"type":"SESSION_STARTED","timestamp":1782302400123,"sessionId":"s1","browser":"Firefox","isBot":false}`
        SessionStarted = "SESSION_STARTED" {
            /// The visit.
            session_id: String = "sessionId",
            /// Such as `mobile`.
            device_type: Option<String> = "deviceType",
            /// The browser's name.
            browser: Option<String> = "browser",
            /// The operating system's name.
            os: Option<String> = "os",
            /// The country.
            country: Option<String> = "country",
            /// Where the visitor comes from.
            referrer_source: Option<String> = "referrerSource",
            /// Whether the visitor is a program.
            is_bot: bool = "isBot",
        }
        /// A visit ends.
        ///
        /// `{"type":"SESSION_ENDED","timestamp":1782302400123,"sessionId":"s1","durationMs":5000,"pageCount":2,"requestCount":9}`
        SessionEnded = "SESSION_ENDED" {
            /// The visit.
            session_id: String = "sessionId",
            /// How long it lasted, in milliseconds.
            duration_ms: i64 = "durationMs",
            /// Pages seen.
            page_count: i64 = "pageCount",
            /// Requests made.
            request_count: i64 = "requestCount",
        }
        /// A page was opened.
        ///
        /// `{"type":"PAGE_VIEW","timestamp":1782302400123,"sessionId":"s1","pageUrl":"/soup"}`
        PageView = "PAGE_VIEW" {
            /// The visit.
            session_id: String = "sessionId",
            /// The user, if known.
            user_id: Option<String> = "userId",
            /// The page.
            page_url: String = "pageUrl",
            /// The content shown on it.
            content_id: Option<String> = "contentId",
            /// The page before.
            referrer: Option<String> = "referrer",
        }
        /// How a page is read.
        ///
        /// `{"type":"ENGAGEMENT_UPDATE","timestamp":1782302400123,"sessionId":"s1","pageUrl":"/soup","scrollDepth":80,"timeOnPageMs":5000,"clickCount":3}`
        EngagementUpdate = "ENGAGEMENT_UPDATE" {
            /// The visit.
            session_id: String = "sessionId",
            /// The page.
            page_url: String = "pageUrl",
            /// How far it was scrolled, in percent.
            scroll_depth: i32 = "scrollDepth",
            /// Time spent on it, in milliseconds.
            time_on_page_ms: i64 = "timeOnPageMs",
            /// Clicks on it.
            click_count: i32 = "clickCount",
        }
        /// The site at this moment.
        ///
        /// `{"type":"REAL_TIME_STATS","timestamp":1782302400123,"activeSessions":3,"activeUsers":2,"requestsPerMinute":40,"pageViewsLast5m":12,"botRequestsLast5m":1}`
        RealTimeStats = "REAL_TIME_STATS" {
            /// Visits that are going on.
            active_sessions: i64 = "activeSessions",
            /// Users that are there.
            active_users: i64 = "activeUsers",
            /// Requests in the last minute.
            requests_per_minute: i64 = "requestsPerMinute",
            /// Pages opened in the last five minutes.
            page_views_last_5m: i64 = "pageViewsLast5m",
            /// Requests of programs in the last five minutes.
            bot_requests_last_5m: i64 = "botRequestsLast5m",
        }
        /// The stream is alive.
        ///
        /// `{"type":"HEARTBEAT","timestamp":1782302400123}`
        Heartbeat = "HEARTBEAT" {}
    }
}

/// Makes analytics events and stamps them with the machine's time.
///
/// ```
/// use events_models::{AnalyticsEvent, AnalyticsEventBuilder};
///
/// let event = AnalyticsEventBuilder::session_ended("s1", 5_000, 2, 9);
/// assert!(matches!(event, AnalyticsEvent::SessionEnded { page_count: 2, .. }));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AnalyticsEventBuilder;

fn now() -> i64 {
    SystemClock.now_ms()
}

impl AnalyticsEventBuilder {
    /// Makes `SESSION_STARTED`.
    pub fn session_started(
        session_id: impl Into<String>,
        device_type: Option<String>,
        browser: Option<String>,
        os: Option<String>,
        country: Option<String>,
        referrer_source: Option<String>,
        is_bot: bool,
    ) -> AnalyticsEvent {
        AnalyticsEvent::SessionStarted {
            timestamp: now(),
            session_id: session_id.into(),
            device_type,
            browser,
            os,
            country,
            referrer_source,
            is_bot,
        }
    }

    /// Makes `SESSION_ENDED`; the duration is in milliseconds.
    pub fn session_ended(
        session_id: impl Into<String>,
        duration_ms: i64,
        page_count: i64,
        request_count: i64,
    ) -> AnalyticsEvent {
        AnalyticsEvent::SessionEnded {
            timestamp: now(),
            session_id: session_id.into(),
            duration_ms,
            page_count,
            request_count,
        }
    }

    /// Makes `PAGE_VIEW`.
    pub fn page_view(
        session_id: impl Into<String>,
        user_id: Option<String>,
        page_url: impl Into<String>,
        content_id: Option<String>,
        referrer: Option<String>,
    ) -> AnalyticsEvent {
        AnalyticsEvent::PageView {
            timestamp: now(),
            session_id: session_id.into(),
            user_id,
            page_url: page_url.into(),
            content_id,
            referrer,
        }
    }

    /// Makes `ENGAGEMENT_UPDATE`; depth in percent, time in milliseconds.
    pub fn engagement_update(
        session_id: impl Into<String>,
        page_url: impl Into<String>,
        scroll_depth: i32,
        time_on_page_ms: i64,
        click_count: i32,
    ) -> AnalyticsEvent {
        AnalyticsEvent::EngagementUpdate {
            timestamp: now(),
            session_id: session_id.into(),
            page_url: page_url.into(),
            scroll_depth,
            time_on_page_ms,
            click_count,
        }
    }

    /// Makes `REAL_TIME_STATS`.
    #[must_use]
    pub fn realtime_stats(
        active_sessions: i64,
        active_users: i64,
        requests_per_minute: i64,
        page_views_last_5m: i64,
        bot_requests_last_5m: i64,
    ) -> AnalyticsEvent {
        AnalyticsEvent::RealTimeStats {
            timestamp: now(),
            active_sessions,
            active_users,
            requests_per_minute,
            page_views_last_5m,
            bot_requests_last_5m,
        }
    }

    /// Makes `HEARTBEAT`.
    #[must_use]
    pub fn heartbeat() -> AnalyticsEvent {
        AnalyticsEvent::Heartbeat { timestamp: now() }
    }
}

#[cfg(test)]
mod tests;
