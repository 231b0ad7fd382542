//! One request, as load generators write them.

/// A request that has arrived as a whole.
pub(crate) struct Request {
    target: String,
    is_get: bool,
    is_many: bool,
    body: Vec<u8>,
}

impl Request {
    /// Takes the first request out of what has been read; none if it is not complete.
    ///
    /// # Errors
    ///
    /// It is no request.
    pub(crate) fn take(input: &mut Vec<u8>) -> Result<Option<Self>, ()> {
        let Some(n_head) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = std::str::from_utf8(&input[..n_head]).map_err(|_| ())?;
        let mut lines = head.lines();
        let mut words = lines.next().ok_or(())?.split(' ');
        let is_get = words.next().ok_or(())? == "GET";
        let target = words.next().ok_or(())?.to_owned();
        let (mut n_body, mut is_many) = (0, false);
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(())?;
            if name.eq_ignore_ascii_case("content-length") {
                n_body = value.trim().parse().map_err(|_| ())?;
            } else if name.eq_ignore_ascii_case("content-type") {
                is_many = value.trim().starts_with("application/x-ndjson");
            }
        }
        let begin = n_head + 4;
        if input.len() - begin < n_body {
            return Ok(None);
        }
        let body = input[begin..begin + n_body].to_vec();
        input.drain(..begin + n_body);
        Ok(Some(Self {
            target,
            is_get,
            is_many,
            body,
        }))
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// Names the user whose stream is asked for.
    pub(crate) fn stream_user(&self) -> Option<&str> {
        if !self.is_get {
            return None;
        }
        if let Some(user) = self.path().strip_prefix("/sse/") {
            return Some(user);
        }
        let named = |field: &'_ str| field.starts_with("user=");
        let field = self.query().split('&').find(|field| named(field))?;
        (self.path() == "/agui").then(|| &field["user=".len()..])
    }

    /// Tells whether the body has one event in each line.
    pub(crate) const fn is_many(&self) -> bool {
        self.is_many
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }
}
