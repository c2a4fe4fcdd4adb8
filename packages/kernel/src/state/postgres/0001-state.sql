-- What instances share and may lose. Services reach it only through the functions, which keep the keys of each role apart
-- by session_user; times are the engine's. Keys are bytes: no collation, no letter case, any character.

create unlogged table state.cache (
  role text collate "C" not null,
  key bytea not null,
  value bytea not null,
  expire_time timestamptz not null,
  primary key (role, key),
  check (octet_length(key) between 1 and 512),
  check (octet_length(value) <= 1048576)
);
create index cache_expire on state.cache (expire_time);

-- GCRA: `full_time` is when the whole burst is there again; a row of the past is as good as none.
create unlogged table state.rate_limit (
  role text collate "C" not null,
  key bytea not null,
  full_time timestamptz not null,
  primary key (role, key),
  check (octet_length(key) between 1 and 512)
) with (fillfactor = 50);

create unlogged table state.held_lock (
  role text collate "C" not null,
  key bytea not null,
  fence bigint not null,
  expire_time timestamptz not null,
  primary key (role, key),
  check (octet_length(key) between 1 and 512)
);

-- Logged, unlike the locks: a crash forgets who held a lock, never which numbers were given. One counter a role, so that
-- it needs no row for every key that ever was.
create table state.fence (
  role text collate "C" primary key,
  last_fence bigint not null
) with (fillfactor = 50);

create function state.cache_get(p_key bytea) returns bytea
language sql volatile security definer set search_path = state, pg_temp as $$
  select value from cache where role = session_user and key = p_key and expire_time > clock_timestamp()
$$;

create function state.cache_set(p_key bytea, p_value bytea, p_ttl_ms double precision) returns void
language sql volatile security definer set search_path = state, pg_temp as $$
  insert into cache values (session_user, p_key, p_value, clock_timestamp() + make_interval(secs => p_ttl_ms / 1000))
  on conflict (role, key) do update set value = excluded.value, expire_time = excluded.expire_time
$$;

create function state.cache_delete(p_key bytea) returns void
language sql volatile security definer set search_path = state, pg_temp as $$
  delete from cache where role = session_user and key = p_key
$$;

-- Takes each of p_costs that fits, in their order, and up to p_spare tokens more where plenty are left. p_token_ms is the
-- time in which one token comes back. debt_ms: how long until the whole burst is there again.
create function state.take(
  p_key bytea, p_token_ms double precision, p_burst integer, p_costs integer[], p_spare integer,
  out granted boolean[], out spare integer, out debt_ms double precision
)
language plpgsql volatile security definer set search_path = state, pg_temp as $$
declare
  full_at timestamptz;
  present timestamptz;
  remaining integer;
  taken integer := 0;
  cost integer;
begin
  loop
    select full_time into full_at from rate_limit where role = session_user and key = p_key for update;
    exit when found;
    insert into rate_limit values (session_user, p_key, 'epoch') on conflict do nothing;
  end loop;
  -- After the wait for the row, so that the time never runs backwards along a key.
  present := clock_timestamp();
  debt_ms := greatest(extract(epoch from full_at - present) * 1000, 0);
  -- A hair more than the debt allows, against the rounding of whole tokens.
  remaining := floor(p_burst - debt_ms / p_token_ms + 1e-3);
  foreach cost in array p_costs loop
    granted := granted || (cost <= remaining - taken);
    if cost <= remaining - taken then taken := taken + cost; end if;
  end loop;
  spare := case when remaining - taken >= 4 * p_spare then p_spare else 0 end;
  taken := taken + spare;
  debt_ms := debt_ms + taken * p_token_ms;
  if taken > 0 then
    -- Of very slow limits a debt would end after the last day that a timestamp has.
    update rate_limit set full_time = present + make_interval(secs => least(debt_ms, 1e14) / 1000)
    where role = session_user and key = p_key;
  end if;
end $$;

-- Gives spare tokens back that were not used.
create function state.give_back(p_key bytea, p_token_ms double precision, p_tokens integer) returns void
language sql volatile security definer set search_path = state, pg_temp as $$
  update rate_limit set full_time = full_time - make_interval(secs => p_token_ms * greatest(p_tokens, 0) / 1000)
  where role = session_user and key = p_key
$$;

-- The new holder's fencing number; null: somebody holds it.
create function state.lock_acquire(p_key bytea, p_ttl_ms double precision) returns bigint
language plpgsql volatile security definer set search_path = state, pg_temp as $$
declare
  held_until timestamptz;
  number bigint;
begin
  insert into held_lock values (session_user, p_key, 0, 'epoch') on conflict do nothing;
  -- A row that somebody else has at this moment is a lock that somebody else gets.
  select expire_time into held_until from held_lock where role = session_user and key = p_key for update skip locked;
  if not found or held_until > clock_timestamp() then return null; end if;
  insert into fence values (session_user, 1)
  on conflict (role) do update set last_fence = fence.last_fence + 1
  returning last_fence into number;
  update held_lock set fence = number, expire_time = clock_timestamp() + make_interval(secs => p_ttl_ms / 1000)
  where role = session_user and key = p_key;
  return number;
end $$;

-- False: the lock expired, or a crash forgot it. It is not held any more.
create function state.lock_renew(p_key bytea, p_fence bigint, p_ttl_ms double precision) returns boolean
language plpgsql volatile security definer set search_path = state, pg_temp as $$
begin
  update held_lock set expire_time = clock_timestamp() + make_interval(secs => p_ttl_ms / 1000)
  where role = session_user and key = p_key and fence = p_fence and expire_time > clock_timestamp();
  return found;
end $$;

create function state.lock_release(p_key bytea, p_fence bigint) returns void
language sql volatile security definer set search_path = state, pg_temp as $$
  delete from held_lock where role = session_user and key = p_key and fence = p_fence
$$;

-- Removes some of what expired, of all roles; the answer is how much. Whoever calls it takes nothing from anybody.
create function state.purge() returns bigint
language plpgsql volatile security definer set search_path = state, pg_temp as $$
declare
  removed bigint := 0;
  further bigint;
begin
  delete from cache where ctid = any (array(
    select ctid from cache where expire_time < clock_timestamp() limit 1000 for update skip locked));
  get diagnostics removed = row_count;
  delete from rate_limit where ctid = any (array(
    select ctid from rate_limit where full_time < clock_timestamp() limit 10000 for update skip locked));
  get diagnostics further = row_count;
  removed := removed + further;
  delete from held_lock where ctid = any (array(
    select ctid from held_lock where expire_time < clock_timestamp() limit 1000 for update skip locked));
  get diagnostics further = row_count;
  return removed + further;
end $$;

revoke execute on all functions in schema state from public;
grant execute on all functions in schema state to switchboard_service;
