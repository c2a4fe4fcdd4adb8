-- The registry's tables and functions. Services reach them only through the functions, which take the service from
-- session_user; times are the engine's.

-- Which service may serve a protobuf package. Filled by provisioning.
create table registry.package_owner (
  package text collate "C" primary key,
  service text collate "C" not null
);

-- Logged, although leases are short: a crash of the engine must not make everybody vanish.
create table registry.instance (
  service text collate "C" not null,
  instance_id text collate "C" not null,
  address text not null,
  version text not null,
  contract_hash text not null,
  rpc_services text[] not null,
  metadata jsonb not null,
  register_time timestamptz not null,
  renew_time timestamptz not null,
  lease interval not null,
  primary key (service, instance_id),
  check (octet_length(instance_id) between 1 and 128),
  check (octet_length(address) between 3 and 512),
  check (octet_length(version) <= 128),
  check (octet_length(contract_hash) <= 128),
  check (cardinality(rpc_services) <= 1000),
  check (octet_length(rpc_services::text) <= 65536),
  check (octet_length(metadata::text) <= 8192),
  check (lease between '100 milliseconds' and '5 minutes')
) with (fillfactor = 50);

-- The last sign of life of anybody, and since when the engine can be reached again: while it could not (stopped, paused,
-- asleep, cut off) nobody could renew, so nobody's lease counts from before its return.
create table registry.pulse (
  only_row boolean primary key default true check (only_row),
  beat_time timestamptz not null,
  return_time timestamptz not null
);
insert into registry.pulse (beat_time, return_time) values (clock_timestamp(), clock_timestamp());

-- Every function begins with it. Renewals come every 3 s and reads every 2 s: 5 s without any is an outage.
create function registry.beat() returns void
language plpgsql security definer set search_path = registry, pg_temp as $$
declare
  present timestamptz := clock_timestamp();
begin
  -- Skipping instead of waiting: a caller's open transaction holds nobody up.
  perform 1 from pulse where beat_time < present - interval '1 second' for update skip locked;
  if found then
    update pulse set
      return_time = case when beat_time < present - interval '5 seconds' then present else return_time end,
      beat_time = present;
  end if;
end $$;

-- The time before which no lease began.
create function registry.return_time() returns timestamptz
language sql stable security definer set search_path = registry, pg_temp as $$
  select greatest(pg_postmaster_start_time(), (select pulse.return_time from pulse))
$$;

-- Makes an instance of the caller known, or gives it a new lease; the answer is when it registered first, in Unix
-- milliseconds. SQLSTATE SB030: p_service is somebody else, or a package of p_rpc_services belongs to somebody else.
create function registry.register(
  p_service text, p_instance_id text, p_address text, p_version text, p_contract_hash text,
  p_rpc_services text[], p_metadata jsonb, p_lease_ms integer
) returns double precision
language plpgsql security definer set search_path = registry, pg_temp as $$
declare
  foreign_packages text;
  present timestamptz;
  since timestamptz;
begin
  perform beat();
  if p_service <> session_user then
    raise exception using errcode = 'SB030', message = format('%s is not %s', session_user, p_service);
  end if;
  select string_agg(distinct wanted.package, ', ') into foreign_packages
  from (select regexp_replace(name, '\.?[^.]*$', '') as package from unnest(p_rpc_services) as name) as wanted
  where not exists (
    select from package_owner where package_owner.package = wanted.package and package_owner.service = session_user
  );
  if foreign_packages is not null then
    raise exception using errcode = 'SB030',
      message = format('%s does not own %s', session_user, foreign_packages);
  end if;
  present := clock_timestamp();
  -- Nobody else can be at this address: an earlier process of this service was there and died.
  delete from instance
  where service = session_user
    and (address = p_address and instance_id <> p_instance_id or renew_time < present - interval '1 hour');
  insert into instance
  values (
    session_user, p_instance_id, p_address, p_version, p_contract_hash, p_rpc_services, p_metadata,
    present, present, make_interval(secs => p_lease_ms / 1000.0)
  )
  on conflict (service, instance_id) do update set
    address = excluded.address, version = excluded.version, contract_hash = excluded.contract_hash,
    rpc_services = excluded.rpc_services, metadata = excluded.metadata,
    renew_time = excluded.renew_time, lease = excluded.lease
  returning register_time into since;
  -- A hint to read again, never data: everybody in the database hears it.
  perform pg_notify('switchboard_registry', '');
  return extract(epoch from since) * 1000;
end $$;

-- Prolongs the lease of an instance of the caller. False: it lapsed or was never there; register again.
create function registry.renew(p_instance_id text) returns boolean
language plpgsql security definer set search_path = registry, pg_temp as $$
begin
  perform beat();
  -- What a crash would take of the last renewals, the grace after a return gives back.
  perform set_config('synchronous_commit', 'off', true);
  update instance set renew_time = clock_timestamp()
  where service = session_user and instance_id = p_instance_id
    and greatest(renew_time, return_time()) + lease > clock_timestamp();
  return found;
end $$;

create function registry.deregister(p_instance_id text) returns void
language plpgsql security definer set search_path = registry, pg_temp as $$
begin
  perform beat();
  delete from instance where service = session_user and instance_id = p_instance_id;
  perform pg_notify('switchboard_registry', '');
end $$;

-- All healthy instances, by service, then id, in byte order. lapse_ms: how long until each is gone unless it is renewed.
create function registry.list() returns table (
  service text, instance_id text, address text, version text, contract_hash text,
  rpc_services text[], metadata jsonb, register_ms double precision, lapse_ms double precision
)
language plpgsql security definer set search_path = registry, pg_temp as $$
#variable_conflict use_column
declare
  present timestamptz := clock_timestamp();
  returned timestamptz;
begin
  perform set_config('synchronous_commit', 'off', true);
  perform beat();
  returned := return_time();
  return query
    select service, instance_id, address, version, contract_hash, rpc_services, metadata,
      extract(epoch from register_time)::double precision * 1000,
      extract(epoch from greatest(renew_time, returned) + lease - present)::double precision * 1000
    from instance
    where greatest(renew_time, returned) + lease > present
    order by service, instance_id;
end $$;

revoke execute on function
  registry.beat(), registry.return_time(), registry.register(text, text, text, text, text, text[], jsonb, integer),
  registry.renew(text), registry.deregister(text), registry.list()
from public;
grant execute on function
  registry.register(text, text, text, text, text, text[], jsonb, integer),
  registry.renew(text), registry.deregister(text), registry.list()
to switchboard_service;
