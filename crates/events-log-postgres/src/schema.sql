-- The tables and functions of version 1. {schema} is the quoted name of the schema.
-- Records and states are bytes that nothing here reads.

create table {schema}.settings (
    only_one boolean primary key default true check (only_one),
    version integer not null,
    log_id uuid not null default gen_random_uuid(),
    -- The system identifier and so on are not here: they must change with the cluster.
    max_events bigint not null,
    max_bytes bigint not null,
    max_record_bytes bigint not null,
    -- A record's bucket is the number of the span in which it was written, modulo 8.
    span_ms bigint not null check (span_ms > 0),
    -- Since when that holds. Buckets that were filled by another span are let grow old first.
    span_since timestamptz not null default '-infinity',
    span_wait_ms bigint not null default 0
);

-- One row for each user who ever had a record. Its lock is held from the number to the commit, so that numbers are in
-- the order of commits, and a roll-back leaves no hole.
create table {schema}.head (
    user_id text collate "C" primary key,
    seq bigint not null,
    -- Bytes of all records that there ever were.
    total bigint not null,
    -- The place of the marker of the last erasure; states from before it are refused.
    erased bigint not null default 0
) with (fillfactor = 50);

create table {schema}.log (
    seq bigint not null,
    total bigint not null,
    at_ms bigint not null,
    tag integer not null,
    bucket smallint not null,
    channel smallint not null,
    is_last boolean not null,
    user_id text collate "C" not null,
    msg_id uuid,
    scope text,
    note bytea,
    body bytea not null,
    primary key (user_id, seq, bucket)
) partition by list (bucket);
create index log_msg_id on {schema}.log (user_id, msg_id) where msg_id is not null;

do $do$
begin
    for bucket in 0..7 loop
        execute format('create table {schema}.log_%s partition of {schema}.log for values in (%s)', bucket, bucket);
        execute format('alter table {schema}.log_%s alter column body set storage external', bucket);
    end loop;
end
$do$;

create table {schema}.part (
    user_id text collate "C" not null,
    part text collate "C" not null,
    seq bigint not null,
    saved_at timestamptz not null default now(),
    state bytea not null,
    primary key (user_id, part)
);
alter table {schema}.part alter column state set storage external;
create index part_gone on {schema}.part (saved_at) where octet_length(state) = 0;

create table {schema}.kind (
    name text primary key,
    channel smallint not null
);

-- Appends all records at once. Returns the place of the first; or, when p_expected is given and is not the last place,
-- -1 - the last place, and appends nothing.
create function {schema}.events_append(
    p_user text, p_expected bigint, p_at_ms bigint,
    p_channels smallint[], p_tags integer[], p_keys uuid[], p_scopes text[], p_notes bytea[], p_bodies bytea[]
) returns bigint language plpgsql as $$
declare
    n constant bigint := cardinality(p_bodies);
    bytes bigint;
    now_ms constant bigint := floor(extract(epoch from clock_timestamp()) * 1000)::bigint;
    settings {schema}.settings%rowtype;
    prev bigint;
    before bigint;
    step bigint;
    cut bigint;
    cut_bytes bigint;
    first bigint;
begin
    select s.* into strict settings from {schema}.settings s;
    select coalesce(sum(octet_length(body)), 0) into bytes from unnest(p_bodies) body;
    loop
        update {schema}.head h set seq = h.seq + n, total = h.total + bytes
            where h.user_id = p_user and (p_expected is null or h.seq = p_expected)
            returning h.seq - n, h.total - bytes into prev, before;
        exit when found;
        select h.seq into prev from {schema}.head h where h.user_id = p_user;
        if found then
            -- It was made, or moved to what is expected, between the two statements.
            continue when p_expected is null or p_expected = prev;
            return -1 - prev;
        end if;
        if p_expected <> 0 then
            return -1;
        end if;
        insert into {schema}.head (user_id, seq, total) values (p_user, n, bytes) on conflict do nothing;
        if found then
            prev := 0;
            before := 0;
            exit;
        end if;
    end loop;
    insert into {schema}.log
            (seq, total, at_ms, tag, bucket, channel, is_last, user_id, msg_id, scope, note, body)
        select prev + r.nr, before + sum(octet_length(r.body)) over (order by r.nr), p_at_ms, r.tag,
            (now_ms / settings.span_ms) % 8, r.channel, r.nr = n, p_user, r.msg_id, r.scope, r.note, r.body
        from unnest(p_channels, p_tags, p_keys, p_scopes, p_notes, p_bodies)
            with ordinality r (channel, tag, msg_id, scope, note, body, nr);
    -- Trimming: now and then, a bounded number of rows, under the lock that is held anyway.
    step := greatest(1, least(256, settings.max_events / 8));
    if prev / step <> (prev + n) / step
        or before / greatest(1, settings.max_bytes / 8) <> (before + bytes) / greatest(1, settings.max_bytes / 8)
    then
        select l.seq into first from {schema}.log l where l.user_id = p_user order by l.seq limit 1;
        cut := prev + n - settings.max_events;
        -- What stays has at least the bytes that are to be kept.
        select l.seq - 1 into cut_bytes from {schema}.log l
            where l.user_id = p_user and l.total > before + bytes - settings.max_bytes order by l.seq limit 1;
        cut := least(greatest(cut, cut_bytes), first + 2000 + n);
        if cut >= first then
            delete from {schema}.log l where l.user_id = p_user and l.seq <= cut;
        end if;
    end if;
    return prev + 1;
end
$$;

-- Reads what is kept after a place, until p_max_bytes are reached and an append ends. The first row has the user's last
-- place and nothing else. Rows after that place, of appends that are just being made, are left out.
create function {schema}.events_read(p_user text, p_after bigint, p_max_bytes bigint)
returns table (
    seq bigint, at_ms bigint, channel smallint, tag integer, msg_id uuid, scope text, note bytea, body bytea
) language plpgsql as $$
declare
    last bigint;
    bytes bigint := 0;
    r record;
begin
    select h.seq into last from {schema}.head h where h.user_id = p_user;
    seq := coalesce(last, 0);
    return next;
    for r in
        select l.* from {schema}.log l where l.user_id = p_user and l.seq > p_after and l.seq <= last order by l.seq
    loop
        seq := r.seq;
        at_ms := r.at_ms;
        channel := r.channel;
        tag := r.tag;
        msg_id := r.msg_id;
        scope := r.scope;
        note := r.note;
        body := r.body;
        return next;
        bytes := bytes + octet_length(r.body);
        exit when bytes >= p_max_bytes and r.is_last;
    end loop;
end
$$;

-- Keeps states that are not older than what is kept, and not from before an erasure.
create function {schema}.events_save(p_user text, p_parts text[], p_seqs bigint[], p_states bytea[])
returns void language plpgsql as $$
declare
    floor bigint;
begin
    -- An erasure excludes this lock, an append does not.
    select h.erased into floor from {schema}.head h where h.user_id = p_user for key share;
    insert into {schema}.part as known (user_id, part, seq, state)
        select distinct on (r.part) p_user, r.part, r.seq, r.state
        from unnest(p_parts, p_seqs, p_states) with ordinality r (part, seq, state, nr)
        where r.seq >= coalesce(floor, 0)
        order by r.part, r.seq desc, r.nr desc
    on conflict (user_id, part) do update
        set seq = excluded.seq, state = excluded.state, saved_at = excluded.saved_at
        where known.seq <= excluded.seq;
end
$$;

-- Erases a bounded number of records, oldest first, and returns how many there were: a large history goes in steps, so
-- that no step takes longer than a call may.
create function {schema}.events_erase_some(p_user text, p_limit bigint)
returns bigint language plpgsql as $$
declare
    cut bigint;
    n bigint;
begin
    perform 1 from {schema}.head h where h.user_id = p_user for update;
    select max(f.seq) into cut from
        (select l.seq from {schema}.log l where l.user_id = p_user order by l.seq limit p_limit) f;
    delete from {schema}.log l where l.user_id = p_user and l.seq <= cut;
    get diagnostics n = row_count;
    return n;
end
$$;

-- Erases what there is of a user and appends the marker. Returns its place.
create function {schema}.events_erase(
    p_user text, p_at_ms bigint, p_channel smallint, p_tag integer, p_key uuid, p_scope text, p_note bytea, p_body bytea
) returns bigint language plpgsql as $$
declare
    place bigint;
begin
    perform 1 from {schema}.head h where h.user_id = p_user for update;
    delete from {schema}.log l where l.user_id = p_user;
    delete from {schema}.part p where p.user_id = p_user;
    place := {schema}.events_append(
        p_user, null, p_at_ms, array[p_channel], array[p_tag], array[p_key], array[p_scope], array[p_note],
        array[p_body]);
    update {schema}.head h set erased = place where h.user_id = p_user;
    -- Whoever saved before there was a row to lock.
    delete from {schema}.part p where p.user_id = p_user and p.seq < place;
    return place;
end
$$;

-- Returns the last places of those users whose last place is above the known one.
create function {schema}.events_heads(p_users text[], p_known bigint[])
returns table (user_id text, seq bigint) language sql stable as $$
    select h.user_id, h.seq from unnest(p_users, p_known) r (user_id, seq)
        join {schema}.head h on h.user_id = r.user_id where h.seq > r.seq
$$;

-- Returns what tells this log from every other: its own id, the timeline of the cluster, which a promotion changes, and
-- the identifier of the cluster. What the role may not see is empty.
create function {schema}.events_identity(out log_id uuid, out timeline text, out cluster text)
language plpgsql as $$
begin
    select s.log_id into strict log_id from {schema}.settings s;
    begin
        -- Unlike the control file's, it is right at once after a promotion.
        timeline := substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8);
    exception when others then
        timeline := '';
    end;
    begin
        cluster := (select c.system_identifier::text from pg_control_system() c);
    exception when others then
        cluster := '';
    end;
end
$$;

-- Empties the buckets that are next to be written to: all that they have is older than the configured age. Returns how
-- many it emptied.
create function {schema}.events_sweep()
returns integer language plpgsql as $$
declare
    settings {schema}.settings%rowtype;
    now_ms constant bigint := floor(extract(epoch from clock_timestamp()) * 1000)::bigint;
    bucket bigint;
    is_full boolean;
    n integer := 0;
begin
    -- One replica at a time is enough.
    if not pg_try_advisory_xact_lock(hashtextextended('events sweep {schema}', 0)) then
        return 0;
    end if;
    delete from {schema}.part p where (p.user_id, p.part) in (
        select g.user_id, g.part from {schema}.part g
        where octet_length(g.state) = 0 and g.saved_at < now() - interval '1 hour' limit 1000);
    select s.* into strict settings from {schema}.settings s;
    if clock_timestamp() < settings.span_since + settings.span_wait_ms * interval '1 millisecond' then
        return 0;
    end if;
    -- Written to in the present span and in the five before it; so the two others hold what is older than five spans.
    for ahead in 1..2 loop
        bucket := (now_ms / settings.span_ms + ahead) % 8;
        execute format('select exists (select from {schema}.log_%s)', bucket) into is_full;
        if is_full then
            -- Appends and reads wait as long as this waits for a long transaction.
            set local lock_timeout = '100ms';
            execute format('truncate {schema}.log_%s', bucket);
            n := n + 1;
        end if;
    end loop;
    return n;
end
$$;

-- For applications: publishes events for one user within the caller's own transaction.
--   p_scope    the AG-UI thread or A2A task, or null
--   p_kinds    one word each: see the table kind
--   p_bodies   one JSON text each
--   p_msg_ids  one id each or null; an event whose id is known already is not published again
-- Returns the place of each event, in order. Nobody sees the events before the commit; until then other publishers of
-- the same user wait, so the call is best made late in the transaction. Whether the order of events is one that the
-- protocol allows is not checked here: each replica leaves out what it would refuse.
create function {schema}.events_publish(
    p_user text, p_scope text, p_kinds text[], p_bodies text[], p_msg_ids text[] default null
) returns bigint[] language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    n constant integer := coalesce(cardinality(p_bodies), 0);
    max_bytes bigint;
    places bigint[] := array[]::bigint[];
    channels smallint[] := array[]::smallint[];
    tags integer[] := array[]::integer[];
    keys uuid[] := array[]::uuid[];
    scopes text[] := array[]::text[];
    bodies bytea[] := array[]::bytea[];
    channel smallint;
    hash bytea;
    key uuid;
    place bigint;
    body bytea;
    earlier integer;
begin
    if n = 0 or cardinality(p_kinds) is distinct from n
        or (p_msg_ids is not null and cardinality(p_msg_ids) <> n)
    then
        raise exception 'events_publish needs as many kinds, and as many message ids if any, as bodies'
            using errcode = '22023';
    end if;
    if octet_length(p_user) > 1024 or octet_length(p_scope) > 512 then
        raise exception 'events_publish: a user has at most 1024 bytes, a scope 512' using errcode = '22023';
    end if;
    select s.max_record_bytes into strict max_bytes from {schema}.settings s;
    -- The lock comes first: what is known is looked for behind it.
    insert into {schema}.head (user_id, seq, total) values (p_user, 0, 0) on conflict do nothing;
    perform 1 from {schema}.head h where h.user_id = p_user for update;
    for i in 1..n loop
        select k.channel into channel from {schema}.kind k where k.name = p_kinds[i];
        if not found then
            raise exception 'events_publish: event % is of the unknown kind %', i, quote_nullable(p_kinds[i])
                using errcode = '22023', hint = 'kinds are the names in the table {schema}.kind';
        end if;
        -- Fails on what is no JSON. A line break in JSON is white space.
        perform p_bodies[i]::json;
        body := convert_to(translate(p_bodies[i], E'\r\n', '  '), 'UTF8');
        if body is null or octet_length(body) > max_bytes then
            raise exception 'events_publish: event % has % bytes, the limit is %', i, octet_length(body), max_bytes
                using errcode = '22023';
        end if;
        key := null;
        place := null;
        if p_msg_ids[i] is not null then
            hash := sha256(convert_to(p_msg_ids[i], 'UTF8'));
            key := encode(substr(hash, 1, 16), 'hex')::uuid;
            select l.seq into place from {schema}.log l
                where l.user_id = p_user and l.msg_id = key order by l.seq limit 1;
            if place is null then
                earlier := array_position(keys, key);
                if earlier is not null then
                    -- Twice in one call: negative until its number is known.
                    place := -earlier;
                end if;
            end if;
        end if;
        if place is null then
            channels := channels || channel;
            tags := tags || (1 + floor(random() * 33554430))::integer;
            keys := keys || key;
            scopes := scopes || p_scope;
            bodies := bodies || body;
            place := -cardinality(bodies);
        end if;
        places := places || place;
    end loop;
    if cardinality(bodies) > 0 then
        place := {schema}.events_append(
            p_user, null, floor(extract(epoch from clock_timestamp()) * 1000)::bigint, channels, tags, keys, scopes,
            array_fill(null::bytea, array[cardinality(bodies)]), bodies);
    end if;
    return (select array_agg(case when p < 0 then place - 1 - p else p end order by nr)
        from unnest(places) with ordinality as r (p, nr));
end
$$;
revoke execute on function {schema}.events_publish(text, text, text[], text[], text[]) from public;

-- For applications: tells the replicas at once that a user has news, which they else find within the time of a poll.
-- In a transaction it rings at the commit. Every commit that rings waits for every other one in the whole cluster, so
-- it is for rare events; and it is best called after the commit.
create function {schema}.events_ring(p_user text)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_notify('{channel}', 'b' || h.seq || ':' || octet_length(h.user_id) || ':' || h.user_id)
        from {schema}.head h where h.user_id = p_user;
end
$$;
revoke execute on function {schema}.events_ring(text) from public;
