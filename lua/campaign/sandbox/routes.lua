-- SPDX-License-Identifier: MIT
-- Routes method and path to an operation, generated from the platform data. A fixed segment is never taken for an `{id}` (R280); a `{id}` is
-- never empty, so a path without its last segment is not found (R279).

local platforms = require "campaign.api.platform"

local M = {}

M.PLATFORMS = { "outbound", "tuzhan", "hypers", "longlong" }

-- Whose error shape an unknown path gets. The longest prefix counts.
local PREFIXES = {
  { "/api/v1/config/openapi/", "outbound" },
  { "/api/integrate/", "tuzhan" },
  { "/agent-api/", "longlong" },
  { "/oauth/", "hypers" },
  { "/api/", "hypers" },
}

local function split(path)
  local segments = {}
  for segment in (path .. "/"):sub(2):gmatch("([^/]*)/") do
    segments[#segments + 1] = segment
  end
  return segments
end

local function add(root, platform, name, operation)
  local node = root
  for _, segment in ipairs(split(operation.path)) do
    local param = segment:match("^{(.+)}$")
    local key = param and "{}" or segment
    if not node.children[key] then
      node.children[key] = { children = {}, methods = {} }
    end
    node = node.children[key]
    if param then
      node.param = param
    end
  end
  local route = node.methods[operation.method]
  if not route then
    route = { platform = platform, operations = {}, body = operation.body, pattern = operation.path }
    node.methods[operation.method] = route
  end
  route.operations[#route.operations + 1] = name
end

---The operations of all platforms, by their names and with the platform before it: what a fault can be ordered for.
---@return table<string, boolean>
function M.names()
  local names = {}
  for _, name in ipairs(M.PLATFORMS) do
    for _, operation in ipairs(assert(platforms.load(name)).operations) do
      names[operation.name], names[operation.key] = true, true
    end
  end
  return names
end

---The routes of all platforms.
function M.new()
  local root = { children = {}, methods = {} }
  for _, name in ipairs(M.PLATFORMS) do
    local platform = assert(platforms.load(name))
    for _, operation in ipairs(platform.operations) do
      add(root, name, operation.name, operation)
    end
  end
  return root
end

---Percent-decoding of one path segment or query part.
function M.decode(text)
  return (text:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local walk

local function walk_fixed(node, segments, index, params, open_first)
  local fixed = node.children[segments[index]]
  return fixed and walk(fixed, segments, index + 1, params, open_first)
end

local function walk_open(node, segments, index, params, open_first)
  local open = node.children["{}"]
  local found = open and segments[index] ~= "" and walk(open, segments, index + 1, params, open_first)
  if found then
    params[#params + 1] = { open.param, segments[index] }
  end
  return found
end

function walk(node, segments, index, params, open_first)
  if segments[index] == nil then
    return next(node.methods) and node or nil
  end
  if open_first then
    return walk_open(node, segments, index, params, true) or walk_fixed(node, segments, index, params, true)
  end
  if node.children[segments[index]] then
    return walk_fixed(node, segments, index, params)
  end
  return walk_open(node, segments, index, params)
end

---Finds the node of a path: its `methods`, and the values of its `{...}` segments.
---@param root table
---@param path string as sent
---@param open_first? boolean `{...}` wins over fixed words: only without R280
---@return table? node
---@return table<string, string>? params
function M.find(root, path, open_first)
  local pairs_found, segments = {}, split(path)
  for i, segment in ipairs(segments) do
    segments[i] = M.decode(segment)
  end
  local node = walk(root, segments, 1, pairs_found, open_first)
  if not node then
    return nil
  end
  local params = {}
  for _, pair in ipairs(pairs_found) do
    params[pair[1]] = pair[2]
  end
  return node, params
end

---The platform whose error shape fits an unknown path; nil when none does.
function M.platform_of(path)
  for _, prefix in ipairs(PREFIXES) do
    if path:sub(1, #prefix[1]) == prefix[1] then
      return prefix[2]
    end
  end
  return nil
end

---Reads a query string: name → list of values, in the order sent.
function M.query(text)
  local query = {}
  for pair in (text or ""):gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=(.*)$") -- linear: disjoint classes
    name, value = name or pair, value or ""
    name, value = M.decode((name:gsub("%+", " "))), M.decode((value:gsub("%+", " ")))
    query[name] = query[name] or {}
    table.insert(query[name], value)
  end
  return query
end

return M
