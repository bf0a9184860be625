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
  results text[],
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

/// One batch, and all that becomes of it: $1 to $4 are the lane, $5 is whether it is all or nothing, and the commands
/// come in the order of their names. An outcome is a text: the error, or 0; the version; and, where there is one, the
/// format of the value and the value.
///
/// Rows are locked before they are judged, in that order, and are judged as they are then. (A subquery that locks is
/// not made a join of, so each row is found by the primary key.) One that nobody could see when the statement began
/// cannot be locked: if it is there when this one is to be inserted, the statement fails, and is tried again. Versions
/// follow the clock, so that where the server has lost writes theirs do not come again with other values; and a state
/// that has ended keeps its row for a while, for one that comes back when the clock was set back. `offset 0` keeps what
/// is calculated from being calculated for each place where it is used. What is changed is inserted, so that it is
/// found by the primary key, too, whatever the planner believes of the table.
inline constexpr PostgresStatement batch{"atom_batch", R"(
  with lane as materialized (
    select sequence, results from atom_lane where session = $1::uuid and number = $2::bigint for update),
  judged as materialized (
    select *, case
      when expected <> coalesce(version, 0) then 1
      when kind = 1 and (x between lowest::numeric and highest::numeric) is not true then 2
      when kind = 1 and next is null and $5::boolean then 3 end as error
    from (
      select *, case
        when kind = 0 then value
        when result between lowest::numeric and highest::numeric then result::text end as next
      from (
        select *, least(most::numeric, greatest(least::numeric, x + summand::numeric)) as result
        from (
          select c.*, s.*, case
            when kind <> 1 then null
            when s.version is null then value::numeric
            when old_format = format and old_value ~ '^[ \t\n\r]*-?(0|[1-9][0-9]{0,19})[ \t\n\r]*$'
              then old_value::numeric end as x
          from unnest($6::bigint[], $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::text[], $12::bigint[],
                      $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[])
            with ordinality as c(kind, scope, key, expected, format, value, ttl, labels,
                                 lowest, highest, summand, least, most, i)
          left join lateral (
            select version as row_version, format as old_format, value as old_value, labels as old_labels,
              case when expires_at is null or expires_at > clock_timestamp() then version end as version
            from atom_state where scope = c.scope and key = c.key for no key update) s on true
          where exists (select from lane where sequence = $3::bigint - 1 or $4::boolean and sequence < $3::bigint)
          offset 0) looked
        offset 0) calculated
      offset 0) judged),
  decided as materialized (
    select i, kind, scope, key, format, next, action, new_version,
      case when action = 3 then '-infinity' else clock_timestamp() + ttl * interval '1 millisecond' end as expires_at,
      case when action = 3 then null when version is not null then old_labels else labels::text[] end as labels,
      concat_ws(' ', coalesce(error, 0), case when action = 0 then coalesce(version, 0) else new_version end,
        case when version is not null and (kind = 1 or error = 1) then old_format || ' ' || old_value end) as outcome
    from (
      select *,
        case
          when error is not null or $5::boolean and exists (select from judged where error is not null) then 0
          when kind = 2 then case when version is null then 0 else 3 end  -- ends
          when next is null then 0
          when row_version is null then 1  -- is inserted
          else 2 end as action,
        case
          when kind = 2 and version is not null then version
          else greatest((extract(epoch from clock_timestamp()) * 1000000)::bigint, row_version + 1) end as new_version
      from judged offset 0) judged),
  changed as (
    insert into atom_state as s (scope, key, version, expires_at, format, value, labels)
    select scope, key, new_version, expires_at, format, coalesce(next, ''), labels from decided where action > 1
    on conflict (scope, key) do update set version = excluded.version, expires_at = excluded.expires_at,
      format = excluded.format, value = excluded.value, labels = excluded.labels),
  made as (
    insert into atom_state(scope, key, version, expires_at, format, value, labels)
    select scope, key, new_version, expires_at, format, next, labels from decided where action = 1),
  kept as (
    update atom_lane set sequence = $3::bigint, touched = now(), results = (
      select array_agg(outcome) from (select outcome from decided order by i) decided)
    where session = $1::uuid and number = $2::bigint and exists (select from decided))
  select (select sequence from lane), i, outcome, case when kind = 1 then next end, action::bigint from decided
  union all
  select sequence, coalesce(i, 0), outcome, null, null
  from lane left join lateral
    unnest(case when sequence = $3::bigint then results end) with ordinality as r(outcome, i) on true
  where not exists (select from decided))"};

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
  insert into atom_state as s (scope, key, version, expires_at, format, value)
  select n.scope, n.key, version, clock_timestamp() + n.ttl * interval '1 millisecond', format, value
  from unnest($1::text[], $2::text[], $3::bigint[]) as n(scope, key, ttl)
  cross join lateral (
    select version, format, value from atom_state
    where scope = n.scope and key = n.key and expires_at > clock_timestamp() for no key update) found
  on conflict (scope, key) do update set expires_at = excluded.expires_at)"};

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
    insert into atom_state as s (scope, key, version, expires_at, format, value)
    select scope, key, version, '-infinity', format, '' from gone
    on conflict (scope, key) do update set value = '', labels = null, expires_at = '-infinity')
  select scope, key, version, format::bigint, value from gone)"};
inline constexpr PostgresStatement purge{"atom_purge", R"(
  with gone as materialized (
    select scope, key, version, format, value from atom_state
    where labels && $1::text[] and (expires_at is null or expires_at > clock_timestamp())
    order by scope, key for no key update),
  ended as (
    insert into atom_state as s (scope, key, version, expires_at, format, value)
    select scope, key, version, '-infinity', format, '' from gone
    on conflict (scope, key) do update set value = '', labels = null, expires_at = '-infinity')
  select scope, key, version, format::bigint, value from gone)"};

// ---- In passing

/// Removes states that are over, an hour after their versions were in use at the latest; and lanes that nobody has used
/// for a month.
inline constexpr PostgresStatement tidy{"atom_tidy", R"(
  delete from atom_state where ctid = any(array(
    select ctid from atom_state
    where expires_at <= clock_timestamp()
      and version < (extract(epoch from clock_timestamp() - interval '1 hour') * 1000000)::bigint
    limit 5000 for update skip locked)))"};
inline constexpr PostgresStatement tidy_lanes{"atom_tidy_lanes", R"(
  delete from atom_lane where ctid = any(array(
    select ctid from atom_lane where touched < now() - interval '30 days' limit 1000 for update skip locked)))"};

}  // namespace postgres
}  // namespace atom::inline v0_1::detail
