// What runs inside a Redis server, each script in one step. They are constants: whatever comes from outside is an
// argument.
//
// All keys begin with KEYS[1], which is `{name}:`, so that they lie on one node:
//   s:SCOPE            a hash, of each state by its key: "VERSION ENDS FORMAT SIZE LABELS TEXT", without the last two
//                      spaces; ENDS is 0 for never, SIZE that of LABELS, which is a list as MessagePack
//   scopes             a sorted set: the scopes that have states
//   ends               a sorted set: "SCOPE KEY" by when it ends
//   label:LABEL        a set: "SCOPE KEY"; no scope has a space
//   lane:SESSION:NUMBER  a hash: s, the number of the last batch; r, what came of it, as MessagePack; t, since when it
//                      is kept for a week
//   feed               a stream: of each change SCOPE, KEY, VERSION, FORMAT, whether there is a text, TEXT
//   meta               a hash: layout, the version of all this; gone, the highest version of all states that are gone
// All times are in microseconds since 1970, of the server's clock. Lua's numbers are doubles: times and versions stay
// below 2^53.
#pragma once

#include <atom/config.hpp>

#include <string>
#include <string_view>

namespace atom::inline v0_1::detail {

inline constexpr std::string_view redis_layout = "1";

/// What the scripts have in common.
inline constexpr std::string_view redis_prelude = R"lua(
local call, format, ARGV = redis.call, string.format, ARGV
local base = KEYS[1]
local time = call('TIME')
local now = time[1] * 1000000 + time[2]

local function find(scope, key)
  local packed = call('HGET', base .. 's:' .. scope, key)
  if not packed then return nil end
  local _, last, version, ends, form, size = string.find(packed, '^(%d+) (%d+) (%-?%d+) (%d+) ')
  if not last then error('a state is stored in another way') end
  return {
    version = version + 0, ends = ends + 0, format = form,
    labels = string.sub(packed, last + 1, last + size), text = string.sub(packed, last + size + 1),
  }
end
local function is_over(state)
  return state.ends > 0 and state.ends <= now
end
local function end_of(ttl)
  return ttl == '0' and 0 or now + ttl * 1000
end
-- Where it had another end before, that is forgotten.
local function put(scope, key, version, ends, form, labels, text, end_before)
  if ends > 0 then
    call('ZADD', base .. 'ends', format('%d', ends), scope .. ' ' .. key)
  elseif end_before > 0 then
    call('ZREM', base .. 'ends', scope .. ' ' .. key)
  end
  call('HSET', base .. 's:' .. scope, key, format('%s %d %s %d ', version, ends, form, #labels) .. labels .. text)
end

local gone, most_gone
local function highest_gone()
  if not gone then
    gone = tonumber(call('HGET', base .. 'meta', 'gone') or 0)
    most_gone = gone
  end
  return most_gone
end
local function remove(scope, key, state)
  most_gone = math.max(highest_gone(), state.version)
  local name = scope .. ' ' .. key
  if #state.labels > 0 then
    for _, label in ipairs(cmsgpack.unpack(state.labels)) do call('SREM', base .. 'label:' .. label, name) end
  end
  if state.ends > 0 then call('ZREM', base .. 'ends', name) end
  call('HDEL', base .. 's:' .. scope, key)
  if call('EXISTS', base .. 's:' .. scope) == 0 then call('ZREM', base .. 'scopes', scope) end
end

local feed_length
local changes, size_of_changes = {}, 0
local function send_changes()
  if #changes > 0 then call('XADD', base .. 'feed', 'MAXLEN', '~', feed_length, '*', unpack(changes)) end
  changes, size_of_changes = {}, 0
end
-- Without a text, or with a long one, it is only told that it has changed.
local function tell(scope, key, version, form, text)
  local n = #changes
  if n >= 3000 then
    send_changes()
    n = 0
  end
  local is_told = text and #text <= 256 and size_of_changes + #text <= 4096
  if is_told then size_of_changes = size_of_changes + #text end
  changes[n + 1], changes[n + 2], changes[n + 3] = scope, key, version
  changes[n + 4], changes[n + 5], changes[n + 6] = form, is_told and '1' or '0', is_told and text or ''
end
local function finish()
  send_changes()
  if gone and most_gone > gone then call('HSET', base .. 'meta', 'gone', format('%d', most_gone)) end
end
-- Ends the states that are named "SCOPE KEY", those that are over silently. What they were.
local function end_all(names)
  local ended = {}
  for _, name in ipairs(names) do
    local space = string.find(name, ' ', 1, true)
    local scope, key = string.sub(name, 1, space - 1), string.sub(name, space + 1)
    local state = find(scope, key)
    if state then
      if not is_over(state) then
        ended[#ended + 1] = {scope, key, state.version, state.format, state.text}
        tell(scope, key, format('%d', state.version), '0', nil)
      end
      remove(scope, key, state)
    end
  end
  return ended
end
)lua";

/// A batch. First everything is read and calculated, then the lane is written, then the rest. So whatever fails before
/// has had no effect: a server without memory, or one that may not be written to, says so of the first thing written.
inline constexpr std::string_view redis_execute = R"lua(
local lane, sequence, after_loss, all_or_nothing, tidies, length, count = unpack(ARGV, 1, 7)
local at = 8  -- of the next argument
lane, after_loss, all_or_nothing = base .. 'lane:' .. lane, after_loss == '1', all_or_nothing == '1'
feed_length = length

local known = call('HMGET', lane, 's', 'r', 't')
local ahead = sequence - (known[1] or 0)
if ahead == 0 then
  local results = cmsgpack.unpack(known[2])
  if #results ~= count + 0 then return {'other'} end
  return {'done', results}
end
if ahead < 0 then return {'older'} end
if ahead > 1 and not after_loss then return {'gap', (known[1] or 0) + 0} end

-- Integers up to here are exact, and a sum that is not shows it by lying beyond.
local exact = 9007199254740992
-- Takes the sums of a command from the arguments, and runs them on a text. The new one, or false if each of them fails,
-- and whether one does; nil, if this is to be calculated elsewhere.
local function sum_up(text)
  local least, most, sums = unpack(ARGV, at, at + 2)
  at = at + 3
  local first = at
  at = at + 4 * sums
  local number = text and least ~= '' and tonumber(text)
  if not (number and number > -exact and number < exact and format('%d', number) == text) then return nil, false end
  least, most = least + 0, most + 0
  if number < least or number > most then return nil, false end
  local has_changed, has_failed = false, false
  for place = first, at - 1, 4 do
    local is_single, summand, from, to = unpack(ARGV, place, place + 3)
    local sum = number + summand
    if from ~= '' and sum < from + 0 then sum = from + 0 end
    if to ~= '' and sum > to + 0 then sum = to + 0 end
    local is_exact = sum > -exact and sum < exact
    if is_exact and sum >= least and sum <= most then
      number, has_changed = sum, true
    elseif is_exact and is_single == '1' then
      has_failed = true
    else
      return nil, false
    end
  end
  return has_changed and format('%d', number), has_failed
end

local steps, results, hard, all = {}, {}, {}, true
for i = 1, count do
  local kind, scope, key, expected = unpack(ARGV, at, at + 3)
  at = at + 4
  local state, over = find(scope, key), nil
  if state and is_over(state) then
    state, over = nil, state
  end
  local version = state and state.version or 0
  local problem = expected ~= '' and expected + 0 ~= version and 'conflict' or ''
  local is_calculated = kind == 'apply' or kind == 'decided'
  local step = {scope = scope, key = key, state = state, over = over}
  local text
  if is_calculated or kind == 'write' then
    local labels
    step.ttl, step.format, text, labels = unpack(ARGV, at, at + 3)
    at = at + 4
    if labels ~= '0' then
      step.labels = {unpack(ARGV, at, at + labels - 1)}
      at = at + labels
    end
  elseif kind == 'erase' then
    step.erases = state and problem == ''
  end
  if is_calculated then
    local is_hard = false
    if kind == 'apply' then
      local has_failed
      if state and state.format ~= step.format then
        text = nil
      elseif state then
        text = state.text
      end
      text, has_failed = sum_up(text)
      is_hard = text == nil
      if has_failed and all_or_nothing and problem == '' then problem = 'overflow' end
    else
      local seen, has_text, why = unpack(ARGV, at, at + 2)
      at = at + 3
      if has_text == '0' then text = nil end
      is_hard = seen + 0 ~= version
      if problem == '' then problem = why end
    end
    if is_hard and problem ~= 'conflict' then
      hard[#hard + 1] = {i, version, state and state.format, state and state.text}
    end
  end
  if state and (is_calculated or problem == 'conflict') then
    results[i] = {version, problem, state.format, state.text}
  else
    results[i] = {version, problem}
  end
  if problem ~= '' then
    all = false
  elseif text then
    step.text = text
    -- By the clock: where the server has lost writes, their versions do not come again with other values.
    step.version = math.max(now, state and version + 1 or math.max(highest_gone(), over and over.version or 0) + 1)
  end
  steps[i] = step
end
if #hard > 0 then return {'hard', hard} end
if not all and all_or_nothing then steps = {} end
for i, step in ipairs(steps) do
  if step.text then results[i][1] = step.version end
end

-- Once in an hour is often enough for what is kept for a week.
local is_renewed = not known[3] or now - known[3] > 3600000000
local first = redis.pcall('HSET', lane, 's', sequence, 'r', cmsgpack.pack(results),
  't', is_renewed and format('%d', now) or known[3])
if type(first) == 'table' and first.err then return first end
local tidied = 0
local done, why = pcall(function()
  if is_renewed then call('PEXPIRE', lane, '604800000') end
  for _, step in ipairs(steps) do
    local scope, key, state, text = step.scope, step.key, step.state, step.text
    if step.erases then
      remove(scope, key, state)
      tell(scope, key, format('%d', state.version), '0', nil)
    elseif text then
      if step.over then remove(scope, key, step.over) end
      local version = format('%d', step.version)
      local labels = state and state.labels or step.labels and cmsgpack.pack(step.labels) or ''
      put(scope, key, version, end_of(step.ttl), step.format, labels, text, state and state.ends or 0)
      if not state then
        call('ZADD', base .. 'scopes', '0', scope)
        for _, label in ipairs(step.labels or {}) do call('SADD', base .. 'label:' .. label, scope .. ' ' .. key) end
      end
      tell(scope, key, version, step.format, text)
    end
  end
  if tidies ~= '0' then
    local over = call('ZRANGEBYSCORE', base .. 'ends', '-inf', format('%d', now), 'LIMIT', '0', tidies)
    tidied = #over
    end_all(over)
  end
  finish()
end)
if not done then return {'broken', type(why) == 'table' and why.err or tostring(why)} end
return {'done', results, tidied}
)lua";

/// Of each name: scope, key, time to live. What was found: nothing, or version, format and text.
inline constexpr std::string_view redis_read = R"lua(
local found = {}
for at = 1, #ARGV, 3 do
  local scope, key, ttl = unpack(ARGV, at, at + 2)
  local state = find(scope, key)
  if not state or is_over(state) then
    found[#found + 1] = {}
  else
    found[#found + 1] = {state.version, state.format, state.text}
    if state.ends > 0 and ttl ~= '0' then
      put(scope, key, format('%d', state.version), end_of(ttl), state.format, state.labels, state.text, state.ends)
    end
  end
end
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
      local state = find(scope, part[2][i])
      if state and not is_over(state) then return true end
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

/// Ends states in scopes between two, a thousand or so. How many it has seen, and what those were that were not over.
inline constexpr std::string_view redis_erase_scope = R"lua(
feed_length = ARGV[1]
local most = ARGV[2] + 0
local names = {}
for _, scope in ipairs(call('ZRANGEBYLEX', base .. 'scopes', ARGV[3], ARGV[4], 'LIMIT', '0', most)) do
  if #names >= most then break end
  local fields = call('HSCAN', base .. 's:' .. scope, '0', 'COUNT', most)[2]
  for i = 1, #fields, 2 do names[#names + 1] = scope .. ' ' .. fields[i] end
end
local ended = end_all(names)
finish()
return {#names, ended}
)lua";

/// Likewise, those with a label.
inline constexpr std::string_view redis_purge = R"lua(
feed_length = ARGV[1]
local label = base .. 'label:' .. ARGV[3]
local names = call('SRANDMEMBER', label, ARGV[2])
local ended = end_all(names)
if #names > 0 then call('SREM', label, unpack(names)) end  -- also those that were not there any more
finish()
return {#names, ended}
)lua";

}  // namespace atom::inline v0_1::detail
