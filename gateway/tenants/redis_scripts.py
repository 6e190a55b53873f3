"""What Redis does with the ledger in one step each, in its own language.

KEYS: what is spent, what is reserved, both added up, and the names of the day's tenants.
Amounts are added by Redis in 64 bits; Lua compares them as doubles, which are exact up to
nine million of a currency in a day.
"""

_COMMON = """
local COLUMNS = {'calls', 'search_units', 'tokens', 'cost', 'unpriced'}

-- Names the account; beyond so many sets of labels, that of all others.
local function account(named, other, most)
  if most > 0 and redis.call('HEXISTS', KEYS[3], 'known|' .. named) == 0 then
    if tonumber(redis.call('HGET', KEYS[3], 'known') or '0') >= most then
      return other
    end
    redis.call('HSET', KEYS[3], 'known|' .. named, 1)
    redis.call('HINCRBY', KEYS[3], 'known', 1)
  end
  return named
end

-- Adds amounts up, where a quota looks for them.
local function use(backend, amount, sign)
  for place, column in ipairs(COLUMNS) do
    if amount[place] ~= '0' then
      redis.call('HINCRBY', KEYS[3], backend .. '|' .. column, sign .. amount[place])
    end
  end
  if amount[4] ~= '0' then redis.call('HINCRBY', KEYS[3], 'cost', sign .. amount[4]) end
end

local function spend(named, amount, estimated)
  for place, column in ipairs(COLUMNS) do
    redis.call('HINCRBY', KEYS[1], named .. '|' .. column, amount[place])
  end
  redis.call('HINCRBY', KEYS[1], named .. '|estimated', estimated)
end

local function keep(seconds)
  for place = 1, 4 do redis.call('EXPIRE', KEYS[place], seconds) end
end
"""

RESERVE = (
    _COMMON
    + """
local tenant, backend, named = ARGV[1], ARGV[2], ARGV[3]
local amount = {ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]}
local limits = {ARGV[10], ARGV[11], ARGV[12], ARGV[13]}
local lost_at, now, keep_s, most = ARGV[14], tonumber(ARGV[15]), ARGV[16], ARGV[17]
local FIRST = 18

-- Who has not settled for so long never will: the estimate stands.
if now >= tonumber(redis.call('HGET', KEYS[3], 'looked') or '0') + 10 then
  redis.call('HSET', KEYS[3], 'looked', now)
  for _, text in ipairs(redis.call('HVALS', KEYS[2])) do
    local kept = cjson.decode(text)
    if tonumber(kept.lost_at) < now then
      spend(kept.account, kept.amount, kept.amount[1])
      redis.call('HDEL', KEYS[2], kept.id)
    end
  end
end

for place = 1, 4 do
  local field = place == 4 and 'cost' or backend .. '|' .. COLUMNS[place]
  local wanted = tonumber(amount[place])
  if limits[place] ~= '' and wanted > 0 then
    local used = tonumber(redis.call('HGET', KEYS[3], field) or '0')
    if used + wanted > tonumber(limits[place]) then return COLUMNS[place] end
  end
end

named = account(named, ARGV[4], tonumber(most))
for at = FIRST, #ARGV, 6 do
  local id, part = ARGV[at], {}
  for place = 1, 5 do part[place] = ARGV[at + place] end
  redis.call('HSET', KEYS[2], id, cjson.encode(
    {id = id, account = named, amount = part, lost_at = lost_at}))
end
use(backend, amount, '')
redis.call('SADD', KEYS[4], tenant)
keep(keep_s)
return ''
"""
)

SETTLE = (
    _COMMON
    + """
local id, backend = ARGV[1], ARGV[3]
local amount = {ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]}
local estimated, keep_s = ARGV[11], ARGV[12]
local text = redis.call('HGET', KEYS[2], id)
-- Once: what comes twice, or after the estimate was taken for it, counts no more.
if not text then return 0 end
local kept = cjson.decode(text)
redis.call('HDEL', KEYS[2], id)
use(backend, kept.amount, '-')
use(backend, amount, '')
if amount[1] ~= '0' then spend(kept.account, amount, estimated) end
keep(keep_s)
return 1
"""
)

SAVE = (
    _COMMON
    + """
local tenant, named = ARGV[1], account(ARGV[3], ARGV[4], tonumber(ARGV[11]))
for place, column in ipairs(COLUMNS) do
  redis.call('HINCRBY', KEYS[1], named .. '|saved_' .. column, ARGV[4 + place])
end
redis.call('SADD', KEYS[4], tenant)
keep(ARGV[10])
return 1
"""
)
