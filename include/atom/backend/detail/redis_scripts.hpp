// What runs inside a Redis server, each script in one step. They are constants: whatever comes from outside is an
// argument.
//
// All keys begin with KEYS[1], which is `{name}:`, so that they lie on one node:
//   s:SCOPE            a hash, of each state by its key: "VERSION ENDS FORMAT SIZE LABELS TEXT", without the last two
//                      spaces; ENDS is 0 for never, SIZE that of LABELS, which is a list as MessagePack
//   scopes             a sorted set: the scopes that have states
//   ends               a sorted set: "SCOPE KEY" by when it ends
//   label:LABEL        a set: "SCOPE KEY"; no scope has a space
//   lane:SESSION:NUMBER  a hash: s, the number of the last batch; r, what came of it, as MessagePack, or a text, why it
//                      broke off; t, since when it is kept for a week
//   feed               a stream: of each change "SCOPE KEY", and the state as it is stored, or its version alone
//   meta               a hash: layout, the version of how states are stored; gone, the highest version of all states
//                      that are gone
// All times are in microseconds since 1970, of the server's clock. Lua's numbers are doubles: times and versions stay
// below 2^53.
#pragma once

#include <atom/config.hpp>

#include <string>
#include <string_view>

namespace atom::inline v0_1::detail {

inline constexpr std::string_view redis_layout = "1";

/// What the scripts have in common. Nothing is written before `finish`.
inline constexpr std::string_view redis_prelude = R"lua(
local call, ARGV = redis.call, ARGV
local format, match, sub = string.format, string.match, string.sub
local base = KEYS[1]
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local now_text = format('%d', now)

-- Version, end, format, labels, text. Most states have neither an end nor labels. Nothing, if somebody else has written
-- something else there.
local function unpack_state(packed)
  local version, form, text = match(packed, '^(%d+) 0 (%-?%d+) 0 (.*)$')
  if version then return version + 0, 0, form, '', text end
  local ends, size, at
  version, ends, form, size, at = match(packed, '^(%d+) (%d+) (%-?%d+) (%d+) ()')
  if not at then return nil end
  size = at + size
  return version + 0, ends + 0, form, sub(packed, at, size - 1), sub(packed, size)
end
local function pack_state(version, ends, form, labels, text)
  local version_text = version == now and now_text or format('%d', version)
  if ends == 0 and labels == '' then return version_text .. ' 0 ' .. form .. ' 0 ' .. text end
  return version_text .. format(' %d %s %d ', ends, form, #labels) .. labels .. text
end
local function end_of(ttl)
  return ttl == '0' and 0 or now + ttl * 1000
end

-- Commands, in their order. A state that is new comes after its names in lists, and one that ends goes before them: so
-- if they break off, a list may have a name that is not right, but no state is lost to it.
local writes = {}
local function write(...)
  writes[#writes + 1] = {...}
end
local function labels_in(packed)
  local is_read, labels = pcall(cmsgpack.unpack, packed)
  return is_read and type(labels) == 'table' and labels or {}
end
-- Where it had another end before, that is forgotten.
local function write_end(name, ends, end_before)
  if ends > 0 then
    write('ZADD', base .. 'ends', format('%d', ends), name)
  elseif end_before > 0 then
    write('ZREM', base .. 'ends', name)
  end
end
-- That it has labels, and an end.
local function forget(name, labels, ends)
  if #labels > 0 then
    for _, label in ipairs(labels_in(labels)) do write('SREM', base .. 'label:' .. label, name) end
  end
  write_end(name, 0, ends)
end

local gone, most_gone
local function highest_gone()
  if not gone then
    gone = tonumber(call('HGET', base .. 'meta', 'gone') or 0)
    most_gone = gone
  end
  return most_gone
end
local smaller = {}  -- scopes
local function remove(scope, key, version, labels, ends)
  most_gone = math.max(highest_gone(), version)
  write('HDEL', base .. 's:' .. scope, key)
  forget(scope .. ' ' .. key, labels, ends)
  smaller[scope] = true
end

local feed_length
local changes, size_of_changes = {}, 0
-- Without the state, or with a large one, it is only told that it has changed.
local function tell(name, version, packed, size)
  local is_told = packed and size <= 256 and size_of_changes + size <= 4096
  if is_told then size_of_changes = size_of_changes + size end
  local n = #changes
  changes[n + 1], changes[n + 2] = name, is_told and packed or format('%d', version)
end
-- Writes all that is to be written.
local function finish()
  for _, words in ipairs(writes) do call(unpack(words)) end
  if gone then
    for scope in pairs(smaller) do
      if call('EXISTS', base .. 's:' .. scope) == 0 then call('ZREM', base .. 'scopes', scope) end
    end
    if most_gone > gone then call('HSET', base .. 'meta', 'gone', format('%d', most_gone)) end
  end
  for at = 1, #changes, 2000 do
    call('XADD', base .. 'feed', 'MAXLEN', '~', feed_length, '*', unpack(changes, at, math.min(at + 1999, #changes)))
  end
end
)lua";

/// A batch. First everything is read and calculated, then the lane is written, then the rest. So whatever fails before
/// has had no effect: a server without memory, or one that may not be written to, says so of the first thing written.
/// What fails later (a command that the user may not use, a key of somebody else's) breaks it off, and nobody knows how
/// much of it has had an effect. When it comes again it is refused, until all that is left of it is checks.
///
/// Commands that follow one another and are of one scope are a run: the scope, how many, their keys, and then of each
/// what there is besides; or one empty word, where that is the same as of the one before.
inline constexpr std::string_view redis_execute = R"lua(
local lane, sequence, after_loss, all_or_nothing, count
lane, sequence, after_loss, all_or_nothing, feed_length, count = unpack(ARGV, 1, 6)
local at = 7  -- of the next argument
lane, after_loss, all_or_nothing = base .. 'lane:' .. lane, after_loss == '1', all_or_nothing == '1'

local known = call('HMGET', lane, 's', 't')
local ahead = sequence - (known[1] or 0)
local broke_off  -- why, if it did when it came before
if ahead == 0 then
  local packed = call('HGET', lane, 'r')
  local results = cmsgpack.unpack(packed)
  if type(results) == 'string' then
    broke_off = results
  else
    return #results == 3 * count and {'done', packed} or {'other'}
  end
end
if ahead < 0 then return {'older'} end
if ahead > 1 and not after_loss then return {'gap', (known[1] or 0) + 0} end

-- Integers below it are exact, and a sum that is not shows it by lying beyond.
local exact = 9007199254740992
-- Runs sums on a text: of each the summand, its bounds, and whether it is a single one. The new text, or false if each
-- of them fails, and whether one does; nil, if this is to be calculated elsewhere.
local function sum_up(text, least, most, sums)
  local number = tonumber(text)
  if not (number and number >= least and number <= most and format('%d', number) == text) then return nil, false end
  local has_changed, has_failed = false, false
  for i = 1, #sums, 4 do
    local sum, from, to = number + sums[i], sums[i + 1], sums[i + 2]
    if from ~= '' and sum < from + 0 then sum = from + 0 end
    if to ~= '' and sum > to + 0 then sum = to + 0 end
    if sum >= least and sum <= most then
      number, has_changed = sum, true
    elseif sums[i + 3] == '1' and sum > -exact and sum < exact then
      has_failed = true
    else
      return nil, false
    end
  end
  return has_changed and format('%d', number), has_failed
end

local results, before, hard, all = {}, {}, {}, true
local i = 0
-- Of a command, which stays for the next one if that is the same; of one that applies sums; of one that is decided.
local kind, expected, ends, form, value, labels, packed_labels
local least, most, sums
local seen, has_value, why
while at <= #ARGV do
  local scope, size = ARGV[at], ARGV[at + 1] + 0
  local keys = at + 1  -- before the first
  at = keys + size + 1
  local found = call('HMGET', base .. 's:' .. scope, unpack(ARGV, keys + 1, keys + size))
  local puts, has_new = {'HSET', base .. 's:' .. scope}, false
  for k = 1, size do
    if ARGV[at] == '' then
      at = at + 1
    else
      kind, expected = ARGV[at], tonumber(ARGV[at + 1])
      if broke_off and (kind ~= 'check' or expected) then return {'in part', broke_off} end
      at = at + 2
      value = nil
      if kind ~= 'erase' and kind ~= 'check' then
        local ttl, count
        ttl, form, value, count = unpack(ARGV, at, at + 3)
        ends = end_of(ttl)
        at = at + 4 + count
        labels = {unpack(ARGV, at - count, at - 1)}
        packed_labels = count == '0' and '' or cmsgpack.pack(labels)
      end
      if kind == 'apply' then
        local count
        least, most, count = ARGV[at] + 0, ARGV[at + 1] + 0, 4 * ARGV[at + 2]
        at = at + 3 + count
        sums = {unpack(ARGV, at - count, at - 1)}
      elseif kind == 'decided' then
        seen, has_value, why = ARGV[at] + 0, ARGV[at + 1] == '1', ARGV[at + 2]
        at = at + 3
        if not has_value then value = nil end
      end
    end
    i = i + 1
    local key, packed = ARGV[keys + k], found[k]
    local version, end_there, form_there, labels_there, text_there = 0, 0
    if packed then version, end_there, form_there, labels_there, text_there = unpack_state(packed) end
    local is_odd = not version
    if is_odd then version, end_there = 0, 0 end
    local is_over = end_there > 0 and end_there <= now
    local is_there = packed and not is_over and not is_odd
    local version_there = is_there and version or 0
    local problem = expected and expected ~= version_there and 'conflict' or ''
    if is_odd and (expected or kind ~= 'check') then problem = 'undecodable' end
    local text, is_hard = value, false
    if kind == 'apply' then
      if is_there then text = form_there == form and text_there end
      local has_failed
      text, has_failed = sum_up(text, least, most, sums)
      is_hard = text == nil
      if has_failed and all_or_nothing and problem == '' then problem = 'overflow' end
    elseif kind == 'decided' then
      is_hard = seen ~= version_there
      if problem == '' then problem = why end
    end
    if is_hard and problem ~= 'conflict' and not is_odd then hard[#hard + 1] = {i, is_there and packed or ''} end
    local is_wanted = is_there and (kind == 'apply' or kind == 'decided' or problem == 'conflict')
    if all_or_nothing then before[i] = version_there end
    local version_now = version_there
    if problem ~= '' then
      all = false
    elseif kind == 'erase' then
      if is_there then
        remove(scope, key, version, labels_there, end_there)
        tell(scope .. ' ' .. key, version)
      end
    elseif text then
      local name = scope .. ' ' .. key
      if is_over then forget(name, labels_there, end_there) end
      -- By the clock: where the server has lost writes, their versions do not come again with other values.
      version_now = math.max(now, 1 + (is_there and version or math.max(highest_gone(), version)))
      if not is_there then
        labels_there, has_new = packed_labels, true
        for _, label in ipairs(labels) do write('SADD', base .. 'label:' .. label, name) end
      end
      local packed_now = pack_state(version_now, ends, form, labels_there, text)
      puts[#puts + 1] = key
      puts[#puts + 1] = packed_now
      if ends > 0 or end_there > 0 then write_end(name, ends, is_there and end_there or 0) end
      tell(name, version_now, packed_now, #labels_there + #text)
    end
    results[3 * i - 2], results[3 * i - 1], results[3 * i] = version_now, problem, is_wanted and packed or ''
  end
  if has_new then write('ZADD', base .. 'scopes', '0', scope) end
  if #puts > 2 then writes[#writes + 1] = puts end
end
if #hard > 0 then return {'hard', hard} end
if all_or_nothing and not all then
  for i, version in ipairs(before) do results[3 * i - 2] = version end
  writes, smaller, changes, most_gone = {}, {}, {}, gone
end

-- Once in an hour is often enough for what is kept for a week.
local is_renewed = not known[2] or now - known[2] > 3600000000
if is_renewed then table.insert(writes, 1, {'PEXPIRE', lane, '604800000'}) end
results = cmsgpack.pack(results)
local first = redis.pcall('HSET', lane, 's', sequence, 'r', results, 't', is_renewed and now_text or known[2])
if type(first) == 'table' and first.err then return first end
local done, why = pcall(finish)
if not done then
  why = type(why) == 'table' and why.err or tostring(why)
  call('HSET', lane, 'r', cmsgpack.pack(why))
  return {'broken', why}
end
return {'done', results}
)lua";

/// Of each name: scope, key, time to live. What was found: nothing, or version, format and text; which is empty, and so
/// does not read, where it is nothing of ours.
inline constexpr std::string_view redis_read = R"lua(
local found = {}
for at = 1, #ARGV, 3 do
  local scope, key, ttl = unpack(ARGV, at, at + 2)
  local packed = call('HGET', base .. 's:' .. scope, key)
  local version, ends, form, labels, text
  if packed then version, ends, form, labels, text = unpack_state(packed) end
  if packed and not version then
    found[#found + 1] = {1, '0', ''}
  elseif not packed or ends > 0 and ends <= now then
    found[#found + 1] = {}
  else
    found[#found + 1] = {version, form, text}
    if ends > 0 and ttl ~= '0' then
      write('HSET', base .. 's:' .. scope, key, pack_state(version, end_of(ttl), form, labels, text))
      write_end(scope .. ' ' .. key, end_of(ttl), ends)
    end
  end
end
finish()
return found
)lua";

/// Of up to so many scopes between two: scope, keys.
inline constexpr std::string_view redis_keys = R"lua(
local found = {}
for i, scope in ipairs(call('ZRANGEBYLEX', base .. 'scopes', ARGV[1], ARGV[2], 'LIMIT', '0', ARGV[3])) do
  found[i] = {scope, call('HKEYS', base .. 's:' .. scope)}
end
return found
)lua";

/// Looks at up to so many scopes between two: the last one, and those in which a state is not over.
inline constexpr std::string_view redis_scopes = R"lua(
local function is_alive(scope)
  local cursor = '0'
  repeat
    local part = call('HSCAN', base .. 's:' .. scope, cursor)
    for i = 1, #part[2], 2 do
      local version, ends = unpack_state(part[2][i + 1])
      if not version or ends == 0 or ends > now then return true end
    end
    cursor = part[1]
  until cursor == '0'
  return false
end
local scopes, alive = call('ZRANGEBYLEX', base .. 'scopes', ARGV[1], '+', 'LIMIT', '0', ARGV[2]), {}
for _, scope in ipairs(scopes) do
  if is_alive(scope) then alive[#alive + 1] = scope end
end
return {scopes[#scopes] or '', alive}
)lua";

/// Ends states, up to so many: those in scopes between two, those with a label, or those whose time is over. How many
/// names it has seen, fewer only if there are no more; and what those were that were not over. Or -1 and why it broke
/// off half way. What is nothing of ours goes with its scope, and is none of those.
inline constexpr std::string_view redis_end = R"lua(
local which, most, from, to
feed_length, most, which, from, to = unpack(ARGV)
local names = {}
if which == 'scopes' then
  for _, scope in ipairs(call('ZRANGEBYLEX', base .. 'scopes', from, to, 'LIMIT', '0', most)) do
    if #names >= most + 0 then break end
    -- Any of them: a scan would begin each time with what the last ones have emptied, and not get beyond that.
    for _, key in ipairs(call('HRANDFIELD', base .. 's:' .. scope, most - #names)) do
      names[#names + 1] = scope .. ' ' .. key
    end
  end
elseif which == 'label' then
  names = call('SRANDMEMBER', base .. 'label:' .. from, most)
  if #names > 0 then write('SREM', base .. 'label:' .. from, unpack(names)) end  -- also those that are not there
else
  names = call('ZRANGEBYSCORE', base .. 'ends', '-inf', now_text, 'LIMIT', '0', most)
end
local function has_label(labels)
  for _, label in ipairs(labels ~= '' and labels_in(labels) or {}) do
    if label == from then return true end
  end
  return false
end
local ended = {}
for _, name in ipairs(names) do
  local space = string.find(name, ' ', 1, true)
  local scope, key = sub(name, 1, space - 1), sub(name, space + 1)
  local packed = call('HGET', base .. 's:' .. scope, key)
  local version, ends, form, labels, text = 0, 0, '', '', ''
  if packed then version, ends, form, labels, text = unpack_state(packed) end
  local is_odd = not version
  if is_odd then version, ends, labels = 0, 0, '' end
  local is_over = ends > 0 and ends <= now
  -- What the state says itself counts: where a batch broke off, its name may be where it should not be.
  if which == 'over' and not is_over then
    write_end(name, ends, now)
  elseif packed and (which ~= 'label' or has_label(labels)) then
    if not is_over then
      if not is_odd then ended[#ended + 1] = {scope, key, version, form, text} end
      tell(name, version)
    end
    remove(scope, key, version, labels, ends)
  end
end
-- What is written first has had its effect, or nothing has; what fails later leaves a part.
if #writes > 0 then call(unpack(table.remove(writes, 1))) end
local done, why = pcall(finish)
if not done then return {-1, type(why) == 'table' and why.err or tostring(why)} end
return {#names, ended}
)lua";

}  // namespace atom::inline v0_1::detail
