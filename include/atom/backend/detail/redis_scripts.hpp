// What runs inside a Redis server, each script in one step. They are constants: whatever comes from outside is an
// argument.
//
// All keys begin with KEYS[1], which is `{name}:`, so that they lie on one node:
//   s:SCOPE            a hash, of each state by its key: "VERSION ENDS FORMAT SIZE LABELS TEXT", without the last two
//                      spaces; ENDS is 0 for never, SIZE that of LABELS, which is a list as MessagePack
//   scopes             a sorted set: the scopes that have states
//   ends               a sorted set: "SCOPE KEY" by when it ends
//   label:LABEL        a set: "SCOPE KEY"; no scope has a space
//   lane:SESSION:NUMBER  a hash: s, the number of the last batch; r, what came of it, as MessagePack
//   feed               a stream: of each change SCOPE, KEY, VERSION, FORMAT, whether there is a text, TEXT
//   meta               a hash: layout, the version of all this; gone, the highest version of all states that are gone
// All times are in microseconds since 1970, of the server's clock. Lua's numbers are doubles: times and versions stay
// below 2^53, and are written with %.0f.
#pragma once

#include <atom/config.hpp>

#include <string>
#include <string_view>

namespace atom::inline v0_1::detail {

inline constexpr std::string_view redis_layout = "1";

/// What the scripts have in common.
inline constexpr std::string_view redis_prelude = R"lua(
local base = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local last_argument = 0
local function argument()
  last_argument = last_argument + 1
  return ARGV[last_argument]
end
local function whole(number)
  return string.format('%.0f', number)
end

local function find(scope, key)
  local packed = redis.call('HGET', base .. 's:' .. scope, key)
  if not packed then return nil end
  local _, last, version, ends, format, size = string.find(packed, '^(%d+) (%d+) (%-?%d+) (%d+) ')
  if not last then error('a state is stored in another way') end
  size = tonumber(size)
  return {
    version = tonumber(version), ends = tonumber(ends), format = format,
    labels = string.sub(packed, last + 1, last + size), text = string.sub(packed, last + size + 1),
  }
end
local function is_over(state)
  return state.ends > 0 and state.ends <= now
end
local function end_of(ttl)
  ttl = tonumber(ttl)
  return ttl > 0 and now + ttl * 1000 or 0
end
local function put(scope, key, state, ends)
  if ends > 0 then
    redis.call('ZADD', base .. 'ends', whole(ends), scope .. ' ' .. key)
  elseif state.ends > 0 then
    redis.call('ZREM', base .. 'ends', scope .. ' ' .. key)
  end
  local head = string.format('%.0f %.0f %s %d ', state.version, ends, state.format, #state.labels)
  return redis.call('HSET', base .. 's:' .. scope, key, head .. state.labels .. state.text)
end

local gone, most_gone
local function highest_gone()
  if not gone then
    gone = tonumber(redis.call('HGET', base .. 'meta', 'gone') or 0)
    most_gone = gone
  end
  return most_gone
end
local function remove(scope, key, state)
  most_gone = math.max(highest_gone(), state.version)
  local name = scope .. ' ' .. key
  if #state.labels > 0 then
    for _, label in ipairs(cmsgpack.unpack(state.labels)) do redis.call('SREM', base .. 'label:' .. label, name) end
  end
  if state.ends > 0 then redis.call('ZREM', base .. 'ends', name) end
  redis.call('HDEL', base .. 's:' .. scope, key)
  if redis.call('EXISTS', base .. 's:' .. scope) == 0 then redis.call('ZREM', base .. 'scopes', scope) end
end

local feed_length
local changes, size_of_changes = {}, 0
local function send_changes()
  if #changes > 0 then
    redis.call('XADD', base .. 'feed', 'MAXLEN', '~', feed_length, '*', unpack(changes))
  end
  changes, size_of_changes = {}, 0
end
-- Without a text, or with a long one, it is only told that it has changed.
local function tell(scope, key, version, format, text)
  if #changes >= 3000 then send_changes() end
  local is_told = text and #text <= 256 and size_of_changes + #text <= 4096
  size_of_changes = size_of_changes + (is_told and #text or 0)
  local n = #changes
  changes[n + 1], changes[n + 2], changes[n + 3] = scope, key, whole(version)
  changes[n + 4], changes[n + 5], changes[n + 6] = format, is_told and '1' or '0', is_told and text or ''
end
local function finish()
  send_changes()
  if gone and most_gone > gone then redis.call('HSET', base .. 'meta', 'gone', whole(most_gone)) end
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
        tell(scope, key, state.version, '0', nil)
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
local lane = base .. 'lane:' .. argument()
local sequence = tonumber(argument())
local after_loss = argument() == '1'
local all_or_nothing = argument() == '1'
local tidies, tidied = tonumber(argument()), 0
feed_length = argument()
local count = tonumber(argument())

local known = redis.call('HMGET', lane, 's', 'r')
local last = tonumber(known[1] or 0)
if sequence == last then
  local results = cmsgpack.unpack(known[2])
  if #results ~= count then return {'other'} end
  return {'done', results}
end
if sequence < last then return {'older'} end
if sequence > last + 1 and not after_loss then return {'gap', last} end

-- Integers up to here are exact, and a sum that is not shows it by lying beyond.
local exact = 9007199254740992
local function integer(text)
  local number = tonumber(text)
  if not number or text == '-0' or whole(number) ~= text then return nil end
  return number > -exact and number < exact and number or nil
end
-- Takes the sums of a command from the arguments, and runs them on a text. The new one, or false if each of them fails,
-- and whether one does; nil, if this is to be calculated elsewhere.
local function sum_up(text)
  local least, most = tonumber(argument()), tonumber(argument())
  local number = text and integer(text)
  local is_hard, has_changed, has_failed = not (number and least), false, false
  for _ = 1, tonumber(argument()) do
    local is_single, summand = argument() == '1', tonumber(argument())
    local from, to = tonumber(argument()), tonumber(argument())
    if not is_hard then
      local sum = number + summand
      if from and sum < from then sum = from end
      if to and sum > to then sum = to end
      if sum <= -exact or sum >= exact then
        is_hard = true
      elseif sum >= least and sum <= most then
        number, has_changed = sum, true
      elseif is_single then
        has_failed = true
      else
        is_hard = true
      end
    end
  end
  if is_hard then return nil, false end
  return has_changed and whole(number), has_failed
end

local steps, results, hard, all = {}, {}, {}, true
for i = 1, count do
  local kind, scope, key, expected = argument(), argument(), argument(), argument()
  local state = find(scope, key)
  local step = {scope = scope, key = key, old = state}
  if state and is_over(state) then
    step.over, state = state, nil
  end
  local version = state and state.version or 0
  local result = {version, ''}
  local conflicts = expected ~= '' and tonumber(expected) ~= version
  local text
  if kind == 'write' or kind == 'apply' or kind == 'decided' then
    step.ttl, step.format, text = argument(), argument(), argument()
    local labels = {}
    for k = 1, tonumber(argument()) do labels[k] = argument() end
    step.labels = #labels > 0 and cmsgpack.pack(labels) or ''
  end
  if kind == 'apply' then
    local start = state and state.text or text
    if state and state.format ~= step.format then start = nil end
    local has_failed
    text, has_failed = sum_up(start)
    if text == nil then
      if not conflicts then hard[#hard + 1] = {i, version, state and state.format, state and state.text} end
    elseif has_failed and all_or_nothing then
      result[2] = 'overflow'
    end
  elseif kind == 'decided' then
    local seen, has_text = argument(), argument() == '1'
    result[2] = argument()
    if not has_text then text = nil end
    if tonumber(seen) ~= version and not conflicts then
      hard[#hard + 1] = {i, version, state and state.format, state and state.text}
    end
  end
  if conflicts then
    result[2] = 'conflict'
  end
  if state and (conflicts or kind == 'apply' or kind == 'decided') then
    result[3], result[4] = state.format, state.text
  end
  if result[2] ~= '' then
    all = false
  elseif kind == 'erase' then
    step.erases = state ~= nil
  elseif text then
    step.text = text
    step.state = state
  end
  steps[i], results[i] = step, result
end
if #hard > 0 then return {'hard', hard} end

local takes_effect = all or not all_or_nothing
if takes_effect then
  for i, step in ipairs(steps) do
    if step.text then
      local over = step.over and step.over.version or 0
      results[i][1] = step.state and step.state.version + 1 or math.max(now, highest_gone() + 1, over + 1)
    end
  end
end

local first = redis.pcall('HSET', lane, 's', whole(sequence), 'r', cmsgpack.pack(results))
if type(first) == 'table' and first.err then return first end
local done, why = pcall(function()
  redis.call('PEXPIRE', lane, 604800000)
  for i, step in ipairs(takes_effect and steps or {}) do
    local scope, key = step.scope, step.key
    if step.erases then
      remove(scope, key, step.old)
      tell(scope, key, step.old.version, '0', nil)
    elseif step.text then
      if step.over then remove(scope, key, step.over) end
      local version = results[i][1]
      local state = {version = version, ends = step.state and step.state.ends or 0, format = step.format,
                     labels = step.state and step.state.labels or step.labels, text = step.text}
      put(scope, key, state, end_of(step.ttl))
      if not step.state then
        redis.call('ZADD', base .. 'scopes', '0', scope)
        if #state.labels > 0 then
          for _, label in ipairs(cmsgpack.unpack(state.labels)) do
            redis.call('SADD', base .. 'label:' .. label, scope .. ' ' .. key)
          end
        end
      end
      tell(scope, key, version, step.format, step.text)
    end
  end
  if tidies > 0 then
    local over = redis.call('ZRANGEBYSCORE', base .. 'ends', '-inf', whole(now), 'LIMIT', '0', tidies)
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
for i = 1, #ARGV / 3 do
  local scope, key, ttl = argument(), argument(), argument()
  local state = find(scope, key)
  if not state or is_over(state) then
    found[i] = {}
  else
    found[i] = {state.version, state.format, state.text}
    if state.ends > 0 and tonumber(ttl) > 0 then put(scope, key, state, end_of(ttl)) end
  end
end
return found
)lua";

/// Of up to so many scopes between two: scope, keys.
inline constexpr std::string_view redis_keys = R"lua(
local found = {}
for i, scope in ipairs(redis.call('ZRANGEBYLEX', base .. 'scopes', ARGV[1], ARGV[2], 'LIMIT', '0', ARGV[3])) do
  found[i] = {scope, redis.call('HKEYS', base .. 's:' .. scope)}
end
return found
)lua";

/// Looks at up to so many scopes between two: the last one, and those in which a state is not over.
inline constexpr std::string_view redis_scopes = R"lua(
local function is_alive(scope)
  local cursor = '0'
  repeat
    local part = redis.call('HSCAN', base .. 's:' .. scope, cursor)
    for i = 1, #part[2], 2 do
      local state = find(scope, part[2][i])
      if state and not is_over(state) then return true end
    end
    cursor = part[1]
  until cursor == '0'
  return false
end
local scopes, alive = redis.call('ZRANGEBYLEX', base .. 'scopes', ARGV[1], '+', 'LIMIT', '0', ARGV[2]), {}
for _, scope in ipairs(scopes) do
  if is_alive(scope) then alive[#alive + 1] = scope end
end
return {scopes[#scopes] or '', alive}
)lua";

/// Ends states in scopes between two, a thousand or so. How many it has seen, and what those were that were not over.
inline constexpr std::string_view redis_erase_scope = R"lua(
feed_length = argument()
local most = tonumber(argument())
local names = {}
for _, scope in ipairs(redis.call('ZRANGEBYLEX', base .. 'scopes', argument(), argument(), 'LIMIT', '0', most)) do
  if #names >= most then break end
  local fields = redis.call('HSCAN', base .. 's:' .. scope, '0', 'COUNT', most)[2]
  for i = 1, #fields, 2 do names[#names + 1] = scope .. ' ' .. fields[i] end
end
local ended = end_all(names)
finish()
return {#names, ended}
)lua";

/// Likewise, those with a label.
inline constexpr std::string_view redis_purge = R"lua(
feed_length = argument()
local most = argument()
local names = redis.call('SRANDMEMBER', base .. 'label:' .. argument(), most)
local ended = end_all(names)
finish()
return {#names, ended}
)lua";

}  // namespace atom::inline v0_1::detail
