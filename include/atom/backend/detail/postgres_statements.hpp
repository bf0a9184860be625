// All that an atom::Postgres ever says to a server. Whatever comes from outside is a parameter of a statement, and
// never part of one: a statement is a literal.
#pragma once

#include <atom/config.hpp>

#include <string>

namespace atom::inline v0_1::detail {

/// A statement, and the name that it is prepared under.
struct PostgresStatement {
  consteval PostgresStatement(const char* its_name, const char* its_text) : name(its_name), text(its_text) {}
  const char* name;
  const char* text;
};

// ---- The tables

/// What the comments of the tables say, which tell ours from others' and one version from the next.
inline constexpr const char* postgres_mark = "atom::Postgres, version 1";

/// Each may be run where it has been run before. Texts are compared byte by byte, as scopes and keys are in C++.
inline constexpr PostgresStatement postgres_schema[] = {
    {"", R"(create table if not exists atom_state(
  scope text collate "C" not null,
  key text collate "C" not null,
  version bigint not null,
  expires_at timestamptz, -- null: never
  format integer not null,
  value text not null,
  labels text[],
  primary key(scope, key)) with (fillfactor = 80))"},
    {"", R"(create index if not exists atom_state_expires_at on atom_state(expires_at) where expires_at is not null)"},
    {"", R"(create index if not exists atom_state_labels on atom_state using gin(labels) where labels is not null)"},
    {"", R"(-- The last batch of each lane, with what came of it.
create table if not exists atom_lane(
  session uuid not null,
  number bigint not null,
  sequence bigint not null,
  touched timestamptz not null,
  errors bigint[],
  versions bigint[],
  formats bigint[],
  texts text[],
  primary key(session, number)) with (fillfactor = 50))"},
    {"", "comment on table atom_state is 'atom::Postgres, version 1'"},
    {"", "comment on table atom_lane is 'atom::Postgres, version 1'"},
};
inline std::string postgres_schema_text() {
  std::string text;
  for (const PostgresStatement& statement : postgres_schema) text += std::string(statement.text) + ";\n";
  return text;
}

namespace postgres {

/// So that two processes do not make the tables at once.
inline constexpr PostgresStatement lock_schema{"", "select pg_advisory_xact_lock(1635020653)"};

/// What `prepare` asks: the encoding, whether nothing can be written, the comments of the two tables (null: there is no
/// such table), and whether everything that is needed may be done with them.
inline constexpr PostgresStatement inspect{"", R"(
  select current_setting('server_encoding'),
    case when pg_is_in_recovery() or current_setting('transaction_read_only')::boolean then 1 else 0 end::bigint,
    (select coalesce(obj_description(to_regclass('atom_state'), 'pg_class'), '') where to_regclass('atom_state') is not null),
    (select coalesce(obj_description(to_regclass('atom_lane'), 'pg_class'), '') where to_regclass('atom_lane') is not null),
    (select min(case when has_table_privilege(oid, may) then 1 else 0 end)::bigint
     from unnest(array[to_regclass('atom_state'), to_regclass('atom_lane')]::oid[]) oid,
          unnest('{select,insert,update,delete}'::text[]) may
     where oid is not null))"};

// ---- How a session is set up

/// Planning a batch takes longer than carrying it out, so it is planned once, whatever the parameters; and, as the plan
/// is kept, for tables that grow.
inline constexpr PostgresStatement set_up{"", R"(
  select set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false),
         set_config('jit', 'off', false))"};
/// Whoever waits for a lock while nobody waits for it any more, ends. Servers since version 14 can do it, on most
/// systems.
inline constexpr PostgresStatement end_when_left{"",
                                                 "select set_config('client_connection_check_interval', '1s', false)"};

// ---- A batch

inline constexpr PostgresStatement add_lane{"atom_add_lane", R"(
  insert into atom_lane(session, number, sequence, touched) values($1::uuid, $2::bigint, 0, now())
  on conflict do nothing)"};

/// One batch, and all that becomes of it: $1 to $4 are the lane, $5 is whether it is all or nothing, the commands come
/// in the order of their names, and $18 and $19 are their labels, each with the number of its command.
///
/// Rows are locked before they are judged, in that order, and are judged as they are then. (A subquery that locks is
/// not made a join of, so each is found by the primary key.) One that nobody could see when the statement began cannot
/// be locked: if it is there when this one is to be inserted, the statement fails, and is tried again. A state that
/// has ended keeps its row for a while, so that one that comes back has a greater version even if the clock was set
/// back.
inline constexpr PostgresStatement batch{"atom_batch", R"(
  with lane as materialized (
    select sequence, errors, versions, formats, texts from atom_lane
    where session = $1::uuid and number = $2::bigint for update),
  looked as materialized (
    select c.*, s.version as old_version, s.format as old_format, s.value as old_value,
      s.version is not null and coalesce(s.expires_at > clock_timestamp(), true) as is_there
    from unnest($6::bigint[], $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::text[], $12::bigint[],
                $13::text[], $14::text[], $15::text[], $16::text[], $17::text[])
      with ordinality as c(kind, scope, key, expected, format, value, ttl, lowest, highest, summand, least, most, i)
    left join lateral (
      select version, expires_at, format, value from atom_state
      where scope = c.scope and key = c.key for no key update) s on true
    where exists (select from lane where sequence = $3::bigint - 1 or $4::boolean and sequence < $3::bigint)),
  calculated as (
    select *, expected <> case when is_there then old_version else 0 end as conflicts,
      least(most::numeric, greatest(least::numeric, x + summand::numeric)) as result,
      x between lowest::numeric and highest::numeric as is_number
    from (
      select *, case
        when kind <> 1 then null
        when not is_there then value::numeric
        when old_format = format and old_value ~ '^[ \t\n\r]*-?(0|[1-9][0-9]{0,19})[ \t\n\r]*$' then old_value::numeric
        end as x
      from looked) looked),
  judged as materialized (
    select *, error is null and not ($5::boolean and bool_or(error is not null) over ()) as takes_effect
    from (
      select *,
        case when conflicts then 1
             when kind = 1 and is_number is not true then 3
             when kind = 1 and $5::boolean and not fits then 2 end as error,
        case when kind = 0 then value when kind = 1 and is_number and fits then result::text end as next
      from (select *, result between lowest::numeric and highest::numeric as fits from calculated) calculated) judged),
  decided as materialized (
    select *,
      case when not is_there and (not takes_effect or next is null) then 0
           when not takes_effect or next is null then old_version
           when is_there then old_version + 1
           else greatest((extract(epoch from clock_timestamp()) * 1000000)::bigint, old_version + 1)
           end as version,
      case when is_there and (conflicts or kind = 1) then old_value end as was,
      takes_effect and next is not null as is_written,
      takes_effect and kind = 2 and is_there as is_ended,
      clock_timestamp() + ttl * interval '1 millisecond' as expires_at,
      case when not is_there then (
        select array_agg(label) from unnest($18::bigint[], $19::text[]) l(i, label) where l.i = judged.i) end as labels
    from judged),
  changed as (
    update atom_state s set
      version = d.version, format = d.format, value = coalesce(d.next, ''),
      expires_at = case when d.is_ended then '-infinity' else d.expires_at end,
      labels = case when d.is_ended then null when d.is_there then s.labels else d.labels end
    from decided d
    where s.scope = d.scope and s.key = d.key and d.old_version is not null and (d.is_written or d.is_ended)),
  made as (
    insert into atom_state(scope, key, version, expires_at, format, value, labels)
    select scope, key, version, expires_at, format, next, labels from decided where old_version is null and is_written),
  kept as (
    update atom_lane set sequence = $3::bigint, touched = now(), (errors, versions, formats, texts) = (
      select array_agg(error), array_agg(version), array_agg(case when was is not null then old_format end),
             array_agg(was)
      from (select * from decided order by i) decided)
    where session = $1::uuid and number = $2::bigint and exists (select from decided))
  select (select sequence from lane), i, error::bigint, version, old_format::bigint, was, next,
    case when is_written or is_ended then 1 else 0 end::bigint
  from decided
  union all
  select sequence, i, error, version, format, was, null, 1
  from lane, unnest(errors, versions, formats, texts) with ordinality as r(error, version, format, was, i)
  where sequence = $3::bigint
  union all
  select sequence, 0, null, null, null, null, null, 0 from lane
  where sequence <> $3::bigint and not exists (select from decided))"};

// ---- What others are told

/// After the batch, in a transaction of its own: one that tells makes all others of its kind wait until it is on the
/// disk.
inline constexpr PostgresStatement tell{
    "atom_tell", "select pg_notify('atom_state', 'atom_state'::regclass::oid || ' ' || $1::text)"};
inline constexpr PostgresStatement listen{"", "listen atom_state"};
/// By which one schema's changes are told from another's.
inline constexpr PostgresStatement identify{"", "select 'atom_state'::regclass::oid::bigint"};
inline constexpr PostgresStatement beat{"atom_beat", "select 1::bigint"};

// ---- What is there

inline constexpr PostgresStatement read{"atom_read", R"(
  select n.i, s.version, s.format::bigint, s.value
  from unnest($1::text[], $2::text[]) with ordinality as n(scope, key, i)
  cross join lateral (
    select version, format, value from atom_state
    where scope = n.scope and key = n.key and (expires_at is null or expires_at > clock_timestamp())
    offset 0) s)"};
/// Begins times to live anew.
inline constexpr PostgresStatement touch{"atom_touch", R"(
  with mine as materialized (
    select n.* from unnest($1::text[], $2::text[], $3::bigint[]) as n(scope, key, ttl)
    cross join lateral (
      select from atom_state
      where scope = n.scope and key = n.key and expires_at > clock_timestamp() for no key update) s)
  update atom_state s set expires_at = clock_timestamp() + m.ttl * interval '1 millisecond'
  from mine m where s.scope = m.scope and s.key = m.key)"};

inline constexpr PostgresStatement list{"atom_list", R"(
  select scope, key, version, format::bigint, value from atom_state
  where (scope, key) > ($1::text, $2::text) and scope <= $3::text
    and (expires_at is null or expires_at > clock_timestamp())
  order by scope, key limit $4::bigint)"};
inline constexpr PostgresStatement scopes{"atom_scopes", R"(
  select distinct scope from atom_state
  where scope > $1::text and (expires_at is null or expires_at > clock_timestamp())
  order by scope limit $2::bigint)"};

inline constexpr PostgresStatement erase_scope{"atom_erase_scope", R"(
  with gone as materialized (
    select scope, key, version, format, value from atom_state
    where (scope = $1::text or scope > $1::text || '.' and scope < $1::text || '/')
      and (expires_at is null or expires_at > clock_timestamp())
    order by scope, key for no key update),
  ended as (
    update atom_state s set value = '', labels = null, expires_at = '-infinity'
    from gone g where s.scope = g.scope and s.key = g.key)
  select scope, key, version, format::bigint, value from gone)"};
inline constexpr PostgresStatement purge{"atom_purge", R"(
  with gone as materialized (
    select scope, key, version, format, value from atom_state
    where labels && $1::text[] and (expires_at is null or expires_at > clock_timestamp())
    order by scope, key for no key update),
  ended as (
    update atom_state s set value = '', labels = null, expires_at = '-infinity'
    from gone g where s.scope = g.scope and s.key = g.key)
  select scope, key, version, format::bigint, value from gone)"};

// ---- In passing

/// Removes states that are over, an hour after their versions were in use at the latest; and lanes that nobody has used
/// for a month. How many states.
inline constexpr PostgresStatement tidy{"atom_tidy", R"(
  with old as materialized (
    select scope, key from atom_state
    where expires_at <= clock_timestamp()
      and version < (extract(epoch from clock_timestamp() - interval '1 hour') * 1000000)::bigint
    limit 1000 for update skip locked)
  delete from atom_state s using old where s.scope = old.scope and s.key = old.key)"};
inline constexpr PostgresStatement tidy_lanes{"atom_tidy_lanes", R"(
  delete from atom_lane where (session, number) in (
    select session, number from atom_lane where touched < now() - interval '30 days' limit 1000
    for update skip locked))"};

}  // namespace postgres
}  // namespace atom::inline v0_1::detail
