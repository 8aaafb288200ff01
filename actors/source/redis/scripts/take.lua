-- Moves messages into a batch of this boot's own.
--
-- KEYS: the list.   ARGV: boot, number, most messages, 'again' or 'first', 'list' or 'retries' (who has the turn), most
-- bytes: the first message is taken whatever its size, the highest number that has brought this boot a batch.
-- Answers {'taken', kind, now, messages, deaths}, {'nothing', milliseconds until a retry is due or -1}, {'unknown'}, or
-- {'older'}: this server is back at a state from before that batch.
-- Messages of up to 256 KB together come in one piece, by MessagePack; larger ones would be twice in memory here.
--
-- Scripts do not roll back, so what is popped must arrive whatever happens. Everything that can be refused is therefore
-- done before the pop, on the very keys and with the very commands that come after it: rights, types, the memory limit
-- (which refuses only the first write of a script, and DEL it does not refuse).

local list, ours = KEYS[1], KEYS[1] .. ':simplest_script:'
local boot, number, most, most_bytes = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[6])
local batches, batch = ours .. 'batches:' .. boot, ours .. 'batch:' .. boot .. ':' .. number
local back, retries = ours .. 'back', ours .. 'retries'
local pack = cmsgpack.pack
local portion = 32 -- messages

local function answer(messages, bytes)
  return bytes <= 262144 and pack(messages) or messages
end

local function bytes_of(messages)
  local bytes = 0
  for i = 1, #messages do bytes = bytes + #messages[i] end
  return bytes
end

local alive = redis.call('ZSCORE', ours .. 'boots', boot)
if not alive or tonumber(alive) < 0 then return {'unknown'} end

-- Before anything is taken: a new number would hide that the earlier ones are unknown here.
local last = tonumber(redis.call('HGET', batches, 'last') or 0)
if last < tonumber(ARGV[7]) then return {'older'} end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%.0f', now)

-- The recorded crashes of framed messages, in their order.
local function deaths_of(frames)
  local deaths = {}
  for i, frame in ipairs(frames) do
    local id = string.match(frame, '^(%S+) ')
    deaths[i] = id and redis.call('HGETALL', ours .. 'death:' .. id) or {}
  end
  return deaths
end

-- When it may run: a death has a back-off.
local function not_before(death)
  for i = 1, #death, 2 do
    if death[i] == 'until' then return tonumber(death[i + 1]) end
  end
  return 0
end

-- Asked again: the answer was lost, the batch may be there. If not, this number is used up: the first question may still
-- be on its way, and must find nothing to do.
if number + 0 <= last then
  local all = redis.call('LRANGE', batch, 0, -1)
  if #all < 2 then return {'nothing', 0} end
  local kind, taken = string.match(table.remove(all, 1), '^(%a) (%d+)')
  return {'taken', kind, taken, answer(all, bytes_of(all)), kind == 'f' and deaths_of(all) or {}}
end
if ARGV[4] == 'again' then
  redis.call('HDEL', batches, 'none')
  redis.call('HSET', batches, 'last', number)
  return {'nothing', 0}
end

-- The oldest messages of a list (its right end) or of the set of retries, as far as they fit, and their bytes. They are
-- read in portions: their size is unknown before, and large ones must not all be in memory here.
local function oldest(key)
  local found, n, bytes = {}, 0, 0
  while n < most do
    local wanted = math.min(portion, most - n)
    local some, first, last, step
    if key == retries then
      some = redis.call('ZRANGEBYSCORE', key, '-inf', now_text, 'LIMIT', n, wanted)
      first, last, step = 1, #some, 1
    else
      some = redis.call('LRANGE', key, -n - wanted, -n - 1)
      first, last, step = #some, 1, -1
    end
    for i = first, last, step do
      local message = some[i]
      if bytes + #message > most_bytes and n > 0 then return found, bytes end
      n, bytes = n + 1, bytes + #message
      found[n] = message
    end
    if #some < wanted then break end
  end
  return found, bytes
end

local from
if redis.call('LLEN', back) > 0 then
  from = back
else
  local due = #redis.call('ZRANGEBYSCORE', retries, '-inf', now_text, 'LIMIT', 0, 1) > 0
  local waiting = redis.call('LLEN', list) > 0
  if due and (ARGV[5] == 'retries' or not waiting) then
    from = retries
  elseif waiting then
    from = list
  else
    local next_due = redis.call('ZRANGE', retries, 0, 0, 'WITHSCORES')[2]
    return {'nothing', next_due and math.max(0, tonumber(next_due) - now) or -1}
  end
end

local found, bytes = oldest(from)
redis.call('DEL', batch)
redis.call('HSET', batches, number, 1, 'last', number)
if from == list then
  redis.call('RPUSH', batch, 'm ' .. now_text)
  local popped = redis.pcall('LTRIM', list, 0, -#found - 1)
  if popped.err then
    redis.call('DEL', batch)
    redis.call('HDEL', batches, number)
    return popped
  end
  redis.call('RPUSH', batch, unpack(found))
  return {'taken', 'm', now_text, answer(found, bytes), {}}
end

-- Framed ones. They are copied first and removed then: what fails in between is there twice at most.
local frames = found
local deaths = deaths_of(frames)
local taken, taken_deaths = {}, {}
for i, frame in ipairs(frames) do
  local after = not_before(deaths[i])
  if after > now then
    redis.call('ZADD', retries, string.format('%.0f', after), frame)
  else
    taken[#taken + 1], taken_deaths[#taken_deaths + 1] = frame, deaths[i]
  end
end
if #taken > 0 then
  redis.call('RPUSH', batch, 'f ' .. now_text, unpack(taken))
else
  redis.call('HDEL', batches, number)
end
if from == back then
  redis.call('LTRIM', back, 0, -#frames - 1)
elseif #taken > 0 then
  redis.call('ZREM', retries, unpack(taken))
end
if #taken == 0 then return {'nothing', 0} end
return {'taken', 'f', now_text, answer(taken, bytes_of(taken)), taken_deaths}
