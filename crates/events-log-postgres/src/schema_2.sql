-- Version 2: appends of several users in one transaction, and a look at last places that sees a log that went back.

-- Appends for several users, at most one append each; the records say by its number, from 1, whose they are. Returns
-- the place of the first record of each append that was made. Those that are not plain are left out and have changed
-- nothing: of a new user, of one whose row somebody has locked, with another last place than expected, or when it is
-- time to trim. They go by events_append, so that nobody here waits for another user.
--   p_bytes   the bytes of each append's records
--   p_ats     the number of each record in its append, from 1
--   p_sums    the bytes of the append's records up to this one
create function {schema}.events_append_many(
    p_users text[], p_expected bigint[], p_at_ms bigint[], p_ns bigint[], p_bytes bigint[],
    p_owners bigint[], p_ats bigint[], p_sums bigint[],
    p_channels smallint[], p_tags integer[], p_keys uuid[], p_scopes text[], p_notes bytea[], p_bodies bytea[]
) returns table (nr bigint, first bigint) language plpgsql
-- The plan is kept for the life of a session, and may be made while the tables are empty.
set enable_seqscan = off as $$
declare
    step bigint;
    chunk bigint;
    now_bucket bigint;
begin
    select greatest(1, least(256, s.max_events / 8)), greatest(1, s.max_bytes / 8),
            floor(extract(epoch from clock_timestamp()) * 1000)::bigint / s.span_ms % 8
        into strict step, chunk, now_bucket from {schema}.settings s;
    return query
    with want as (
        select w.* from unnest(p_users, p_expected, p_at_ms, p_ns, p_bytes)
            with ordinality w (user_id, expected, at_ms, n, bytes, nr)
    ), free as (
        -- An application that publishes in a long transaction holds up its own user only.
        select h.user_id from {schema}.head h where h.user_id = any (p_users) for no key update skip locked
    ), moved as (
        update {schema}.head h set seq = h.seq + w.n, total = h.total + w.bytes
            from want w join free f on f.user_id = w.user_id
            where h.user_id = w.user_id and (w.expected is null or h.seq = w.expected)
                and h.seq / step = (h.seq + w.n) / step
                and h.total / chunk = (h.total + w.bytes) / chunk
            returning w.nr, h.user_id, w.at_ms, w.n, h.seq - w.n as prev, h.total - w.bytes as before
    ), written as (
        insert into {schema}.log
                (seq, total, at_ms, tag, bucket, channel, is_last, user_id, msg_id, scope, note, body)
            select m.prev + r.at, m.before + r.sum, m.at_ms, r.tag, now_bucket, r.channel, r.at = m.n, m.user_id,
                r.msg_id, r.scope, r.note, r.body
            from unnest(p_owners, p_ats, p_sums, p_channels, p_tags, p_keys, p_scopes, p_notes, p_bodies)
                r (owner, at, sum, channel, tag, msg_id, scope, note, body)
            join moved m on m.nr = r.owner
    )
    select m.nr, m.prev + 1 from moved m;
end
$$;

-- Returns the last places of those users whose last place is not the known one. One that is below it is of a log that
-- went back.
create or replace function {schema}.events_heads(p_users text[], p_known bigint[])
returns table (user_id text, seq bigint) language sql stable as $$
    select h.user_id, h.seq from unnest(p_users, p_known) r (user_id, seq)
        join {schema}.head h on h.user_id = r.user_id where h.seq <> r.seq
$$;
