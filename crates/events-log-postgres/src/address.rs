//! The address of a database, and what it says about TLS.

use std::{fs, path::Path, time::Duration};

use percent_encoding::percent_decode_str;
use tokio_postgres::config::{Config, Host, SslMode, TargetSessionAttrs};

use crate::{
    error::OpenError,
    tls::{Tls, Trust},
};

/// How long one host may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long sent bytes may stay unacknowledged before the connection is given up.
const USER_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// A database and how it is spoken to.
pub(crate) struct Address {
    pub(crate) config: Config,
    pub(crate) tls: Tls,
    /// Host, port and database, for people. It has no password.
    pub(crate) place: String,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        let invalid = |what: &str| OpenError::Address(what.to_owned());
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .ok_or_else(|| invalid("it does not begin with postgres://"))?;
        let (body, query) = rest.split_once('?').unwrap_or((rest, ""));
        // Else a piece of the password would be taken for the host, and be shown.
        if body.matches('@').count() > 1 {
            return Err(invalid(
                "it has more than one @; in a password write %40 for @, %2F for /, %3F for ?",
            ));
        }
        let mut mode = None;
        let mut root = None;
        let mut others = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => root = Some(value),
                _ => others.push(pair),
            }
        }
        let mut config: Config = format!("postgres://{body}?{}", others.join("&"))
            .parse()
            .map_err(|error| OpenError::Address(crate::error::chain(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(invalid("it names no host"));
        }
        let root = root.map(read_root).transpose()?;
        let (ssl_mode, trust) = match (mode.unwrap_or("prefer"), root) {
            ("disable", _) => (SslMode::Disable, Trust::Anybody),
            ("allow" | "prefer", _) => (SslMode::Prefer, Trust::Anybody),
            ("require", None) => (SslMode::Require, Trust::Anybody),
            // With a root certificate it verifies, as in libpq.
            ("require", Some(pem)) => (SslMode::Require, Trust::Chain(Some(pem))),
            ("verify-ca", pem) => (SslMode::Require, Trust::Chain(pem)),
            ("verify-full", pem) => (SslMode::Require, Trust::Full(pem)),
            _ => {
                return Err(invalid(
                    "sslmode is disable, prefer, require, verify-ca or verify-full",
                ));
            }
        };
        config.ssl_mode(ssl_mode);
        let tls = Tls::new(trust)?;
        set_defaults(&mut config);
        let place = place(&config);
        Ok(Self { config, tls, place })
    }
}

fn set_defaults(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(USER_TIMEOUT);
    }
    config.keepalives_idle(config.get_keepalives_idle().min(KEEPALIVE_IDLE));
    if config.get_application_name().is_none() {
        config.application_name("events");
    }
    // Of several hosts the primary is meant.
    if config.get_hosts().len().max(config.get_hostaddrs().len()) > 1
        && config.get_target_session_attrs() == TargetSessionAttrs::Any
    {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
}

fn read_root(path: &str) -> Result<Vec<u8>, OpenError> {
    let path = percent_decode_str(path)
        .decode_utf8()
        .map_err(|_not_text| OpenError::Address("sslrootcert is no text".to_owned()))?;
    fs::read(Path::new(&*path))
        .map_err(|error| OpenError::Address(format!("sslrootcert {path}: {error}")))
}

fn place(config: &Config) -> String {
    let ports = config.get_ports();
    let named: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    let hosts = if named.is_empty() {
        config
            .get_hostaddrs()
            .iter()
            .map(ToString::to_string)
            .collect()
    } else {
        named
    };
    let hosts: Vec<String> = hosts
        .iter()
        .enumerate()
        .map(|(at, host)| {
            let port = ports.get(at).or(ports.first()).copied().unwrap_or(5_432);
            format!("{host}:{port}")
        })
        .collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or("");
    format!("{}/{database}", hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_has_hosts_ports_and_database() {
        for (url, place) in [
            ("postgres://me:pw@db.example/app", "db.example:5432/app"),
            ("postgresql://me@a,b:5433/app", "a:5432,b:5433/app"),
            ("postgres://me@localhost:6000", "localhost:6000/me"),
            (
                "postgres:///app?host=/run/postgresql&user=me",
                "/run/postgresql:5432/app",
            ),
        ] {
            assert_eq!(Address::parse(url).unwrap().place, place, "{url}");
        }
    }

    #[test]
    fn several_hosts_mean_the_primary() {
        let address = Address::parse("postgres://me@a,b/app").unwrap();
        assert_eq!(
            address.config.get_target_session_attrs(),
            TargetSessionAttrs::ReadWrite
        );
    }

    #[test]
    fn a_wrong_address_is_refused_without_its_password() {
        for (url, word) in [
            ("mysql://me:s3cret@a/b", "postgres://"),
            ("postgres://me:s3cret@x@a/b", "%40"),
            ("postgres://me:s3cret@a/b?sslmode=maybe", "sslmode"),
            ("postgres://me:s3cret@a/b?sslcert=a", "sslcert"),
            ("postgres://me:s3cret@a:s3cret/b", "port"),
            ("postgres:///b", "host"),
            (
                "postgres://me:s3cret@a/b?sslmode=verify-ca&sslrootcert=/not/there",
                "/not/there",
            ),
        ] {
            let Err(error) = Address::parse(url) else {
                panic!("{url} was taken");
            };
            let text = error.to_string();
            assert!(text.contains(word), "{url}: {text}");
            assert!(!text.contains("s3cret"), "{url}: {text}");
        }
    }

    #[test]
    fn sslmode_is_as_in_libpq() {
        for (mode, expected) in [
            ("disable", SslMode::Disable),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-full", SslMode::Require),
        ] {
            let address = Address::parse(&format!("postgres://a/b?sslmode={mode}")).unwrap();
            assert_eq!(address.config.get_ssl_mode(), expected, "{mode}");
        }
    }
}
