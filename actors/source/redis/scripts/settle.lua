-- Ends some or all messages of one batch.
--
-- KEYS: the list.   ARGV: boot, number, 'some' or 'back', then for 'some' four for each message: its place in the batch
-- as it was taken (1 for the first), 'x' (it goes), 'b' (back where it came from) or 'r' (again later), milliseconds
-- until then, and for 'x' its id where it is framed, for 'r' the head of its frame. 'back' releases all that is left.
-- Answers 1, or why the batch is not there: 0: others were given it; -1: this server has never had it, and has lost
-- data; -2: this boot has ended all of it.
--
-- Adds first and removes then; what is added a second time, because the removal failed, is the same member of a set.

local list, ours = KEYS[1], KEYS[1] .. ':simplest_script:'
local boot, number = ARGV[1], ARGV[2]
local batches, batch = ours .. 'batches:' .. boot, ours .. 'batch:' .. boot .. ':' .. number
local retries = ours .. 'retries'

local all = redis.call('LRANGE', batch, 0, -1)
if #all == 0 then
  local last = tonumber(redis.call('HGET', batches, 'last') or 0)
  if tonumber(number) > last then return -1 end
  redis.call('HDEL', batches, number)
  return tonumber(redis.call('ZSCORE', ours .. 'boots', boot) or -1) >= 0 and -2 or 0
end
local kind, taken, left = string.match(all[1], '^(%a) (%d+) ?(.*)$')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The messages that are left, by their places.
local message, places = {}, {}
if left == '' then
  for i = 2, #all do places[i - 1], message[i - 1] = i - 1, all[i] end
else
  for place in string.gmatch(left, '%d+') do
    places[#places + 1] = tonumber(place)
    message[tonumber(place)] = all[#places + 1]
  end
end

local ends = {}
if ARGV[3] == 'back' then
  for _, place in ipairs(places) do ends[place] = {'b'} end
else
  for i = 4, #ARGV, 4 do
    if message[tonumber(ARGV[i])] then ends[tonumber(ARGV[i])] = {ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]} end
  end
end

-- Refused here, if at all: nothing has been written. HDEL is refused by no memory limit, and then nothing is.
redis.call('ZCARD', retries)
redis.call('LLEN', list)
redis.call('HDEL', batches, 'none')

local bare, rest, rest_places, forget = {}, {}, {}, {}
for _, place in ipairs(places) do
  local it, text = ends[place], message[place]
  if not it then
    rest[#rest + 1], rest_places[#rest_places + 1] = text, place
  elseif it[1] == 'b' and kind == 'm' then
    bare[#bare + 1] = text
  elseif it[1] == 'b' then
    redis.call('ZADD', retries, string.format('%.0f', now), text)
  elseif it[1] == 'r' then
    local payload = text
    if kind == 'f' then
      local id, body = string.match(text, '^(%S+) [^\n]*\n(.*)$')
      if id then
        payload, forget[#forget + 1] = body, ours .. 'death:' .. id
      end
    end
    redis.call('ZADD', retries, string.format('%.0f', now + it[2]), it[3] .. payload)
  elseif it[3] ~= '' then
    forget[#forget + 1] = ours .. 'death:' .. it[3]
  end
end
if #bare > 0 then
  -- The last one pushed is the next one popped: the oldest.
  local oldest_last = {}
  for i = #bare, 1, -1 do oldest_last[#oldest_last + 1] = bare[i] end
  redis.call('RPUSH', list, unpack(oldest_last))
end
if #rest > 0 then
  redis.call('RPUSH', batch, kind .. ' ' .. taken .. ' ' .. table.concat(rest_places, ','), unpack(rest))
  redis.call('LTRIM', batch, #all, -1)
else
  redis.call('DEL', batch)
  redis.call('HDEL', batches, number)
end
if #forget > 0 then redis.call('DEL', unpack(forget)) end
return 1
