/**
 * What is decided inside Redis, each in one step and by its clock (TIME). Numbers are doubles: microseconds since 1970 are
 * exact until the year 2255. Every script touches the keys that it is given, and those are in one slot.
 */
import { Script } from "./script.ts";

const now = `
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]`;

/**
 * A limit is "<time> <debt>": at that time so many microseconds were missing until the whole burst is there again. In two
 * numbers, since a sum would round the share of a token away (one of 30,000 a second is 33⅓ µs).
 */
const read = `
local function read(kept)
  local time, debt = string.match(kept, '^(%d+) (.+)$')
  return tonumber(time), tonumber(debt)
end`;

/**
 * KEYS: the limit. ARGV: µs in which one token comes back, burst, spare, the costs. Takes each cost that fits, in order,
 * and the spare tokens where four times as many are left. Gives the debt in µs, the spare tokens, and 1 or 0 a cost.
 */
export const take = new Script(`${now}${read}
local token, burst, spare = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('GET', KEYS[1])
local debt, back = 0, false
if kept then
  local time, owed = read(kept)
  -- A clock that was put back takes nothing from anybody, and what is kept follows it at once.
  back = now < time
  debt = math.max(owed - math.max(now - time, 0), 0)
end
-- A hair more than the debt allows, against the rounding of whole tokens.
local remaining = math.floor(burst - debt / token + 1e-3)
local taken, answer = 0, {'', 0}
for i = 4, #ARGV do
  local cost = tonumber(ARGV[i])
  local fits = cost <= remaining - taken
  if fits then taken = taken + cost end
  answer[i - 1] = fits and 1 or 0
end
if remaining - taken < 4 * spare then spare = 0 end
taken = taken + spare
debt = debt + taken * token
if taken > 0 or (back and debt > 0) then
  -- At most 31 years, which PX can hold.
  local ttl = math.min(math.ceil(debt / 1000), 1e12)
  redis.call('SET', KEYS[1], string.format('%.0f %.17g', now, debt), 'PX', string.format('%.0f', ttl))
end
answer[1] = string.format('%.17g', debt)
answer[2] = spare
return answer`);

/** KEYS: the limit. ARGV: µs in which one token comes back, tokens. Gives back spare tokens that were not used. */
export const giveBack = new Script(`${read}
local kept = redis.call('GET', KEYS[1])
if not kept then return end
local time, debt = read(kept)
debt = debt - ARGV[1] * ARGV[2]
if debt > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f %.17g', time, debt), 'KEEPTTL')
else
  redis.call('DEL', KEYS[1])
end`);

/**
 * KEYS: the lock, the fences' counter. ARGV: ms. Gives the fence, or nothing where somebody holds the lock. A fence is
 * more than the last one and no less than the time in µs: a server that lost its counter (a restart without a disk, an
 * eviction, a failover to a replica behind) goes on above what it gave.
 */
export const acquire = new Script(`${now}
if redis.call('EXISTS', KEYS[1]) == 1 then return nil end
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local fence = string.format('%.0f', math.max(last + 1, now))
redis.call('SET', KEYS[2], fence)
redis.call('SET', KEYS[1], fence, 'PX', ARGV[1])
return fence`);

/** KEYS: the lock. ARGV: the fence, ms. Gives 1, or 0 where it is not held any more. */
export const renew = new Script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`);

/** KEYS: the lock. ARGV: the fence. */
export const release = new Script(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end`);
