-- Steers and counts as serin does, as far as Lua can: the same look at the route's name, the same key, rule and draw,
-- one header, and counts of requests, failures and latency by track from the answer's status. What Lua cannot see:
-- answers cut short, clients that leave, requests in flight.
local bit = require("bit")

local rollouts = {
  ["serin/weighted.prod/primary"] = { nonce = "weighted-5d41402abc4b2a76", weight = 1000 },
  ["serin/sticky.prod/primary"] = { nonce = "sticky-5d41402abc4b2a76", weight = 1000, key = "x-user" },
  ["serin/rule.prod/primary"] = { nonce = "rule-5d41402abc4b2a76", weight = 1000, header = "x-group", value = "beta" },
}
local tracks = {}
local edges = { 50, 100, 200, 500, 1000 }
for name, rollout in pairs(rollouts) do
  for _, kind in ipairs({ "primary", "canary" }) do
    local counts = { requests = 0, failures = 0, latency = { 0, 0, 0, 0, 0, 0 } }
    tracks[string.gsub(name, "primary$", kind)] = counts
  end
end

-- FNV-1a, for the bucket of a key.
local function hash(key)
  local h = bit.tobit(2166136261)
  for i = 1, #key do
    h = bit.bxor(h, string.byte(key, i))
    h = bit.tobit(h + bit.lshift(h, 1) + bit.lshift(h, 4) + bit.lshift(h, 7) + bit.lshift(h, 8) + bit.lshift(h, 24))
  end
  return h % 10000
end

local function is_canary(rollout, headers)
  if rollout.header and headers:get(rollout.header) == rollout.value then
    return true
  end
  if rollout.key then
    local key = headers:get(rollout.key)
    if key then
      return hash(key) < rollout.weight
    end
  end
  return math.random(0, 9999) < rollout.weight
end

function envoy_on_request(handle)
  local info = handle:streamInfo()
  local rollout = rollouts[info:routeName()]
  if rollout == nil then
    return
  end
  info:dynamicMetadata():set("serin", "since", handle:timestamp())
  local headers = handle:headers()
  if is_canary(rollout, headers) then
    headers:replace("x-serin-track", rollout.nonce)
    handle:clearRouteCache()
  end
end

function envoy_on_response(handle)
  local info = handle:streamInfo()
  local counts = tracks[info:routeName()]
  if counts == nil then
    return
  end
  counts.requests = counts.requests + 1
  if tonumber(handle:headers():get(":status")) >= 500 then
    counts.failures = counts.failures + 1
  end
  local took = handle:timestamp() - info:dynamicMetadata():get("serin")["since"]
  local outlived = 1
  while outlived <= #edges and took > edges[outlived] do
    outlived = outlived + 1
  end
  counts.latency[outlived] = counts.latency[outlived] + 1
end
